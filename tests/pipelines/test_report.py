"""The report, from imitation artifacts that the real writers wrote: true numbers, nothing loaded, nothing unescaped."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.datasets.flickr8k import CORPUS as FLICKR8K
from pipelines.report.collect import collect_contents
from pipelines.report.contents import Epoch, ReportContents
from pipelines.report.gallery import choose_images
from pipelines.report.plots import cider_plot
from pipelines.report.published import MARKS, published_captions, published_retrieval
from pipelines.report.render import LISTED, render_report
from schemas.annotations import AnnotatedImage, write_annotations
from schemas.captions import write_captions
from schemas.checkpoint import write_checkpoint
from schemas.errors import ArtifactError
from schemas.features import FeatureDescription, Reject, write_features, write_rejects
from schemas.files import write_json_lines, write_text
from schemas.hypotheses import Hypothesis, ImageHypotheses, write_hypotheses
from schemas.neighbours import Neighbours, write_neighbours
from schemas.provenance import Provenance, Upstream, artifact_key, digest_files, list_files, write_provenance
from schemas.results import write_results
from schemas.scores import (
    CaptionScores,
    Recall,
    RetrievalScores,
    read_caption_scores,
    write_caption_scores,
    write_retrieval_scores,
)
from schemas.vocabulary import Vocabulary

HOSTILE = """<script>alert("1")</script>'"><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}"""
WORDS = ("a", "red", "blue", "dog", "cat", "runs", "sits")
METEOR_REASON = "no Java runtime was found <here>."


def imitate(
    folder: Path, dataset: str, images: list[AnnotatedImage], rejects: list[Reject], problems: list[str], blind: bool
) -> dict[str, Any]:
    """Writes a whole run's artifacts with made-up content; returns the paths that `collect_contents` takes."""
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

    def write_tokenised(directory: Path) -> None:
        ids, splits = [image.image_id for image in images], [image.split for image in images]
        write_captions(directory / "captions.h5", vocabulary, ids, splits, words)

    def write_extracted(directory: Path) -> None:
        described = FeatureDescription("vgg16/fc2", "center crop to 224, BGR", "f" * 64, dataset)
        rows = random.random((len(kept), 8), np.float32)
        write_features(directory / "features.h5", [image.image_id for image in kept], rows, described)
        write_rejects(directory, rejects)

    def write_model(directory: Path) -> None:
        curve = [
            {"epoch": n, "train_perplexity": 60 / n, "val_perplexity": 70 / n, "val_cider": score, "score": score}
            for n, score in ((n, 0.2 + n / 10 - n * n / 80) for n in range(1, 8))
        ]
        config = {"embedding_size": 128, "recurrent_size": 256, "seed": 3}
        write_checkpoint(directory, lambda path: write_empty_zip(path), config, vocabulary, curve)

    def write_reranked(directory: Path) -> None:
        write_hypotheses(directory, reranked)
        records = [{"image_id": each, "scores": [0.9, 0.7, 0.5, 0.3], "neighbours": train[:2]} for each in test]
        write_json_lines(directory / "reranked.jsonl", records)

    def nearest(kind: str) -> Path:
        order = np.array([random.permutation(len(train)) for _ in test], np.int32)
        found = Neighbours(test, train, order, np.sort(random.random(order.shape), axis=1))
        digests = {"target_digest": "0" * 64, "reference_digest": "0" * 64}

        def write(directory: Path) -> None:
            write_neighbours(directory / "neighbours.h5", found, kind=kind, metric="euclidean", **digests)

        return artifact("FindNeighbours", write, (features,), feature_kind=kind)

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
            tokeniser="Treebank",
            document_frequencies="references of the scored images",
            metrics={**metrics, "CIDEr-D": float(random.random())},
            intervals={name: [value - 0.01, value + 0.01] for name, value in metrics.items()},
            left_out={"METEOR": METEOR_REASON},
            warnings=[],
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
    captions = artifact("TokenizeCaptions", write_tokenised, (annotations,), {"test": {"captions": 5}}, min_count=1)
    extraction = {"images": 1200, "rejected": 8, "bytes_read": 2_500_000, "batches": 40, "batch_places": 1280}
    extraction |= {"decode_seconds": 12.34, "wait_seconds": 0.5, "inference_seconds": 60.0}
    features = artifact("ExtractFeatures", write_extracted, (annotations,), extraction, weights="random:0", seed=0)
    model = artifact("TrainModel", write_model, (captions, features), {"parameters": 1_234_567}, seed=3)
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
        "neighbours": {kind: nearest(kind) for kind in ("refined", "original")},
    }


def write_empty_zip(path: Path) -> None:
    path.write_bytes(b"PK\x05\x06" + bytes(18))


@dataclass
class Page(HTMLParser):
    """What a browser would see: elements, visible text, and table rows as texts."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    _inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        self._inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] in ("script", "style"):
            return
        self.text += data
        if {"td", "th"} & set(self._inside):
            self.rows[-1][-1] += data

    def row(self, label: str) -> list[str]:
        return next(row for row in self.rows if row and row[0].strip() == label)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def parse(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    page.text = " ".join(page.text.split())
    return page


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small run on a corpus with hostile names and captions, a rejected and a missing image."""
    root = tmp_path_factory.mktemp("run")
    images = []
    for index in range(60):
        split = ("train", "train", "val", "test")[index % 4]
        name = f"{index}{HOSTILE}" if index in (0, 3) else f"image_{index}"
        caption = HOSTILE if index in (0, 3) else f"a {WORDS[1 + index % 2]} dog runs"
        images.append(AnnotatedImage(name, f"{index}.png", split, 300, 200, (caption, "a cat sits")))
        Image.new("RGB", (300, 200), (4 * index, 80, 120)).save(root / f"{index}.png")
    (root / "7.png").unlink()
    rejects = [Reject("image_11", "decode", HOSTILE)]
    paths = imitate(
        root / "var", "flickr8k", images, rejects, [f"Problem {n}: {HOSTILE}" for n in range(LISTED + 5)], True
    )
    return {"title": "A report", "corpus": FLICKR8K, "dataset_root": root, "note": f"Random weights {HOSTILE}", **paths}


@pytest.fixture(scope="module")
def contents(arguments: dict[str, Any]) -> ReportContents:
    return collect_contents(**arguments)


@pytest.fixture(scope="module")
def html(contents: ReportContents) -> str:
    return render_report(contents)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return parse(html)


def test_scores_are_those_of_the_artifacts(page: Page, arguments: dict[str, Any]) -> None:
    header = next(row for row in page.rows if "CIDEr-D" in row)
    assert header == [
        "Captions",
        *(f"BLEU-{n}" for n in range(1, 5)),
        "ROUGE-L",
        "CIDEr-D",
        "METEOR",
        "Perplexity",
        "Images",
    ]
    for label, directory in arguments["scores"].items():
        scores = read_caption_scores(directory)
        row = dict(zip(header, page.row(label), strict=True))
        assert {name: row[name] for name in scores.metrics} == {n: f"{v:.3f}" for n, v in scores.metrics.items()}
        assert (row["Perplexity"], row["Images"]) == ("12.346", "14")
        assert row["METEOR"] == "left out [1]"
    assert f"[1] Left out, METEOR: {METEOR_REASON}" in page.text


def test_headline_is_the_reranked_row(page: Page, contents: ReportContents) -> None:
    assert contents.main_label == "reranked"
    assert f"CIDEr-D{contents.main_row.scores.metrics['CIDEr-D']:.3f}" in page.text
    assert page.text.count("is the image-blind control") == 1
    assert "“blind” is the image-blind control" in page.text


def test_counts_add_up(page: Page, contents: ReportContents) -> None:
    header = next(row for row in page.rows if row[0] == "Split")
    assert dict(zip(header, page.row("test"), strict=True)) == {
        "Split": "test",
        "Images": "15",
        "With features": "14",
        "Rejected": "1",
        "Captioned": "14",
        "Reference captions": "30",
        "Words": f"{contents.splits[2].words}",
        "Outside the vocabulary": "0.0 %",
    }
    assert page.row("all")[1:4] == ["60", "59", "1"]
    assert "The counts add up" in page.text
    assert "And 5 more, in problems.txt" in page.text


def test_counts_that_do_not_add_up_are_said(contents: ReportContents) -> None:
    lost = replace(contents.splits[0], with_features=contents.splits[0].with_features - 2)
    text = parse(render_report(replace(contents, splits=(lost, *contents.splits[1:])))).text
    assert "The counts do not add up: train +2 images" in text


def test_stages_include_what_is_upstream(page: Page, arguments: dict[str, Any], contents: ReportContents) -> None:
    stages = [entry.stage for entry in contents.stages]
    assert stages.count("EvaluateCaptions") == 3
    assert stages.index("PrepareAnnotations") < stages.index("TrainModel") < stages.index("RerankCaptions")
    row = page.row("TrainModel")
    assert row[1:5] == [arguments["model"].name, "2026-01-02T03:04:05+00:00", "1 min", "2.5 GB"]
    assert row[6] == "parameters 1,234,567"
    assert "abc1234 with changes that were not committed" in page.text
    assert "ExtractFeatures 0; TrainModel 3" in page.text


def test_what_extraction_counted_is_said(page: Page) -> None:
    assert "1,200 images, 2.5 MB; 8 rejected" in page.text
    assert "12.3 s, summed over threads" in page.text
    assert "60.0 s, and 0.5 s of waiting for pixels" in page.text
    assert "40, 93% full" in page.text
    assert "beam.Runner --workers=2" in page.text


def test_deleted_upstream_is_said(arguments: dict[str, Any], contents: ReportContents) -> None:
    gone = replace(contents.stages[0], provenance=None)
    assert parse(render_report(replace(contents, stages=(gone,)))).row(gone.stage)[2] == "is no longer there"


def test_hostile_text_is_only_text(html: str, page: Page) -> None:
    assert len(page.all("script")) == 1
    assert not any(name.startswith("on") or name == "style" for _, attributes in page.elements for name in attributes)
    assert not any(attributes.get("src") == "x" for attributes in page.all("img"))
    assert "<script>alert" not in html
    assert f"Random weights {HOSTILE}" in page.text
    assert f"image_11 (decode): {HOSTILE}" in page.text
    assert any(HOSTILE in attributes["alt"] for attributes in page.all("img"))


def test_page_loads_nothing(html: str, page: Page) -> None:
    policy = next(each for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "href", "data", "poster", "action"):
            address = attributes.get(name, "data:")
            assert address.startswith(("data:", "#")) or (tag == "a" and address == FLICKR8K.homepage), (tag, address)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_pictures_have_alternative_texts(page: Page, html: str) -> None:
    images = page.all("img")
    assert len(images) > 14
    assert all(image["alt"] and 0 < int(image["width"]) <= 224 and 0 < int(image["height"]) <= 224 for image in images)
    assert "Test image image_7: cannot be opened (No such file or directory)" in page.text
    for svg in (attributes for attributes in page.all("svg")):
        assert all(f'id="{name}"' in html for name in svg["aria-labelledby"].split())
    assert len({each["id"] for _, each in page.elements if "id" in each}) == html.count(' id="')


def test_page_can_be_read_by_all(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert all(cell.get("scope") for cell in page.all("th"))
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in page.all("div") if box.get("role") == "region")


def test_gallery_shows_the_scored_caption(page: Page, contents: ReportContents) -> None:
    cards = page.all("article")
    assert len(cards) == len(contents.gallery) == 14
    assert [card["data-groups"].split()[0] for card in cards] == ["best"] * 7 + ["worst"] * 7
    scores = [image.cider for image in contents.gallery]
    assert scores[:7] == sorted(scores, reverse=True)[:7]
    image = contents.gallery[0]
    assert image.caption == image.hypotheses[0].text
    assert [each.beam_rank for each in image.hypotheses] == [4, 3, 2, 1]
    assert [each.consensus for each in image.hypotheses] == [0.9, 0.7, 0.5, 0.3]
    assert {kind: len(pictures) for kind, pictures in image.neighbours.items()} == {"refined": 3, "original": 3}


def test_chosen_images() -> None:
    groups = choose_images({f"{n:03}": n / 100 for n in range(100)})
    by_group = {name: [each for each in groups if name in groups[each]] for name in ("best", "worst", "random")}
    assert by_group["best"] == [f"{n:03}" for n in range(99, 91, -1)]
    assert by_group["worst"] == [f"{n:03}" for n in range(8)]
    assert len(by_group["random"]) == 16
    assert choose_images({"only": 1.0}) == {"only": ("best", "random")}


def test_published_numbers_carry_their_marks(page: Page, contents: ReportContents) -> None:
    (published,) = published_captions("flickr8k")
    row = next(row for row in page.rows if row[0].strip().startswith(published.model))
    assert row[0].split() == ["m-RNN-AlexNet", "memory-mid", "Flickr8K"]
    assert row[1:5] == ["0.565", "0.386", "0.256", "0.170"]
    assert MARKS["memory-mid"] in page.text
    recalled = [row for row in page.rows if "14.5" in row]
    assert [row[0].split()[1] for row in recalled] == ["memory-high"]
    assert page.row("This run")[1:5] == ["10.0", "20.0", "30.0", "7.5"]
    unpublished = parse(render_report(replace(contents, published=(), published_retrieval=())))
    assert "There are no published m-RNN scores of captions for Flickr8k" in unpublished.text
    assert "memory-" not in unpublished.text


@pytest.mark.parametrize("dataset", ["iaprtc12", "flickr8k", "flickr30k", "coco2014"])
def test_published_numbers_are_marked(dataset: str) -> None:
    published = [*published_captions(dataset), *published_retrieval(dataset)]
    assert len(published) >= 2
    assert all(each.mark in MARKS for each in published)


def test_report_is_small_and_reproducible(html: str, arguments: dict[str, Any]) -> None:
    assert len(html.encode()) < 10 * 2**20
    assert render_report(collect_contents(**arguments)) == html


def test_report_without_curve_retrieval_and_note(contents: ReportContents) -> None:
    page = parse(render_report(replace(contents, curve=(), retrieval=None, note=None)))
    assert "There is no training curve" in page.text
    assert not page.all("svg")
    assert not any(link["href"] == "#retrieval" for link in page.all("a"))


def test_plot_follows_the_page(contents: ReportContents) -> None:
    svg = cider_plot((Epoch(1, 10.0, 11.0, 0.1, 0.1), Epoch(2, 8.0, 9.0, 0.4, 0.4), Epoch(3, 7.0, 9.5, 0.3, 0.3)))
    assert "Epoch 2 was kept, with 0.400." in svg
    assert "currentColor" in svg
    assert "style=" not in svg
    assert "http" not in svg


def test_the_kept_epoch_is_that_of_the_best_score() -> None:
    """As where epochs are selected by perplexity."""
    svg = cider_plot((Epoch(1, 10.0, 9.0, 0.4, -9.0), Epoch(2, 8.0, 8.0, 0.3, -8.0)))
    assert "Epoch 2 was kept, with 0.300." in svg


def test_scores_of_other_captions_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="No score row is of the captions in"):
        collect_contents(
            **{**arguments, "scores": {"blind": arguments["scores"]["blind"]}, "hypotheses": arguments["model"]}
        )
