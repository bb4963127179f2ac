"""Names of earlier releases in configuration files."""

import pytest

from schemas.errors import ConfigurationError
from tasks import load_stages
from tasks.configuration import COMMANDS, RENAMED, RENAMED_VALUES, check_configuration, describe_rename

SENTENCES = {
    "[TuneOnCider]\nepochs = 3": "TuneOnCider is now called TrainSelfCritical.",
    "[TokeniseCaptions]\nmin_count = 3": "TokeniseCaptions is now called TokenizeCaptions.",
    "[TokenizeCaptions]\ntokeniser = treebank": "tokeniser is now called tokenizer.",
    "[TrainModel]\naverage = 0.998": "average is now called ema_decay.",
    "[TrainModel]\noptimiser = sgd": "optimiser is now called optimizer.",
    "[GenerateCaptions]\nwide-beam-width = 20": "wide_beam_width is now called n_best.",
    "[GenerateCaptions]\nsearch = wide": "search = wide is now search = n-best.",
    "[GenerateCaptions]\nsplit = unlabelled": "split = unlabelled is now split = unlabeled.",
    "[RerankCaptions]\nmethod = self": "method = self is now method = self-consensus.",
    "[EvaluateRetrieval]\nnormalisation_images = 9": "normalisation_images is now called normalization_images.",
    "[CaptionImages]\nimages = a": "CaptionImages is now the command `mrnn caption`.",
    "[FindNeighbors]\nprobes = 9": "probes was removed, because the search for neighbors is exact; delete it.",
}


@pytest.mark.parametrize("text", SENTENCES)
def test_check_configuration_gives_new_name_of_old_one(tmp_path, text):
    load_stages()
    (tmp_path / "old.cfg").write_text(text)
    with pytest.raises(ConfigurationError) as error:
        check_configuration(tmp_path / "old.cfg")
    assert str(error.value).startswith(str(tmp_path / "old.cfg"))
    assert str(error.value).endswith(SENTENCES[text])


def test_describe_rename_is_silent_about_valid_and_unknown_names():
    assert describe_rename("epochs", {"epochs"}) is None
    assert describe_rename("epoch", {"epochs"}) is None
    assert describe_rename("index", {"index"}) is None, "the name of another parameter"


def test_changelog_lists_all_renames(request):
    changelog = (request.config.rootpath / "CHANGELOG.md").read_text(encoding="utf-8")
    table = changelog[changelog.index("### Renamed") : changelog.index("### Removed")]
    old = {*RENAMED, *COMMANDS, *(value for _, value in RENAMED_VALUES)} - {"neighbours"}
    assert not {name for name in old if name not in table}
