"""Cards of a release: Markdown with the YAML front matter that model hubs read."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

from pipelines.data.dataset import Dataset
from pipelines.release.layout import KINDS
from schemas.features import FeatureFile
from schemas.io.files import read_json
from schemas.provenance import read_provenance

_SIZES = {"n<1K": 1000, "1K<n<10K": 10_000, "10K<n<100K": 100_000, "100K<n<1M": 1_000_000}


def dataset_card(dataset: Dataset, index: dict[str, Any], sources: dict[str, Path]) -> str:
    """Render README.md of the release, whose front matter makes the directory a Hugging Face repository.

    `datasets.load_dataset` reads the features of either kind by the entries of `configs`.

    Args:
        dataset: Description of the dataset.
        index: Content of `release.json`.
        sources: Artifacts by name, as `write_release` takes them.
    """
    total = sum(index["images"].values())
    front = {
        **license_metadata(dataset),
        "pretty_name": f"m-RNN features of {dataset.title}",
        "language": ["en"],
        "task_categories": ["image-to-text", "image-feature-extraction"],
        **_model_metadata(dataset, sources["model"]),
        "size_categories": [next((name for name, limit in _SIZES.items() if total < limit), "n>1M")],
        "configs": [_feature_config(kind, list(index["images"])) for kind in reversed(KINDS)],
    }
    kinds = {}
    for kind in KINDS:
        kinds[kind] = FeatureFile(sources[kind] / "features.h5").description
    return render_card("dataset_card.md", front, dataset=dataset, index=index, total=total, kinds=kinds)


def model_card(dataset: Dataset, sources: dict[str, Path]) -> str:
    """Render README.md of the model's directory.

    Args:
        dataset: Description of the dataset.
        sources: Artifacts by name, as `write_release` takes them.
    """
    model = sources["model"]
    made = read_provenance(model)
    front = {**license_metadata(dataset), "language": ["en"], **_model_metadata(dataset, model)}
    config = {name: value for name, value in read_json(model / "config.json").items() if isinstance(value, int | float)}
    return render_card(
        "model_card.md", front, dataset=dataset, made=made, config=config, tuned="image_network" in sources
    )


def license_metadata(dataset: Dataset) -> dict[str, str]:
    """Return the license in the front matter: hubs accept a list of identifiers, and `other` for any other terms."""
    if dataset.license_id:
        return {"license": dataset.license_id}
    return {"license": "other", "license_name": "dataset-terms"}


def _model_metadata(dataset: Dataset, model: Path) -> dict[str, Any]:
    """Front matter of the trained model, with its validation scores."""
    made = read_provenance(model)
    counts = {"cider": "val_cider", "perplexity": "val_perplexity"}
    metrics = [{"type": name, "value": made.counts[count]} for name, count in counts.items() if count in made.counts]
    results = {
        "task": {"type": "image-to-text"},
        "dataset": {"name": dataset.title, "type": made.dataset, "split": "validation"},
        "metrics": metrics,
    }
    return {
        "pipeline_tag": "image-to-text",
        "library_name": "keras",
        "tags": ["image-captioning", "image-features", "m-rnn"],
        "datasets": [made.dataset],
        "metrics": list(counts),
        "model-index": [{"name": f"m-RNN on {dataset.title}", "results": [results]}],
    }


def _feature_config(kind: str, splits: list[str]) -> dict[str, Any]:
    """Return the entry of `configs` for one kind of features; the hub's name of the split `val` is `validation`."""
    files = [
        {"split": "validation" if split == "val" else split, "path": f"features/{kind}_{split}.h5"} for split in splits
    ]
    return {"config_name": kind, **({"default": True} if kind == "refined" else {}), "data_files": files}


def render_card(template: str, front: dict[str, Any], **values: Any) -> str:
    """Render a template of this directory below its YAML front matter."""
    header = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n{_environment().get_template(template).render(values)}"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
