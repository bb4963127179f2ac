"""COCO results JSON, `[{"image_id", "caption"}]`, written before scoring."""

from collections.abc import Mapping
from pathlib import Path

from schemas.errors import ArtifactError
from schemas.io.files import read_json, write_json


def write_results(path: Path, captions: Mapping[str, str]) -> None:
    """Write one caption per image, in the order of the mapping."""
    write_json(path, [{"image_id": image_id, "caption": caption} for image_id, caption in captions.items()])


def read_results(path: Path) -> dict[str, str]:
    """Read COCO results; image ids become strings.

    Raises:
        ArtifactError: The file has another format, or an image has two captions.
    """
    records = read_json(path)
    if not isinstance(records, list) or not all(
        isinstance(record, dict) and "image_id" in record and isinstance(record.get("caption"), str)
        for record in records
    ):
        raise ArtifactError(f'{path} is not COCO results JSON, a list of {{"image_id", "caption"}}.')
    captions: dict[str, str] = {}
    for record in records:
        image_id = str(record["image_id"])
        if image_id in captions:
            raise ArtifactError(f"{path} has two captions of image {image_id}; keep one.")
        captions[image_id] = record["caption"]
    return captions
