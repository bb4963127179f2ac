"""Facts about a run as (term, value) pairs: dataset, features, model, software and hardware."""

from collections.abc import Iterable

from pipelines.report.data import ReportContents
from pipelines.report.format import plain
from schemas.provenance import Provenance

Facts = list[tuple[str, str]]
_REVISION_DIGITS = 12


def headline(contents: ReportContents) -> Facts:
    """Summarize the run in one line."""
    provenance = contents.model.provenance
    return [
        ("Dataset", f"{contents.dataset.title}, {sum(split.images for split in contents.splits):,} images"),
        ("Variant", str(provenance.parameters["variant"])),
        ("Backbone", contents.features.description.kind),
        ("Seed", str(provenance.parameters["seed"])),
        ("Revision", _revision(provenance)),
        ("Model", provenance.key),
    ]


def run_facts(contents: ReportContents) -> dict[str, Facts]:
    """Collect the facts by group. If stages were run under different versions, all of them are listed.

    Args:
        contents: The content of the report.
    """
    provenances = [entry.provenance for entry in contents.stages if entry.provenance is not None]
    return {
        "Dataset": _dataset(contents),
        "Image features": [*_features(contents), *_extraction(provenances)],
        "Model": _model(contents, provenances),
        "Software and hardware": [
            *_software(provenances),
            ("git revision", _distinct(map(_revision, provenances))),
            *_hosts(provenances),
        ],
    }


def _dataset(contents: ReportContents) -> Facts:
    dataset = contents.dataset
    return [
        ("name", f"{dataset.title} ({dataset.name})"),
        ("images", "; ".join(f"{split.name} {split.images:,}" for split in contents.splits)),
        ("captions", "; ".join(f"{split.name} {split.captions:,}" for split in contents.splits)),
        ("license", dataset.license),
        ("citation", dataset.citation),
    ]


def _features(contents: ReportContents) -> Facts:
    features = contents.features
    return [
        ("backbone", features.description.kind),
        ("preprocessing", features.description.preprocessing),
        ("weights", f"SHA-256 {features.description.weights_digest[:16]}…"),
        ("size", f"{features.images:,} images, {features.dimension:,} dimensions, {features.dtype}"),
    ]


def _extraction(provenances: Iterable[Provenance]) -> Facts:
    """Return totals of the extraction over all shards; empty for imported features."""
    facts: Facts = []
    for provenance in provenances:
        if provenance.stage in ("ExtractFeatures", "ExtractTunedFeatures"):
            counts, options = provenance.counts, provenance.operational
            done = counts["images"] - counts["rejected"]
            facts += [
                (
                    "input",
                    f"{counts['images']:,} images, {counts['bytes_read'] / 1e6:,.1f} MB; "
                    f"{counts['rejected']:,} rejected",
                ),
                ("reading and decoding", f"{counts['decode_seconds']:,.1f} s, total over all threads"),
                (
                    "inference",
                    f"{counts['inference_seconds']:,.1f} s, and {counts['wait_seconds']:,.1f} s waiting for images",
                ),
                ("batches", f"{counts['batches']:,}, {done / counts['batch_places']:.0%} full"),
                ("runner", " ".join([str(options["runner"]), *options["runner_options"]])),
            ]
    return facts


def _model(contents: ReportContents, provenances: Iterable[Provenance]) -> Facts:
    model = contents.model
    config = {name: value for name, value in model.config.items() if not name.endswith("_digest")}
    given = {name: value for name, value in model.provenance.parameters.items() if value is not None}
    facts = [
        ("variant", str(model.provenance.parameters["variant"])),
        ("vocabulary", f"{model.vocabulary_size:,} tokens"),
        ("configuration", plain(config)),
        ("training", plain(given)),
        ("results", plain(model.provenance.counts)),
    ]
    seeds = {(each.stage, str(each.parameters["seed"])) for each in provenances if "seed" in each.parameters}
    return [*facts, ("seeds", "; ".join(f"{stage} {seed}" for stage, seed in sorted(seeds)) or "none")]


def _software(provenances: list[Provenance]) -> Facts:
    packages = dict.fromkeys(package for each in provenances for package in each.software)
    return [
        (package, _distinct(each.software[package] for each in provenances if package in each.software))
        for package in packages
    ]


def _hosts(provenances: list[Provenance]) -> Facts:
    properties = dict.fromkeys(name for each in provenances for name in each.host)
    return [
        (name, _distinct(plain(each.host[name]) for each in provenances if each.host.get(name))) for name in properties
    ]


def _revision(provenance: Provenance) -> str:
    if provenance.git is None:
        return "not run from a git checkout"
    return str(provenance.git["revision"])[:_REVISION_DIGITS] + (
        " with uncommitted changes" if provenance.git["dirty"] else ""
    )


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values)) or "none"
