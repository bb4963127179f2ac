"""The configured captions of RerankCaptions are scored, reported and released."""

import luigi
import pytest

import tasks
from tasks.evaluation.score_rows import AllScores


@pytest.fixture
def configure():
    """Set parameters of RerankCaptions; they are gone after the test."""
    config = luigi.configuration.get_config()

    def configure_reranking(**parameters):
        for name, value in parameters.items():
            config.set("RerankCaptions", name, value)

    yield configure_reranking
    config.remove_section("RerankCaptions")
    luigi.Task.clear_instance_cache()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"k": "30"},
        {"method": "tuned"},
        {"method": "self-consensus"},
        {"method": "kernel-ridge", "gamma": "4.0", "feature_kind": "original"},
        {"similarity": "bleu", "feature_kind": "original"},
        {"similarity": "bleu", "method": "tuned"},
    ],
)
def test_report_and_release_follow_the_reranking_setting(data_dir, configure, parameters):
    configure(**parameters)
    given = {"dataset": "toys", "data_dir": str(data_dir), "compare_blind": False}
    report = tasks.BuildReport(**given).requires()
    reranked = report["reranked"]
    assert {name: str(getattr(reranked, name)) for name in parameters} == parameters
    del given["compare_blind"]
    assert tasks.PublishFeatures(**given).requires()["reranked"] == reranked
    scored = [row.requires()["hypotheses"] for name, row in report.items() if name.startswith("scores ")]
    assert scored.count(reranked) == 1, "the gallery shows the captions and the scores of its row"


def test_score_rows_are_unique(data_dir, configure):
    given = {"dataset": "toys", "data_dir": str(data_dir), "compare_blind": False}
    rows = AllScores(**given).score_rows()
    configure(method="tuned")
    luigi.Task.clear_instance_cache()
    assert AllScores(**given).score_rows() == rows
    assert len({row.key for row in rows.values()}) == len(rows)
