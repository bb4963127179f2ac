"""A small run of the pipeline, as artifacts, and the release made from it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipelines.release.layout import CROISSANT, SUMS, released_files
from pipelines.release.publish_features import ReleaseOptions, write_release
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.checkpoint import write_checkpoint
from schemas.features import FeatureDescription, write_features
from schemas.hypotheses import Hypothesis, ImageHypotheses, write_hypotheses
from schemas.io.files import digest_file, read_json, write_json, write_json_lines
from schemas.neighbors import Neighbors, write_neighbors
from schemas.provenance import Provenance, write_provenance
from schemas.vocabulary import Vocabulary

SPLIT_OF = {"1": "train", "2": "train", "3": "train", "4": "val", "5": "test", "6": "test", "7": "test"}
WITH_FEATURES = ["1", "2", "3", "4", "5", "6"]  # image 7 could not be read
CAPTIONS = ("A dog runs", "Café dog")
VOCABULARY = Vocabulary(["<pad>", "<unk>", "<bos>", "dog", "a", "runs", "café"])


@dataclass
class Toy:
    """A made-up dataset and its artifacts; `release` writes a release from them."""

    root: Path
    dataset: Any
    sources: dict[str, Path]
    original: np.ndarray
    refined: np.ndarray

    def release(self, name: str = "release", **options: Any) -> Path:
        given = {"dtype": "float16", "formats": [], "base_url": "", "date": "", **options}
        write_release(self.root / name, self.dataset, self.sources, ReleaseOptions(**given), lambda *_: None)
        return self.root / name

    def say_who_made_it(self, started: str) -> None:
        """Completes all artifacts as a run at that time would."""
        for name, directory in self.sources.items():
            counts = {"val_cider": 0.5, "val_perplexity": 7.5, "captions": 6, "epochs": 3, "best_epoch": 2}
            write_provenance(
                directory,
                Provenance(
                    key=f"{len(name):010x}",
                    stage=name,
                    version=1,
                    dataset="toys",
                    parameters={"seed": 0},
                    upstream={},
                    digest="00",
                    files={},
                    software={"python": "3.11"},
                    git=None,
                    host={"cpus": len(started)},
                    started=started,
                    seconds=float(len(started)),
                    peak_memory_bytes=len(started),
                    counts={**counts, "parameters": 9, "inference_seconds": len(started)},
                    operational={"data_dir": str(self.root)},
                ),
            )


def make_network(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"date_saved": "now"}')


def neighbors_of(kind: str, folder: Path) -> None:
    write_neighbors(
        folder / "neighbors.h5",
        Neighbors(
            ["5", "6"],
            ["1", "2", "3"],
            np.array([[0, 2], [1, 0]]),
            np.array([[0.5, 1.0], [0.0, 2.0]]),
            kind,
            "euclidean",
        ),
    )


def make_toy(root: Path) -> Toy:
    """Write the artifacts below `root`."""
    dataset = SimpleNamespace(
        title="Toys: a | dataset",
        homepage="https://toys.example/",
        license="For play only.",
        license_id="",
        citation="A. Toy (2001). Toys.",
        test_captions_public=True,
    )
    names = ("annotations", "captions", "original", "refined", "model", "hypotheses", "reranked")
    sources = {name: root / "var" / name for name in (*names, "neighbors_original", "neighbors_refined")}
    for folder in sources.values():
        folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    original = random.standard_normal((6, 5)).astype(np.float32)
    refined = random.standard_normal((6, 3)).astype(np.float32)

    write_annotations(
        sources["annotations"],
        [
            AnnotatedImage(image_id, f"images/{image_id}.jpg", split, 4, 3, (*CAPTIONS, f"a dog {image_id}"))
            for image_id, split in SPLIT_OF.items()
        ],
    )
    tokens = [["a", "dog", "runs"], ["café", "dog"]]
    write_json_lines(
        sources["captions"] / "tokens.jsonl",
        (
            {"image_id": image_id, "split": split, "tokens": [*tokens, ["a", "dog", image_id]]}
            for image_id, split in SPLIT_OF.items()
        ),
    )
    description = FeatureDescription("toy/fc", "none", "00", "toys")
    write_features(sources["original"] / "features.h5", WITH_FEATURES, original, description)
    write_features(sources["refined"] / "features.h5", WITH_FEATURES, refined, description)
    write_checkpoint(sources["model"], make_network, {"seed": 0}, VOCABULARY, [])
    hypotheses = [
        ImageHypotheses(image_id, (Hypothesis(("a", "dog"), -1.0), Hypothesis(("café", "runs"), -2.0)))
        for image_id in ("5", "6")
    ]
    write_hypotheses(sources["hypotheses"], hypotheses)
    write_hypotheses(
        sources["reranked"], [ImageHypotheses(image.image_id, image.captions[::-1]) for image in hypotheses]
    )
    write_json_lines(sources["reranked"] / "reranked.jsonl", [{"image_id": "5"}, {"image_id": "6"}])
    for kind in ("original", "refined"):
        neighbors_of(kind, sources[f"neighbors_{kind}"])
    made = Toy(root, dataset, sources, original, refined)
    made.say_who_made_it("2024-01-01T00:00:00+00:00")
    return made


def sum_again(release: Path, described: bool = True) -> None:
    """Update the digests of a changed release, like an attacker or a faulty program."""
    if described:
        metadata = read_json(release / CROISSANT)
        for each in metadata["distribution"]:
            each["sha256"] = digest_file(release / each["contentUrl"])
        write_json(release / CROISSANT, metadata)
    lines = (f"{digest_file(path)}  {name}\n" for name, path in released_files(release))
    (release / SUMS).write_text("".join(lines))
