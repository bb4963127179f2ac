"""Settings of reranking and search: written beside the hypotheses, read back by later stages."""

import pytest

from schemas.errors import ArtifactError
from schemas.hypotheses import SearchSetting, read_search, write_search
from schemas.reranking import RerankingSetting, read_setting, write_setting

CONSENSUS = RerankingSetting("cider", "refined", "euclidean", 60, 125)
KERNEL_RIDGE = RerankingSetting("cider", "original", gamma=1.0, regularization=0.3)


@pytest.mark.parametrize("setting", [CONSENSUS, KERNEL_RIDGE, RerankingSetting("bleu", tuned_on="val")])
def test_setting_comes_back_as_written(tmp_path, setting):
    write_setting(tmp_path, setting)
    assert read_setting(tmp_path) == setting


def test_search_comes_back_as_written(tmp_path):
    write_search(tmp_path, SearchSetting("beam", 3))
    assert read_search(tmp_path) == SearchSetting("beam", 3)


@pytest.mark.parametrize(("name", "read"), [("reranking.json", read_setting), ("search.json", read_search)])
def test_other_json_is_an_artifact_error(tmp_path, name, read):
    (tmp_path / name).write_text('{"beam": 3}')
    with pytest.raises(ArtifactError, match=rf"{name} is not a (search )?setting"):
        read(tmp_path)


def test_summary_contains_the_values_that_apply():
    assert CONSENSUS.summary() == {
        "method": "consensus",
        "similarity": "cider",
        "features": "refined",
        "metric": "euclidean",
        "k": 60,
        "m": 125,
    }
    assert KERNEL_RIDGE.summary() == {
        "method": "kernel-ridge",
        "similarity": "cider",
        "features": "original",
        "gamma": 1.0,
        "regularization": 0.3,
    }
    assert RerankingSetting("bleu", tuned_on="val").summary() == {
        "method": "self-consensus",
        "similarity": "bleu",
        "tuned on": "val",
    }
