"""Feature extraction from image files to the artifact, against the same network on ready pixels."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import compare, seconds
from model.backbones import BackboneSpec, load_backbone
from model.images import cut_crops, decode_image
from pipelines.datasets.shapes import CORPUS
from pipelines.extract import Engine, ExtractionOptions, extract_features
from pipelines.shards import ImageSource

IMAGES, SIZE, BATCH = 480, 64, 32


def run() -> None:
    """Compares images a second, VGG16 at 64x64 on seeded weights."""
    spec = BackboneSpec("vgg16/block5_pool", "random:0", SIZE)
    backbone = load_backbone(spec)
    options = ExtractionOptions(spec, "squash", "float16", BATCH, decode_threads=2)
    engine = Engine("apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        CORPUS.generate(root, seed=0, images=IMAGES, progress=lambda fraction, message: None)
        files = sorted((root / "images").iterdir())
        sources = [ImageSource(file.stem, str(file)) for file in files]
        pixels = np.concatenate([cut_crops(decode_image(file.read_bytes()), SIZE, "squash") for file in files])
        backbone.features(pixels[:BATCH])

        def bare() -> None:
            for start in range(0, IMAGES, BATCH):
                backbone.features(pixels[start : start + BATCH])

        def pipeline() -> None:
            extract_features(
                sources, root, str(root / "shards"), 4, options, engine, "shapes", 1.0, lambda fraction, message: None
            )

        plain, ours = seconds(bare), seconds(pipeline)
    compare("extraction", IMAGES / ours, IMAGES / plain, "images/s", "files to artifact", "bare network")
