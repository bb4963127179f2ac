"""Artifacts of a small captioner: features, captions and an untrained model."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from model.backbones.spec import BackboneSpec
from model.decoding.beam_search import PLAIN, BeamSearch, decode_images
from model.decoding.constraints import DEFAULT_CONSTRAINTS
from model.decoding.strategies import BeamStrategy
from model.mrnn.config import ModelConfig
from model.mrnn.network import MRNN
from pipelines.engines.engine import Sharding
from pipelines.engines.shards import ImageSource
from pipelines.features.extract_features import ExtractionOptions, extract_features
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.checkpoint import write_checkpoint
from schemas.features import FeatureFile
from schemas.hypotheses import Hypothesis, ImageHypotheses
from schemas.io.files import write_json, write_json_lines
from schemas.provenance import Upstream
from schemas.reranking import RerankingSetting
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tests.support.artifacts import make_artifact
from tests.support.engines import SerialEngine

WORDS = "a dog cat <script>alert(1)</script> =cmd runs".split()
VOCABULARY = Vocabulary([*SPECIAL_WORDS, *WORDS])
SEARCH = BeamStrategy(4, 6, DEFAULT_CONSTRAINTS, PLAIN)
SETTING = RerankingSetting("cider", "refined", "euclidean", k=3, m=9)
NETWORKS = {
    "keras": ("keras:MobileNet", "random:0", 32, "ten_crop"),
    "lite": ("efficientnet-lite2/block2", "imagenet", 32, "ten_crop"),
    "alexnet": ("alexnet/pool5", "random:0", 67, "center"),
    "hub": ("hub", "", 8, "squash"),
}


class ColorMean(tf.Module):
    """A module as TensorFlow Hub publishes them: pixels in 0..1 -> one vector an image."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable([1.0, 2.0, 3.0])

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def __call__(self, images):
        return self.scale * tf.reduce_mean(images, [1, 2])


class ToyCaptioner:
    """Artifacts of eight training images, their captions and an untrained model."""

    def __init__(self, root: Path, network: str):
        name, weights, size, crop = NETWORKS[network]
        if network == "hub":
            tf.saved_model.save(ColorMean(), root / "module")
            name = f"hub:{root / 'module'}"
        self.root, self.network_name = root, name
        random = np.random.default_rng(0)
        self.images_dir = root / "images"
        self.images_dir.mkdir(parents=True)
        for number in range(8):
            pixels = np.clip(random.integers(0, 256, (1, 1, 3)) + random.integers(-40, 40, (40, 56, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(self.images_dir / f"p{number}.png")
        self.ids = [f"p{number}.png" for number in range(8)]
        self.features, self.captions, self.model = (
            root / "toys" / stage / "0123456789" for stage in ("ExtractFeatures", "TokenizeCaptions", "TrainModel")
        )
        self.spec, self.crop = BackboneSpec(name, weights, size), crop
        images = [ImageSource(image_id, str(self.images_dir / image_id)) for image_id in self.ids]
        self.features.mkdir(parents=True)
        extract_features(
            images,
            self.features,
            ExtractionOptions(self.spec, crop, "float16", "toys", batch_size=3, decode_threads=2),
            Sharding(SerialEngine(), 2, str(root / "shards")),
            0.0,
        )
        file = FeatureFile(self.features / "features.h5")
        self.rows = file.read(self.ids)
        self.tokens = {image_id: [list(random.choice(WORDS, 4)) for _ in range(2)] for image_id in self.ids}
        write_json_lines(
            self.captions / "tokens.jsonl",
            ({"image_id": image, "split": "train", "tokens": tokens} for image, tokens in self.tokens.items()),
        )
        self.net = MRNN(len(VOCABULARY), self.rows.shape[1], ModelConfig("mrnn", 8, 8, 8), seed=1)
        self.net.set_weights([random.standard_normal(weight.shape) for weight in self.net.get_weights()])
        write_checkpoint(self.model, self.net.save, self.net.get_config(), VOCABULARY, [])
        # Like ExtractFeatures: the content of a network on this disk is significant, its location is not.
        held = {"backbone": "hub:module SHA-256 00"} if network == "hub" else {"backbone": name}
        self.parameters = {
            "dataset": "toys",
            **held,
            "weights": weights,
            "input_size": size,
            "crop": crop,
            "dtype": "float16",
        }
        self.parameters["precision"] = "float32"
        self.parameters["pool"] = "average"
        operational = {"backbone": name} if network == "hub" else {}
        download, annotations = (
            root / "toys" / stage / "0123456789" for stage in ("DownloadDataset", "PrepareAnnotations")
        )
        write_json(download / "manifest.json", {"root": str(self.images_dir)})
        write_annotations(
            annotations,
            [AnnotatedImage(each, each, "train", 56, 40, (f"toy <b>{each}</b>",)) for each in self.ids],
        )
        made_from: dict[Path, dict[str, Path]] = {
            download: {},
            annotations: {},
            self.features: {"download": download, "annotations": annotations},
            self.captions: {},
            self.model: {"features": self.features, "captions": self.captions},
        }
        for directory, sources in made_from.items():
            own = self.parameters if directory == self.features else {}
            upstream = {name: Upstream(source.parent.name, source.name, "00") for name, source in sources.items()}
            place = "/".join(directory.parts[-3:])
            make_artifact(root, place, parameters=own, upstream=upstream, operational=operational)

    def in_the_pipeline(self) -> list[ImageHypotheses]:
        found = decode_images(BeamSearch(self.net, SEARCH.width, SEARCH.max_length), self.rows, 5)
        return [
            ImageHypotheses(
                image_id, tuple(Hypothesis(tuple(VOCABULARY.decode(c.tokens)), c.log_prob) for c in captions)
            )
            for image_id, captions in zip(self.ids, found, strict=True)
        ]

    def release(self) -> Path:
        folder = self.root / "release"
        shutil.copytree(self.model, folder / "model")
        write_json(folder / "provenance" / "original.json", {"stage": "ExtractFeatures", "parameters": self.parameters})
        description = FeatureFile(self.features / "features.h5").description
        write_json(folder / "release.json", {"backbone": asdict(description)})
        return folder
