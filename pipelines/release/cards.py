"""The cards of a release: what it is, in Markdown with YAML front matter, as model hubs read it."""

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

from pipelines.data.dataset import Dataset
from schemas.features import FeatureFile
from schemas.io.files import read_json
from schemas.provenance import read_provenance

_SIZES = {"n<1K": 1000, "1K<n<10K": 10_000, "10K<n<100K": 100_000, "100K<n<1M": 1_000_000}
# Each corpus has a license of its own, in words; the hubs know a few names only, and `other`.
_LICENSE = {"license": "other", "license_name": "that-of-the-corpus"}


def dataset_card(corpus: Dataset, index: dict[str, Any], sources: dict[str, Path]) -> str:
    """README.md of the release."""
    total = sum(index["images"].values())
    front = {
        **_LICENSE,
        "pretty_name": f"m-RNN features of {corpus.title}",
        "task_categories": ["image-to-text", "image-feature-extraction"],
        "tags": ["image-captioning", "image-features", "m-rnn"],
        "size_categories": [next((name for name, limit in _SIZES.items() if total < limit), "n>1M")],
    }
    kinds = {}
    for kind in ("original", "refined"):
        kinds[kind] = FeatureFile(sources[kind] / "features.h5").description
    return _card("dataset_card.md", front, corpus=corpus, index=index, total=total, kinds=kinds)


def model_card(corpus: Dataset, sources: dict[str, Path]) -> str:
    """README.md of the model's folder."""
    model = sources["model"]
    made = read_provenance(model)
    front = {
        **_LICENSE,
        "library_name": "keras",
        "pipeline_tag": "image-to-text",
        "tags": ["image-captioning", "m-rnn"],
        "model-index": [
            {
                "name": "m-RNN",
                "results": [
                    {
                        "task": {"type": "image-to-text"},
                        "dataset": {"name": corpus.title, "type": made.dataset, "split": "validation"},
                        "metrics": [
                            {"type": "cider", "value": made.counts.get("val_cider")},
                            {"type": "perplexity", "value": made.counts.get("val_perplexity")},
                        ],
                    }
                ],
            }
        ],
    }
    config = {name: value for name, value in read_json(model / "config.json").items() if isinstance(value, int | float)}
    return _card("model_card.md", front, corpus=corpus, made=made, config=config, tuned="image_network" in sources)


def _card(template: str, front: dict[str, Any], **values: Any) -> str:
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
