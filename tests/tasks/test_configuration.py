"""Names of earlier releases in configuration files."""

import pytest

from schemas.errors import ConfigurationError
from tasks import load_stages
from tasks.configuration import (
    COMMANDS,
    CONFIGS,
    DEFAULTS,
    RENAMED,
    RENAMED_VALUES,
    SHAPES,
    check_configuration,
    configuration_files,
    describe_rename,
    read_configuration,
)

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


@pytest.mark.parametrize("name", ["flickr8k", "flickr8k-tf-mrnn", "custom", "coco2014", "shapes-finetuned"])
def test_dataset_configurations_inherit_nothing_from_shapes(name):
    assert SHAPES not in configuration_files(CONFIGS / f"{name}.cfg")


def test_shapes_is_the_default_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.cfg").write_text("[TrainModel]\nepochs = 3\n")
    assert configuration_files(tmp_path / "mine.cfg") == [DEFAULTS, SHAPES, tmp_path / "mine.cfg"]
    (tmp_path / "luigi.cfg").write_text("[pipeline]\ndataset = custom\n")
    assert SHAPES not in configuration_files(tmp_path / "mine.cfg")


def test_default_configuration_has_no_settings_of_a_dataset():
    stages = {*load_stages()}
    assert not stages & read_configuration(DEFAULTS).keys()
