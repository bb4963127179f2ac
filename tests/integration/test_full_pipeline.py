"""Results of the complete pipeline."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from model.text.detokenize import detokenize
from pipelines.release.verify import verify_release
from schemas.annotations import read_annotations
from schemas.features import FeatureFile, read_rejects
from schemas.hypotheses import read_hypotheses
from schemas.provenance import read_provenance
from schemas.reranking import read_best_setting
from schemas.scores import METRICS, read_caption_scores

pytestmark = pytest.mark.slow("runs the pipeline several times")


def scores_of(pipeline):
    sheets = [
        read_caption_scores(path.parent) for path in pipeline.data_dir.glob("shapes/EvaluateCaptions/*/scores.json")
    ]
    return {(sheet.captions, sheet.image_input, how(sheet.reranking)): sheet for sheet in sheets}


def how(reranking):
    if reranking is None:
        return None
    by = reranking.get("features", reranking["method"])
    return "tuned" if "tuned on" in reranking else f"{reranking['similarity']}, {by}"


def test_model_depends_on_the_images(pipeline):
    scores = scores_of(pipeline)
    own, blind = scores["beam", "own", None].metrics, scores["beam", "shuffled", None].metrics
    assert own["CIDEr-D"] > blind["CIDEr-D"] + 0.25
    assert own["BLEU-4"] > blind["BLEU-4"] + 0.05


def test_scores_report_their_provenance(pipeline):
    scores = scores_of(pipeline)
    assert len(scores) == 9
    for sheet in scores.values():
        assert sheet.split == "test"
        assert sheet.n == 100
        assert sheet.beam_width == {"greedy": 1, "beam": 3, "n-best": 10, "reranked": 10}[sheet.captions]
        assert sheet.tokenizer and sheet.document_frequencies
        assert (
            set(sheet.metrics) == {*METRICS} - {"METEOR", "SPICE", "CLIPScore", "RefCLIPScore"} and sheet.left_out == {}
        )
        assert sheet.perplexity > 1
    assert scores["reranked", "own", "cider, refined"].reranking["m"] == 125
    assert scores["reranked", "own", "bleu, refined"].reranking["m"] == 175


def test_tuned_reranking_is_the_best_of_the_validation_grid(pipeline):
    (sheet,) = (sheet for (_, _, setting), sheet in scores_of(pipeline).items() if setting == "tuned")
    tuning = pipeline.artifact("TuneReranking")
    best = read_best_setting(tuning / "grid.json")
    assert sheet.reranking["tuned on"] == "val"
    assert (sheet.reranking["similarity"], sheet.reranking["features"]) == (best.similarity, best.features)
    hypotheses = read_provenance(tuning).upstream["hypotheses"]
    generated = read_provenance(pipeline.data_dir / "shapes" / hypotheses.stage / hypotheses.key)
    assert generated.parameters["split"] == "val"


def test_rows_and_rejects_cover_all_images(pipeline):
    annotations = pipeline.artifact("PrepareAnnotations")
    image_ids = [image.image_id for image in read_annotations(annotations)]
    features = pipeline.artifact("ExtractFeatures")
    file = FeatureFile(features / "features.h5")
    assert file.image_ids == image_ids
    assert file.description.kind.startswith("efficientnet-lite2/block10,block15/grid2")
    assert read_rejects(features) == []
    assert read_provenance(features).counts["images"] == len(image_ids) == 600
    for directory in pipeline.data_dir.glob("shapes/GenerateCaptions/*/"):
        split = read_provenance(directory).parameters["split"]
        expected = [image.image_id for image in read_annotations(annotations, split)]
        assert [image.image_id for image in read_hypotheses(directory)] == expected


def test_second_run_does_nothing(pipeline):
    run = pipeline.luigi("FullPipeline")
    assert run.returncode == 0
    assert "started" not in run.stdout
    assert "Nothing to do" in run.stdout
    assert re.search(r"report +\S+report\.html", run.stdout)


@pytest.fixture(scope="module")
def more_patient(pipeline):
    """Output of training with a parameter that does not matter here, and digests of the model and the one before."""
    run = pipeline.luigi("RefineFeatures", "--TrainModel-patience", "5")
    assert run.returncode == 0, run.stdout
    trained = map(read_provenance, (pipeline.data_dir / "shapes" / "TrainModel").glob("*/"))
    digests = {made.parameters["patience"]: made.digest for made in trained if made.parameters["image_input"] == "own"}
    # Leaves one artifact a stage to the other tests.
    assert pipeline.mrnn("invalidate", "TrainModel", "--set", "TrainModel.patience=5").returncode == 0
    return run.stdout, digests


def test_another_parameter_reuses_what_is_upstream(more_patient):
    output, _ = more_patient
    started = re.findall(r"(\w+) \w{10}: started", output)
    assert started == ["TrainModel", "RefineFeatures"]
    reused = set(re.findall(r"(\w+) \w{10} is there already", output))
    assert {"TokenizeCaptions", "ExtractFeatures"} <= reused


def test_same_seed_gives_the_same_model(more_patient):
    _, digests = more_patient
    assert set(digests) == {4, 5}
    assert digests[4] == digests[5]


def test_report_shows_the_scores(pipeline):
    report = (pipeline.artifact("BuildReport") / "report.html").read_text(encoding="utf-8")
    for sheet in scores_of(pipeline).values():
        assert f"{sheet.metrics['CIDEr-D']:.3f}" in report
    assert "random weights" not in report
    assert not re.search(r"src=[\"']?https?:", report)


def test_release_is_self_contained(pipeline):
    release = pipeline.artifact("PublishFeatures")
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    for name, digest in sums.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == digest
    files = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert set(sums) | {"SHA256SUMS", "provenance.json"} == files
    assert set(read_provenance(release).files) == files - {"provenance.json"}
    with h5py.File(release / "features" / "refined_train.h5") as file:
        features, image_ids = file["features"][()], file["image_ids"].asstr()[()]
    assert features.shape == (450, 128)
    assert np.abs(features).max() <= 1.7159
    names = (release / "splits" / "train.txt").read_text().split()
    assert names == [f"{image_id}.png" for image_id in image_ids]


def test_verify_accepts_the_release(pipeline, tmp_path):
    release = pipeline.artifact("PublishFeatures")
    run = pipeline.mrnn("verify", str(release))
    assert run.returncode == 0, run.stdout
    assert "is complete and intact" in run.stdout
    copy = tmp_path / "copy"
    shutil.copytree(release, copy)
    (copy / "images.jsonl").unlink()
    (copy / "splits" / "val.txt").write_text("")
    run = pipeline.mrnn("verify", str(copy))
    assert run.returncode == 1
    assert "images.jsonl is missing" in run.stdout
    assert "val.txt is corrupted" in run.stdout
    assert "Traceback" not in run.stdout


def test_publish_reuses_the_release(pipeline, tmp_path):
    place = tmp_path / "www" / "shapes"
    run = pipeline.luigi("PublishFeatures", "--publish-to", str(place))
    assert run.returncode == 0, run.stdout
    assert not re.search(r"\w+ \w{10}: started", run.stdout)
    assert verify_release(place) == []
    again = pipeline.luigi("PublishFeatures", "--publish-to", str(place))
    assert again.returncode == 0
    assert "files sent" in run.stdout and "files sent" not in again.stdout
    (place / "SHA256SUMS").write_text("")
    run = pipeline.luigi("PublishFeatures", "--publish-to", str(place))
    assert run.returncode != 0
    assert "contains another release" in run.stdout


def test_show_prints_every_stage(pipeline):
    run = pipeline.mrnn("show")
    assert run.returncode == 0
    assert "missing" not in run.stdout
    for stage in ("DownloadDataset", "ExtractFeatures", "TrainModel", "EvaluateRetrieval", "PublishFeatures"):
        assert re.search(rf"{stage} +\w{{10}}  complete +[\d.]+ MB", run.stdout)


def test_invalidate_takes_the_stage_and_all_downstream(pipeline):
    run = pipeline.mrnn("invalidate", "FindNeighbors", "--dry-run")
    named = {line.split("/")[-2] for line in run.stdout.splitlines() if line.startswith("would delete")}
    assert named == {
        "FindNeighbors",
        "TuneReranking",
        "RerankCaptions",
        "EvaluateCaptions",
        "BuildReport",
        "PublishFeatures",
    }
    assert pipeline.artifact("BuildReport").exists()


def test_invalidate_takes_what_was_only_begun_too(pipeline):
    report = pipeline.artifact("BuildReport")
    (report / "provenance.json").rename(report / "aside.json")
    run = pipeline.mrnn("invalidate", "EvaluateRetrieval", "--dry-run")
    (report / "aside.json").rename(report / "provenance.json")
    assert f"would delete {report}" in run.stdout


def test_after_invalidate_only_what_went_is_made_again(pipeline):
    assert pipeline.mrnn("invalidate", "EvaluateRetrieval").returncode == 0
    run = pipeline.luigi("FullPipeline")
    assert run.returncode == 0, run.stdout
    assert re.findall(r"(\w+) \w{10}: started", run.stdout) == ["EvaluateRetrieval", "BuildReport"]


def test_unknown_stage_is_one_sentence_and_a_failure(pipeline):
    run = pipeline.mrnn("invalidate", "TrainModl")
    assert run.returncode == 1
    assert "There is no stage TrainModl; did you mean TrainModel?" in run.stdout
    assert "Traceback" not in run.stdout


def test_bad_input_is_one_sentence_and_a_failure(pipeline, tmp_path):
    features = tmp_path / "features.npz"
    np.savez(features, ids=np.array(["elsewhere"]), F=np.zeros((1, 4), np.float32))
    run = pipeline.luigi("ImportFeatures", "--path", str(features))
    assert run.returncode == 30  # task_failed of configs/default.cfg
    assert "has no features of 600 of 600 images" in run.stdout
    assert "Traceback" not in run.stdout


def test_features_made_elsewhere_take_the_place_of_ours(pipeline, tmp_path):
    file = FeatureFile(pipeline.artifact("ExtractFeatures") / "features.h5")
    image_ids, rows = file.image_ids, file.read(file.image_ids)
    path = tmp_path / "features.npz"
    np.savez(path, ids=np.array([f"{image_id}.png" for image_id in reversed(image_ids)]), F=rows[::-1])
    run = pipeline.luigi("ImportFeatures", "--path", str(path), "--strip-suffix", ".png")
    assert run.returncode == 0, run.stdout
    imported = FeatureFile(pipeline.artifact("ImportFeatures") / "features.h5")
    assert imported.image_ids == image_ids
    np.testing.assert_array_equal(imported.read(image_ids), rows)


def test_luigi_itself_loads_no_tensorflow_and_no_beam(pipeline):
    code = """
import sys
from tasks import FullPipeline
from tasks.cli.graph import inputs_first
pipeline = FullPipeline()
assert all(task.complete() for task in inputs_first(pipeline))
pipeline.summary()
print([name for name in ("tensorflow", "apache_beam", "keras") if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LUIGI_CONFIG_PATH": str(pipeline.configuration)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


def test_caption_images_matches_the_pipeline(pipeline, tmp_path):
    test = list(read_annotations(pipeline.artifact("PrepareAnnotations"), "test"))[:4]
    root = pipeline.artifact("DownloadDataset") / "files"
    for image in test:
        shutil.copy(root / image.file, tmp_path / f"{image.image_id}.png")

    def captioned(*options):
        run = pipeline.mrnn("caption", str(tmp_path / "*.png"), "--out", str(tmp_path), *options)
        assert run.returncode == 0, run.stdout
        return [
            json.loads(line)["captions"][0]["text"] for line in (tmp_path / "captions.jsonl").read_text().splitlines()
        ]

    def in_the_pipeline(stage, **parameters):
        (found,) = (
            path.parent
            for path in pipeline.data_dir.glob(f"shapes/{stage}/*/provenance.json")
            if parameters.items() <= read_provenance(path.parent).parameters.items()
        )
        captions = {image.image_id: image.captions for image in read_hypotheses(found)}
        return [detokenize(captions[image_id][0].tokens) for image_id in sorted(image.image_id for image in test)]

    refined = {"split": "test", "similarity": "cider", "method": "consensus", "feature_kind": "refined"}
    assert captioned("--set", "RerankCaptions.method=consensus") == in_the_pipeline("RerankCaptions", **refined)
    own = {"split": "test", "search": "beam", "image_input": "own"}
    assert captioned("--config", str(pipeline.configuration), "--no-rerank") == in_the_pipeline(
        "GenerateCaptions", **own
    )
    release = pipeline.artifact("PublishFeatures")
    assert captioned("--model", str(release)) == in_the_pipeline("GenerateCaptions", **own)
