"""CLIPScore and RefCLIPScore (Hessel et al. 2021) with a CLIP model in ONNX.

CLIPScore of an image is 2.5 * max(cos(image, caption), 0). RefCLIPScore is the harmonic mean of it and of
max(cos(reference, caption), 0) of the closest reference.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.metrics.bootstrap import Statistics, mean_of
from model.metrics.java import ScorerMissing
from schemas.text import install_hint

NAMES = ("CLIPScore", "RefCLIPScore")
FILES = ("vision_model.onnx", "text_model.onnx", "tokenizer.json")
_WEIGHT, _PROMPT = 2.5, "A photo depicts "  # as in the authors' program
_MAX_TOKENS, _BATCH = 77, 32
# CLIP's preprocessing, where the directory has no preprocessor_config.json.
_SIZE = 224
_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

_T = TypeVar("_T")


class ClipModel:
    """Embeddings of images and texts.

    Attributes:
        version: Name of the directory and digest of the image model, for a signature.
    """

    def __init__(self, folder: Path):
        """Load `vision_model.onnx`, `text_model.onnx` and `tokenizer.json` of a directory, or of its `onnx` directory.

        Raises:
            ScorerMissing: A package or file is missing, or a file cannot be loaded.
        """
        for package in ("onnxruntime", "tokenizers"):
            if find_spec(package) is None:
                raise ScorerMissing(f"CLIPScore needs the package {package}; {install_hint('clip')}.")
        import onnxruntime
        from tokenizers import Tokenizer

        vision, text, tokenizer = (_find(folder, name) for name in FILES)
        try:
            self._vision, self._text = (
                onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (vision, text)
            )
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
            config = folder / "preprocessor_config.json"
            self._preprocessing: dict[str, Any] = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        except Exception as error:  # the runtime and the tokenizer raise classes of their own
            raise ScorerMissing(f"the CLIP model in {folder} cannot be loaded ({error}).") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self.version = f"{folder.resolve().name}-{hashlib.sha256(vision.read_bytes()).hexdigest()[:8]}"

    def embed_images(self, images: Iterable[Image.Image]) -> NDArray[np.float32]:
        """Embed RGB images as unit vectors, float32 (N, D)."""
        name = self._vision.get_inputs()[0].name
        blocks = [
            _output(self._vision, "image_embeds", {name: np.stack([self._pixels(image) for image in batch])})
            for batch in _batches(images)
        ]
        return _unit(np.concatenate(blocks))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed captions, to which the prompt is added, as unit vectors, float32 (N, D)."""
        ids = [self._tokenizer.encode(f"{_PROMPT}{text}").ids for text in texts]
        by_length: defaultdict[int, list[int]] = defaultdict(list)  # batches without padding
        for row, tokens in enumerate(ids):
            by_length[len(tokens)].append(row)
        wanted = {given.name for given in self._text.get_inputs()}
        embeddings: dict[int, NDArray[np.float32]] = {}
        for rows in by_length.values():
            for batch in _batches(rows):
                block = np.array([ids[row] for row in batch], np.int64)
                inputs = {"input_ids": block, "attention_mask": np.ones_like(block)}
                found = _output(self._text, "text_embeds", {name: inputs[name] for name in inputs if name in wanted})
                embeddings.update(zip(batch, found, strict=True))
        return _unit(np.stack([embeddings[row] for row in range(len(texts))]))

    def _pixels(self, image: Image.Image) -> NDArray[np.floating]:
        """Resize the short side, crop the center and normalize: float32 (3, size, size)."""
        size = self._preprocessing.get("crop_size", _SIZE)
        size = size["height"] if isinstance(size, dict) else size
        short = min(image.size)
        width, height = (int(size * side / short) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - size) / 2), round((height - size) / 2)
        pixels = np.asarray(image.crop((left, top, left + size, top + size)), np.float32) / 255
        mean, std = self._preprocessing.get("image_mean", _MEAN), self._preprocessing.get("image_std", _STD)
        return ((pixels - np.array(mean, np.float32)) / np.array(std, np.float32)).transpose(2, 0, 1)


def score(
    images: NDArray[np.float32],
    captions: NDArray[np.float32],
    references: NDArray[np.float32],
    owners: NDArray[np.integer],
) -> dict[str, Statistics]:
    """Return the statistics of both scores, means over images.

    Args:
        images: Unit vectors of the images: (N, D).
        captions: Unit vectors of their captions: (N, D).
        references: Unit vectors of their references: (R, D).
        owners: Index of the image of each reference: (R,).
    """
    clip = _WEIGHT * np.maximum((images * captions).sum(axis=1, dtype=np.float64), 0)
    closest = np.zeros(len(images))  # also where all cosines are negative
    np.maximum.at(closest, owners, (captions[owners] * references).sum(axis=1, dtype=np.float64))
    both = clip + closest
    harmonic = np.divide(2 * clip * closest, both, out=np.zeros(len(images)), where=both > 0)
    return {"CLIPScore": mean_of(clip), "RefCLIPScore": mean_of(harmonic)}


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / "onnx" / name):
        if path.is_file():
            return path
    raise ScorerMissing(f"{folder} has no {name}; give the directory of a CLIP model in ONNX with {', '.join(FILES)}.")


def _output(session: Any, name: str, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the output of that name, or the first one."""
    names = [output.name for output in session.get_outputs()]
    try:
        (found,) = session.run([name if name in names else names[0]], inputs)
    except Exception as error:  # classes of the runtime
        raise ScorerMissing(f"the CLIP model failed ({error}).") from error
    return np.asarray(found, np.float32).reshape(len(found), -1)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit
