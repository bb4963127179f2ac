"""The artifacts of a run with made-up content, written by the real writers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.data.datasets.flickr8k import Flickr8k
from pipelines.report.data import ReportInputs
from pipelines.report.render import LISTED
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.captions import write_captions
from schemas.checkpoint import write_checkpoint
from schemas.features import FeatureDescription, Reject, write_features, write_rejects
from schemas.hypotheses import Hypothesis, ImageHypotheses, write_hypotheses
from schemas.io.files import digest_files, write_json_lines, write_text
from schemas.neighbors import Neighbors, write_neighbors
from schemas.provenance import Provenance, Upstream, artifact_key, list_files, write_provenance
from schemas.results import write_results
from schemas.scores import (
    CaptionScores,
    Recall,
    RetrievalScores,
    write_caption_scores,
    write_retrieval_scores,
)
from schemas.vocabulary import Vocabulary

HOSTILE = """<script>alert("1")</script>'"><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}"""
WORDS = ("a", "red", "blue", "dog", "cat", "runs", "sits")
TRAINING = {"seed": 3, "variant": "mrnn", "select_by": "cider", "word_dropout": None}
WARNING = "CIDEr-D takes its document frequencies from 14 images only <here>."
METEOR_REASON = "no Java runtime was found <here>."


def imitate_run(root: Path) -> ReportInputs:
    """A small run on a dataset with hostile names and captions, a rejected and a missing image."""
    images = []
    for index in range(60):
        split = ("train", "train", "val", "test")[index % 4]
        name = f"{index}{HOSTILE}" if index in (0, 3) else f"image_{index}"
        caption = HOSTILE if index in (0, 3) else f"a {WORDS[1 + index % 2]} dog runs"
        images.append(AnnotatedImage(name, f"{index}.png", split, 300, 200, (caption, "a cat sits")))
        Image.new("RGB", (300, 200), (4 * index, 80, 120)).save(root / f"{index}.png")
    (root / "7.png").unlink()
    (root / "11.png").write_bytes(b"no image")
    rejects = [Reject("image_11", "decode", HOSTILE)]
    problems = [f"Problem {n}: {HOSTILE}" for n in range(LISTED + 5)]
    paths = imitate(root / "var", "flickr8k", images, rejects, problems, blind=True)
    return ReportInputs(
        title="A report", dataset=Flickr8k(), image_root=root, note=f"Random weights {HOSTILE}", **paths
    )


def imitate(
    folder: Path, dataset: str, images: list[AnnotatedImage], rejects: list[Reject], problems: list[str], blind: bool
) -> dict[str, Any]:
    """Write the artifacts of a run with made-up content; return them by the fields of `ReportInputs`."""
    random = np.random.default_rng(0)

    def artifact(
        stage: str,
        write: Callable[[Path], object],
        upstream: tuple[Path, ...] = (),
        counts: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> Path:
        above = {path.parent.name: Upstream(path.parent.name, path.name, "0" * 64) for path in upstream}
        key = artifact_key(stage, 1, parameters, {name: each.key for name, each in above.items()})
        directory = folder / dataset / stage / key
        directory.mkdir(parents=True)
        write(directory)
        files = list_files(directory, ("*",))
        record = {
            "key": key,
            "stage": stage,
            "version": 1,
            "dataset": dataset,
            "parameters": parameters,
            "upstream": above,
            "digest": digest_files(files),
            "files": files,
            "counts": counts or {},
            "started": "2026-01-02T03:04:05+00:00",
            "seconds": 75.0,
            "peak_memory_bytes": 2_500_000_000,
            "software": {"python": "3.11.2", "tensorflow": "2.21.0"},
            "git": {"revision": "abc1234", "dirty": True},
            "host": {"machine": "x86_64", "cpus": 2, "gpus": []},
            "operational": {"runner": "beam.Runner", "runner_options": ["--workers=2"]},
        }
        write_provenance(directory, Provenance(**record))
        return directory

    lost = {reject.image_id for reject in rejects}
    kept = [image for image in images if image.image_id not in lost]
    train, test = ([image.image_id for image in kept if image.split == split] for split in ("train", "test"))
    words = [[caption.lower().split() for caption in image.captions] for image in images]
    vocabulary = Vocabulary.from_captions((caption for each in words for caption in each), 1)
    beam = [
        ImageHypotheses(
            image_id,
            tuple(
                Hypothesis(tuple(random.choice(WORDS, 4 + rank)), -3.0 - rank - float(random.random()))
                for rank in range(4)
            ),
        )
        for image_id in test
    ]
    reranked = [ImageHypotheses(each.image_id, each.captions[::-1]) for each in beam]

    def write_prepared(directory: Path) -> None:
        write_annotations(directory, images)
        write_text(directory / "problems.txt", "".join(problem + "\n" for problem in problems))

    def write_tokenized(directory: Path) -> None:
        ids, splits = [image.image_id for image in images], [image.split for image in images]
        write_captions(directory / "captions.h5", vocabulary, ids, splits, words)

    def write_extracted(directory: Path) -> None:
        described = FeatureDescription("vgg16/fc2", "center crop to 224, BGR", "f" * 64, dataset)
        rows = random.random((len(kept), 8), np.float32)
        write_features(directory / "features.h5", [image.image_id for image in kept], rows, described)
        write_rejects(directory, rejects)

    def write_model(directory: Path) -> None:
        curve = [
            {
                "epoch": n,
                "loss": 6 / n,
                "train_perplexity": 60 / n,
                "val_perplexity": 70 / n,
                "val_cider": score,
                "score": score,
            }
            for n, score in ((n, 0.2 + n / 10 - n * n / 80) for n in range(1, 8))
        ]
        config = {"embedding_size": 128, "recurrent_size": 256, "seed": 3}
        write_checkpoint(directory, lambda path: write_empty_zip(path), config, vocabulary, curve)

    def write_reranked(directory: Path) -> None:
        write_hypotheses(directory, reranked)
        records = [{"image_id": each, "scores": [0.9, 0.7, 0.5, 0.3], "neighbors": train[:2]} for each in test]
        write_json_lines(directory / "reranked.jsonl", records)

    def nearest(kind: str) -> Path:
        order = np.array([random.permutation(len(train)) for _ in test], np.int32)
        found = Neighbors(test, train, order, np.sort(random.random(order.shape), axis=1), kind, "euclidean")

        def write(directory: Path) -> None:
            write_neighbors(directory / "neighbors.h5", found)

        return artifact("FindNeighbors", write, (features,), feature_kind=kind)

    def scored(captions: str, source: Path, sentences: list[ImageHypotheses], image_input: str = "own") -> Path:
        metrics = {name: float(random.random()) for name in ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L")}
        scores = CaptionScores(
            split="test",
            n=len(test),
            captions=captions,
            beam_width=4,
            reranking={"similarity": "cider", "features": "refined", "k": 60, "m": 125}
            if captions == "reranked"
            else None,
            image_input=image_input,
            tokenizer="Treebank",
            document_frequencies="references of the scored images",
            metrics={**metrics, "CIDEr-D": float(random.random())},
            intervals={name: [value - 0.01, value + 0.01] for name, value in metrics.items()},
            left_out={"METEOR": METEOR_REASON},
            warnings=[WARNING],
            perplexity=12.34567,
            statistics={"mean_length": 5.5, "distinct_captions": len(test)},
        )

        def write(directory: Path) -> None:
            write_results(directory / "results.json", {e.image_id: " ".join(e.captions[0].tokens) for e in sentences})
            write_caption_scores(directory, scores, test, {"CIDEr-D": random.random(len(test)).tolist()})

        return artifact("EvaluateCaptions", write, (source,), captions=captions, image_input=image_input)

    def write_retrieval(directory: Path) -> None:
        recalls = Recall(10.04, 20.0, 30.0, 7.5, 21.5), Recall(11.0, 21.0, 31.0, 8.0, 22.5)
        write_retrieval_scores(directory, RetrievalScores("test", "all", len(test), 5 * len(test), 100, *recalls))

    annotations = artifact("PrepareAnnotations", write_prepared, counts={"images": len(images)})
    captions = artifact("TokenizeCaptions", write_tokenized, (annotations,), {"test": {"captions": 5}}, min_count=1)
    extraction = {"images": 1200, "rejected": 8, "bytes_read": 2_500_000, "batches": 40, "batch_places": 1280}
    extraction |= {"decode_seconds": 12.34, "wait_seconds": 0.5, "inference_seconds": 60.0}
    features = artifact("ExtractFeatures", write_extracted, (annotations,), extraction, weights="random:0", seed=0)
    model = artifact("TrainModel", write_model, (captions, features), {"parameters": 1_234_567}, **TRAINING)
    hypotheses = artifact("GenerateCaptions", lambda directory: write_hypotheses(directory, beam), (model,))
    reordered = artifact("RerankCaptions", write_reranked, (hypotheses,))
    rows = {"beam": scored("beam", hypotheses, beam), "reranked": scored("reranked", reordered, reranked)}
    if blind:
        rows["blind"] = scored("beam", hypotheses, beam, "shuffled")
    return {
        "annotations": annotations,
        "captions": captions,
        "features": features,
        "model": model,
        "scores": rows,
        "hypotheses": hypotheses,
        "reranked": reordered,
        "retrieval": artifact("EvaluateRetrieval", write_retrieval),
        "neighbors": {kind: nearest(kind) for kind in ("refined", "original")},
    }


def write_empty_zip(path: Path) -> None:
    path.write_bytes(b"PK\x05\x06" + bytes(18))
