"""Machine-readable metadata: Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""

import mimetypes
from typing import Any

from pipelines.data.dataset import Dataset

_CROISSANT = "http://mlcommons.org/croissant/"
_TERMS = (
    "citeAs column conformsTo equivalentProperty extract field fileProperty fileObject fileSet format includes "
    "isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate "
    "separator source subField transform"
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": _CROISSANT,
    "rai": f"{_CROISSANT}RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
_MEDIA_TYPES = {".h5": "application/x-hdf5", ".jsonl": "application/jsonl", ".md": "text/markdown"}


def croissant(
    dataset: Dataset, index: dict[str, Any], files: dict[str, dict[str, Any]], base_url: str, date: str
) -> dict[str, Any]:
    """Build the JSON-LD description of a release.

    The specification also requires a URL and a date of publication; both are left out while they are unknown.

    Args:
        dataset: Description of the dataset.
        index: Content of `release.json`.
        files: `sha256` and `size` of each file by name.
        base_url: URL of the release; may be empty.
        date: Date of publication, ISO 8601; may be empty.
    """
    total = sum(index["images"].values())
    address = base_url or dataset.homepage
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_CROISSANT}1.0",
        "name": f"m-rnn-features-{index['dataset']}",
        "description": f"Original and refined image features of {total} images of {dataset.title}, by split, with "
        "the m-RNN captioner that refined them, its vocabulary and its captions of the test images.",
        "license": dataset.license,
        "citeAs": dataset.citation,
        "creator": {"@type": "sc:Organization", "name": "The m-RNN reproduction contributors"},
        "keywords": ["image features", "image captioning", "m-RNN"],
        "version": f"1.0.0+{index['key']}",
        "isLiveDataset": False,
        **({"url": address} if address else {}),
        **({"datePublished": date} if date else {}),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{each['size']} B",
                "encodingFormat": _media_type(name),
                "sha256": each["sha256"],
            }
            for name, each in sorted(files.items())
        ],
    }


def _media_type(name: str) -> str:
    suffix = name[name.rfind(".") :]
    return _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name, strict=True)[0] or "application/octet-stream"
