"""The benchmark of GPUs, at a small scale on the CPU: it measures every question and compares with itself."""

import json

import pytest

from benchmarks.gpu import Row, Scale, as_markdown, run
from model.mrnn.config import ModelConfig

SMALL = Scale(
    seconds=600.0,
    backbones=("alexnet/pool5",),
    image_batch=2,
    xla=(False,),
    photographs=4,
    variants=("mrnn",),
    batches=(4,),
    model=ModelConfig(embedding_size=4, recurrent_size=8, multimodal_size=8),
    vocabulary=20,
    features=6,
    product_side=16,
    searched=3,
    rounds=1,
)


@pytest.mark.slow("compiles many networks, also in half precision")
def test_gpu_benchmark_answers_every_question(tmp_path):
    rows = run(tmp_path, SMALL, "CPU:0")
    assert [row for row in rows if row.value is None] == []
    checks = {row.question: row.passed for row in rows if row.passed is not None}
    assert checks == dict.fromkeys(("features", "loss and gradient", "captions", "resumed training"), True)
    assert {row.question for row in rows} - checks.keys() == {
        "square product",
        "network alone",
        "decoding on one core",
        "files to artifact",
        "training",
        "beam search, width 10",
    }
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert [row["setting"] for row in record["rows"]] == [row.setting for row in rows]
    assert (tmp_path / "gpu.md").read_text() == as_markdown(record["machine"], rows)


def test_gpu_benchmark_leaves_out_what_would_take_too_long(tmp_path):
    rows = run(tmp_path, Scale(seconds=-1.0), "CPU:0")
    assert {(row.value, row.unit) for row in rows} == {(None, "left out for lack of time")}


def test_gpu_table_marks_deviations_from_the_cpu():
    table = as_markdown({"cores": 2}, [Row("captions", "mrnn", 0.5, "of the captions are the same", passed=False)])
    assert table.splitlines()[-1] == "| captions | mrnn | 0.5 of the captions are the same |  | **no** |"
