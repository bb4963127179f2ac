"""VGG16 features from JPEG files to the artifact: against the bare network, and against the plain Keras loop."""

import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from benchmarks.machine import describe_run
from benchmarks.photographs import make_photographs
from benchmarks.timing import Rounds, per_unit, print_head, print_row
from model.backbones import load_backbone
from model.backbones.images import cut_crops
from model.backbones.spec import BackboneSpec
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Sharding
from pipelines.engines.shards import ImageSource
from pipelines.features.extract_features import ExtractionOptions, extract_features
from pipelines.features.images import read_image

IMAGES, LOOPED, BATCH = 128, 16, 32
SPEC = BackboneSpec("vgg16/fc2", "random:0")


def run() -> None:
    """Compare images a second, in rounds, and bytes on disk."""
    options = ExtractionOptions(SPEC, "center", "float16", "benchmark", BATCH, decode_threads=2)
    engine = BeamEngine()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        sources = make_photographs(root, IMAGES)
        bare, loop = BareForward(sources), KerasLoop(root)
        loop.run(sources[:2])

        def ours() -> None:
            shutil.rmtree(root / "shards", ignore_errors=True)
            (root / "features.h5").unlink(missing_ok=True)
            extract_features(sources, root, options, Sharding(engine, 4, str(root / "shards")), 1.0)

        ours()
        rounds = Rounds(
            {
                "ours": per_unit(ours, IMAGES),
                "bare": per_unit(bare.run, IMAGES),
                "loop": per_unit(lambda: loop.run(sources[:LOOPED]), LOOPED),
            }
        )
        print(describe_run("python -m benchmarks extraction"))
        print_head("files to artifact", "comparison", "ratio")
        pace = f"{rounds.rate('ours'):.1f} images/s"
        for other, what in (("bare", "bare network"), ("loop", "Keras loop, one image at a time, `savetxt`")):
            print_row(pace, f"{what}: {rounds.rate(other):.1f} images/s", rounds.ratio("ours", other))
        ours_bytes = (root / "features.h5").stat().st_size / IMAGES
        theirs_bytes = sum(path.stat().st_size for path in root.glob("*.txt")) / LOOPED
        print_row(
            f"{ours_bytes:,.0f} bytes per image, float16 HDF5",
            f"TF-mRNN's text files: {theirs_bytes:,.0f} bytes",
            f"{ours_bytes / theirs_bytes:.2f}",
        )


class BareForward:
    """The network alone, on decoded pixels."""

    def __init__(self, sources: list[ImageSource]):
        """Decode all images."""
        self.backbone = load_backbone(SPEC)
        self.pixels = np.concatenate(
            [cut_crops(read_image(source)[0], self.backbone.input_size, "center") for source in sources]
        )
        self.backbone.features(self.pixels[:BATCH])

    def run(self) -> None:
        """Process all images once, in full batches."""
        for start in range(0, len(self.pixels), BATCH):
            self.backbone.features(self.pixels[start : start + BATCH])


class KerasLoop:
    """TF-mRNN's extraction: one image at a time, one text file each."""

    def __init__(self, directory: Path):
        """Build VGG16 up to fc2."""
        full = keras.applications.VGG16(weights=None)
        self.model = keras.Model(full.input, full.get_layer("fc2").output)
        self.directory = directory

    def run(self, sources: list[ImageSource]) -> None:
        """Extract and write the features of all images."""
        for source in sources:
            image = keras.utils.img_to_array(keras.utils.load_img(source.path, target_size=(224, 224)))
            features = self.model.predict(keras.applications.vgg16.preprocess_input(image[None]), verbose=0)
            np.savetxt(self.directory / f"{source.image_id}.txt", features[0], fmt="%.6e")
