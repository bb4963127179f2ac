"""PoolCaptions: stages that its sources require, and reranking of its hypotheses."""

import pytest

from schemas.errors import ConfigurationError
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses, write_hypotheses
from tasks.captions.generate_captions import GenerateCaptions
from tasks.captions.pool_captions import PoolCaptions
from tasks.captions.rerank_captions import RerankCaptions
from tasks.captions.tune_reranking import TuneReranking
from tasks.evaluation.evaluate_captions import EvaluateCaptions
from tasks.report.build_report import BuildReport
from tests.tasks.captions.test_generate_captions import complete

TOYS = {"dataset": "toys", "data_dir": "x"}


def test_sources_are_searches_with_their_own_parameters():
    sources = {"n-best": {}, "seed 1": {"model_seeds": [1]}, "samples": {"search": "sample", "self_critical": True}}
    required = PoolCaptions(**TOYS, split="val", sources=sources).requires()
    seed, samples = required["hypotheses seed 1"], required["hypotheses samples"]
    assert required["hypotheses n-best"] == GenerateCaptions(**TOYS, split="val", search="n-best")
    assert seed.search == "n-best" and seed.requires()["model_seed_1"].seed == 1
    assert samples.search == "sample" and samples.requires()["model"].stage == "TrainSelfCritical"
    assert {stage.split for name, stage in required.items() if name.startswith("hypotheses")} == {"val"}


def test_luigi_tells_models_of_sources_apart():
    sources = {"n-best": {}, "self-critical": {"self_critical": True}}
    required = PoolCaptions(**TOYS, sources=sources).requires()
    assert len({stage.task_id for stage in required.values()}) == len(required)


def test_neighbors_are_those_of_the_pool_and_not_of_the_reranking():
    pool = RerankCaptions(**TOYS, pool=True, feature_kind="refined").upstream(PoolCaptions, neighbors=3)
    assert pool.requires()["neighbors"].feature_kind == "original"
    assert "neighbors" not in PoolCaptions(**TOYS).requires()


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "pool is empty"),
        ({"beam": {"width": 3}}, "'beam' of .* has width, which is not a significant parameter"),
        ({"beam": {}, "tuned": {"finetune_backbone": True}}, "has finetune_backbone, which is not a significant"),
    ],
)
def test_wrong_sources_are_an_error(sources, message):
    with pytest.raises(ConfigurationError, match=message):
        PoolCaptions(**TOYS, sources=sources).requires()


def test_reranking_and_its_tuning_take_the_pool_if_it_is_on():
    for pool, stage in ((True, "PoolCaptions"), (False, "GenerateCaptions")):
        reranking = RerankCaptions(**TOYS, pool=pool, method="tuned")
        tuning = reranking.requires()["tuning"]
        scored = EvaluateCaptions(**TOYS, pool=pool, captions="reranked").requires()["hypotheses"]
        for task in (reranking, tuning, scored, TuneReranking(**TOYS, pool=pool)):
            assert task.requires()["hypotheses"].stage == stage
        assert tuning.requires()["hypotheses"].split == "val"


def test_report_with_a_pool_has_rows_with_and_without_it():
    report = BuildReport(**TOYS, pool=True)
    rows = report.score_rows()
    candidates = {label: row.requires()["hypotheses"].requires().get("hypotheses") for label, row in rows.items()}
    assert candidates["m-RNN, reranked (CIDEr, refined)"].stage == "GenerateCaptions"
    assert candidates["m-RNN, reranked (as configured)"] == report.requires()["hypotheses"]
    assert report.requires()["hypotheses"].stage == "PoolCaptions"


@pytest.mark.slow("starts a stage")
def test_pool_captions_merges_the_artifacts_of_its_sources(data_dir, run):
    sources = {"n-best": {}, "samples": {"search": "sample"}}
    task = PoolCaptions(dataset="toys", data_dir=str(data_dir), sources=sources)
    for name, stage in task.requires().items():
        own = (Hypothesis(("a", "dog"), -1.0), Hypothesis((name,), -2.0))
        complete(stage, lambda directory, own=own: write_hypotheses(directory, [ImageHypotheses("one", own)]))
    assert run(task)
    (image,) = read_hypotheses(task.directory)
    assert [(each.tokens[0], each.origins) for each in image.captions] == [
        ("a", ("n-best", "samples")),
        ("hypotheses n-best", ("n-best",)),
        ("hypotheses samples", ("samples",)),
    ]
