"""What was run, in words and numbers: groups of (term, value) for the report's fact lists."""

from collections.abc import Iterable

from pipelines.report.data import ReportContents
from pipelines.report.format import in_words
from schemas.provenance import Provenance

Facts = list[tuple[str, str]]
_DIGITS = 12  # of a revision


def headline(contents: ReportContents) -> Facts:
    """What was run, in a line."""
    made = contents.model.made
    return [
        ("Data", f"{contents.corpus.title}, {sum(split.images for split in contents.splits):,} images"),
        ("Variant", str(made.parameters["variant"])),
        ("Backbone", contents.features.description.kind),
        ("Seed", str(made.parameters["seed"])),
        ("Revision", _revision(made)),
        ("Model", made.key),
    ]


def run_facts(contents: ReportContents) -> dict[str, Facts]:
    """Group title -> facts. Where stages were run under different versions, all of them are named."""
    made = [entry.provenance for entry in contents.stages if entry.provenance is not None]
    return {
        "Data": _data(contents),
        "Image features": [*_features(contents), *_extraction(made)],
        "Model": _model(contents, made),
        "Software and machine": [*_software(made), ("git revision", _distinct(map(_revision, made))), *_hosts(made)],
    }


def _data(contents: ReportContents) -> Facts:
    corpus = contents.corpus
    return [
        ("corpus", f"{corpus.title} ({corpus.name})"),
        ("images", "; ".join(f"{split.name} {split.images:,}" for split in contents.splits)),
        ("captions", "; ".join(f"{split.name} {split.captions:,}" for split in contents.splits)),
        ("license", corpus.license),
        ("citation", corpus.citation),
    ]


def _features(contents: ReportContents) -> Facts:
    features = contents.features
    return [
        ("backbone", features.description.kind),
        ("preprocessing", features.description.preprocessing),
        ("weights", f"SHA-256 {features.description.weights_digest[:16]}…"),
        ("size", f"{features.images:,} images of {features.dimension:,} numbers, {features.dtype}"),
    ]


def _extraction(made: Iterable[Provenance]) -> Facts:
    """What was counted over all shards; nothing for features that were imported."""
    facts: Facts = []
    for provenance in made:
        if provenance.stage == "ExtractFeatures":
            counts, knobs = provenance.counts, provenance.operational
            done = counts["images"] - counts["rejected"]
            facts += [
                (
                    "read",
                    f"{counts['images']:,} images, {counts['bytes_read'] / 1e6:,.1f} MB; "
                    f"{counts['rejected']:,} rejected",
                ),
                ("reading and decoding", f"{counts['decode_seconds']:,.1f} s, summed over threads"),
                (
                    "inference",
                    f"{counts['inference_seconds']:,.1f} s, and {counts['wait_seconds']:,.1f} s of waiting for pixels",
                ),
                ("batches", f"{counts['batches']:,}, {done / counts['batch_places']:.0%} full"),
                ("runner", " ".join([str(knobs["runner"]), *knobs["runner_options"]])),
            ]
    return facts


def _model(contents: ReportContents, made: Iterable[Provenance]) -> Facts:
    model = contents.model
    config = {name: value for name, value in model.config.items() if not name.endswith("_digest")}
    given = {name: value for name, value in model.made.parameters.items() if value is not None}
    facts = [
        ("variant", str(model.made.parameters["variant"])),
        ("vocabulary", f"{model.vocabulary_size:,} words"),
        ("configuration", in_words(config)),
        ("training", in_words(given)),
        ("outcome", in_words(model.made.counts)),
    ]
    seeds = {(each.stage, str(each.parameters["seed"])) for each in made if "seed" in each.parameters}
    return [*facts, ("seeds", "; ".join(f"{stage} {seed}" for stage, seed in sorted(seeds)) or "none")]


def _software(made: list[Provenance]) -> Facts:
    packages = dict.fromkeys(package for each in made for package in each.software)
    return [
        (package, _distinct(each.software[package] for each in made if package in each.software))
        for package in packages
    ]


def _hosts(made: list[Provenance]) -> Facts:
    things = dict.fromkeys(thing for each in made for thing in each.host)
    return [(thing, _distinct(in_words(each.host[thing]) for each in made if each.host.get(thing))) for thing in things]


def _revision(provenance: Provenance) -> str:
    if provenance.git is None:
        return "not run from a checkout"
    return str(provenance.git["revision"])[:_DIGITS] + (
        " with changes that were not committed" if provenance.git["dirty"] else ""
    )


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values)) or "none"
