"""Configurations that Luigi or a stage cannot read: one sentence, an exit code, and no files written."""

import re

import pytest

from schemas.errors import ConfigurationError
from tasks.runtime.errors import describe_configuration_error
from tests.support.faults.runs import Run
from tests.support.toys import Source

FAULTS = {
    "[TrainModel]\nepochs = many": r"epochs of \[TrainModel\] cannot be read \(invalid literal for int",
    "[beam]\noptions = {": r"runner_options of \[ExtractFeatures\] cannot be read",
    "[retcode]\ntask_failed = x": r"task_failed of \[retcode\] cannot be read \(invalid literal for int",
    "[pipeline]\nverbose = x": r"verbose of \[LoggingConfig\] cannot be read",
    "[pipeline]\ndataset = ../elsewhere": r"'\.\./elsewhere' cannot name a directory; set dataset of \[pipeline\]",
    "[pipeline]\ndata_dir = 5%": r"data_dir of \[FullPipeline\] cannot be read \('%' must be followed by",
    "[pipeline]\ndata_dir = ${NOT_SET}": r"data_dir of \[FullPipeline\] cannot be read \(Config refers to a non",
}


@pytest.mark.faults
@pytest.mark.parametrize("text", FAULTS)
def test_invalid_configuration_is_one_sentence(tmp_path, text):
    (tmp_path / "test.cfg").write_text(text)
    run = Run("tasks", "FullPipeline", tmp_path / "test.cfg")
    output = run.finish()
    assert run.process.returncode
    assert "Traceback" not in output
    assert re.search(FAULTS[text], output), output
    assert [each.name for each in tmp_path.iterdir()] == ["test.cfg"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0", "a\n", "\udcff", "a" * 256])
def test_dataset_name_is_a_directory_name(tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot name a directory"):
        Source(dataset=name, data_dir=str(tmp_path))


def test_other_errors_are_not_attributed_to_the_configuration():
    assert describe_configuration_error(ValueError("Error when parsing the default value of 'x'")) is None
    assert describe_configuration_error(KeyError("x")) is None
