"""CLIPScore with small models in ONNX whose embeddings are known."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from typer.testing import CliRunner

from model.metrics import clip_score
from model.metrics.clip_score import ClipModel
from model.metrics.java import ScorerMissing
from pipelines.evaluation.evaluate_file import Clip, evaluate_files
from tasks.cli import app

COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
WORDS = ["[UNK]", *COLORS]


def save(path, node_list, given, given_type, shape, output, constants=()):
    graph = helper.make_graph(
        node_list,
        "graph",
        [helper.make_tensor_value_info(given, given_type, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))


@pytest.fixture
def model(tmp_path):
    """A model in which an image is its mean color, and a text the sum of the colors in it."""
    folder = tmp_path / "tiny-clip"
    (folder / "onnx").mkdir(parents=True)
    pooled = [helper.make_node("ReduceMean", ["pixel_values"], ["image_embeds"], axes=[2, 3], keepdims=0)]
    shape = ["batch", 3, 8, 8]
    save(folder / "onnx" / "vision_model.onnx", pooled, "pixel_values", TensorProto.FLOAT, shape, "image_embeds")
    table = np.array([(0, 0, 0), *COLORS.values()], np.float32)
    summed = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["text_embeds"], axes=[1], keepdims=0),
    ]
    shape = ["batch", "tokens"]
    save(
        folder / "onnx" / "text_model.onnx",
        summed,
        "input_ids",
        TensorProto.INT64,
        shape,
        "text_embeds",
        [("table", table)],
    )
    tokenizer = Tokenizer(WordLevel({word: row for row, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"crop_size": {"height": 8, "width": 8}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return folder


def image(*color):
    return Image.new("RGB", (30, 20), tuple(255 * level for level in color))


def test_scores_match_hand_computed_values():
    images = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    captions = np.array([[0.6, 0.8], [-1, 0], [0, 1]], np.float32)
    references = np.array([[0, 1], [1, 0], [0.8, 0.6], [0, -1]], np.float32)
    found = clip_score.score(images, captions, references, np.array([0, 0, 1, 2]))
    clip, with_references = (found[name].per_image[:, 0] for name in clip_score.NAMES)
    np.testing.assert_allclose(clip, [2.5 * 0.6, 0, 2.5], rtol=1e-6)
    np.testing.assert_allclose(with_references, [2 * 1.5 * 0.8 / (1.5 + 0.8), 0, 0], rtol=1e-6)


def test_model_embeds_images_and_texts_of_any_length(model):
    clip = ClipModel(model)
    images = clip.embed_images([image(1, 0, 0), image(0, 1, 1)] * 20)
    np.testing.assert_allclose(images[:2], [[1, 0, 0], [0, 0.5**0.5, 0.5**0.5]], atol=1e-6)
    texts = clip.embed_texts(["red", "a red and green thing", "blue", "green green"] * 40)
    np.testing.assert_allclose(texts[4:8], [[1, 0, 0], [0.5**0.5, 0.5**0.5, 0], [0, 0, 1], [0, 1, 0]], atol=1e-6)
    assert clip.version.startswith("tiny-clip-")


def test_text_beyond_the_models_length_is_truncated(model):
    (embedding,) = ClipModel(model).embed_texts(["red " * 74 + "green"])  # the prompt has three tokens
    np.testing.assert_allclose(embedding, [1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("name", ["onnx/text_model.onnx", "tokenizer.json"])
def test_incomplete_model_is_reported(model, name):
    (model / name).unlink()
    with pytest.raises(ScorerMissing, match=f"has no {name.rpartition('/')[2]}; give the directory of a CLIP model"):
        ClipModel(model)
    (model / name).write_bytes(b"nonsense")
    with pytest.raises(ScorerMissing, match="cannot be loaded"):
        ClipModel(model)


@pytest.fixture
def files(tmp_path):
    """References with file names, results, and their images."""
    (tmp_path / "images").mkdir()
    image(1, 0, 0).save(tmp_path / "images" / "first.png")
    image(0, 1, 0).save(tmp_path / "images" / "second.png")
    references = {
        "images": [{"id": 1, "file_name": "first.png"}, {"id": 2, "file_name": "second.png"}],
        "annotations": [{"image_id": 1, "caption": "red"}, {"image_id": 2, "caption": "blue"}],
    }
    (tmp_path / "references.json").write_text(json.dumps(references))
    (tmp_path / "results.json").write_text(json.dumps({"2": "green", "1": "red green"}))
    (tmp_path / "others.json").write_text(json.dumps({"1": "red", "2": "red"}))
    return tmp_path


def test_evaluate_adds_clip_scores_of_all_systems(files, model):
    paths = [files / "results.json", files / "others.json"]
    clip = Clip(model, files / "images")
    ours, others = evaluate_files(paths, files / "references.json", clip=clip, baseline=paths[1])
    half = 0.5**0.5
    assert ours.metrics["CLIPScore"] == pytest.approx((2.5 + 2.5 * half) / 2)
    assert ours.metrics["RefCLIPScore"] == pytest.approx(2 * 2.5 * half * half / (3.5 * half) / 2)
    assert others.metrics["CLIPScore"] == pytest.approx(2.5 / 2)
    assert ours.differences["CLIPScore"]["value"] == pytest.approx(2.5 * half / 2)
    assert f"CLIPScore+RefCLIPScore={ClipModel(model).version}" in ours.signature


def test_missing_images_and_models_leave_clip_scores_out(files, model):
    def reason(clip):
        (sheet,) = evaluate_files([files / "results.json"], files / "references.json", clip=clip)
        assert sheet.left_out.keys() == {"CLIPScore", "RefCLIPScore"}
        assert "BLEU-1" in sheet.metrics
        assert "CLIPScore" not in sheet.signature
        return sheet.left_out["CLIPScore"]

    assert "give --clip-model and --images" in reason(Clip(None, files / "images"))
    assert "has no vision_model.onnx" in reason(Clip(files, files / "images"))
    (files / "images" / "first.png").unlink()
    assert "has no file of image 1" in reason(Clip(model, files / "images"))


def test_evaluate_prints_clip_scores(files, model):
    given = ["evaluate", files / "results.json", files / "references.json", "--clip-model", model]
    run = CliRunner().invoke(app, [*map(str, given), "--images", str(files / "images"), "--metric", "CLIPScore"])
    assert run.exit_code == 0, run.output
    assert "\nCLIPScore " in run.output
    run = CliRunner().invoke(app, [*map(str, given)])
    assert run.exit_code == 2
    assert "only CLIPScore uses" in run.output
