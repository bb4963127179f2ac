"""What all subcommands share: help, lazy imports, exit codes, names and encodings."""

import json
import os
import resource
import subprocess
import sys

import pytest

import schemas
from tests.tasks.cli.conftest import ROOT

SUBCOMMANDS = "run caption evaluate rerank validate show compare invalidate gc verify".split()
HEAVY = ("luigi", "numpy", "tensorflow", "keras", "apache_beam", "h5py", "PIL", "rich")


@pytest.mark.parametrize("subcommand", ["", *SUBCOMMANDS])
def test_help_fits_a_screen_and_imports_nothing_heavy(subcommand):
    code = f"""
import sys
from tasks.cli import app
try:
    app({[*subcommand.split(), "--help"]}, prog_name="mrnn")
finally:
    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = run.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    assert subcommand or not [line for line in lines[1:] if line.endswith("...")], "a description is cut"
    assert run.stderr.strip() == "[]"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5, "seconds of a processor"


def test_version_is_that_of_the_package(cold_mrnn):
    assert cold_mrnn("--version").stdout == f"mrnn {schemas.__version__}\n"


def test_inspection_loads_no_tensorflow_and_no_beam(tmp_path):
    code = """
import sys
from tasks.cli import app
for arguments in (["show", "--json"], ["gc"], ["verify"], ["invalidate", "TrainModel", "--dry-run"]):
    app(arguments, standalone_mode=False)
print([name for name in ("tensorflow", "apache_beam", "keras") if name in sys.modules], file=sys.stderr)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr.strip() == "[]"


SENTENCES = {
    ("show", "flickr8"): "There is no configuration file flickr8; did you mean flickr8k?",
    ("run", "TrainModl"): "There is no configuration or stage TrainModl; did you mean TrainModel?",
    ("run", "flickr8k", "TuneOnCider"): "TuneOnCider is now called TrainSelfCritical.",
    ("run", "CaptionImages"): "CaptionImages is now the command `mrnn caption`.",
    ("invalidate", "TrainModl"): "There is no stage TrainModl; did you mean TrainModel?",
    ("run", "--set", "TrainModel.dropot=1"): (
        "--set: there is no parameter TrainModel.dropot; did you mean TrainModel.dropout?"
    ),
    ("show", "--set", "TrainModel.average=1"): "TrainModel.average is now called TrainModel.ema_decay.",
    ("show", "--set", "TrainModel"): "--set TrainModel does not have the form STAGE.PARAMETER=VALUE.",
    ("show", "--set", "TrainModel.epochs=many"): "many",
    ("verify", "nowhere"): "nowhere",
    ("compare", "--data-dir", "nowhere"): "nowhere has no scores to compare",
}


@pytest.mark.parametrize("arguments", SENTENCES, ids=" ".join)
def test_error_is_one_sentence_and_exit_code_1(mrnn, arguments):
    run = mrnn(*arguments)
    assert run.returncode == 1
    assert SENTENCES[arguments] in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("shwo",), ("show", "--jsn"), ("evaluate", "one.json"), ("gc", "--keep", "x")])
def test_wrong_usage_is_exit_code_2(mrnn, arguments):
    run = mrnn(*arguments)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_output_does_not_depend_on_the_encoding_of_the_terminal(cold_mrnn, tmp_path):
    (tmp_path / "café.cfg").write_text("[TrainModel]\nepoch = 1\n")
    for environment in ({"PYTHONIOENCODING": "ascii"}, {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}):
        run = cold_mrnn("show", tmp_path / "café.cfg", **environment)
        assert run.returncode == 1
        assert "there is no option epoch; did you mean epochs?" in run.stderr
        assert "Traceback" not in run.stderr
        shown = cold_mrnn("show", "--set", "pipeline.data_dir=é", "--json", **environment)
        assert shown.returncode == 0 and json.loads(shown.stdout)


def test_file_names_do_not_depend_on_the_locale(cold_mrnn, tmp_path):
    names = [f"été_{number}_狗" for number in range(3)]
    captions = "".join(json.dumps({"image_id": name, "caption": "un chien"}) + "\n" for name in names)
    (tmp_path / "références.jsonl").write_text(captions, encoding="utf-8")
    arguments = [tmp_path / "références.jsonl", tmp_path / "références.jsonl", "--out", tmp_path / "évalué"]
    run = cold_mrnn("evaluate", *arguments, LANG="C", LC_ALL="C", PYTHONUTF8="0")
    assert run.returncode == 0, run.stderr
    sheet = json.loads((tmp_path / "évalué" / "scores.json").read_text(encoding="utf-8"))
    assert (sheet["results"], sheet["n"]) == ("références.jsonl", 3)


MALFORMED = {
    b"\xef\xbb\xbf[pipeline]\ndataset = shapes\n": "test.cfg starts with a byte order mark",
    b"dataset = shapes\n": "test.cfg is not a configuration file (File contains no section headers",
    b"[pipeline]\ndataset = shapes\ndataset = x\n": "option 'dataset' in section 'pipeline' already exists",
    b"[pipeline]\ndataset = gr\xfcn\n": "test.cfg, line 2, is not UTF-8",
}


@pytest.mark.parametrize("content", MALFORMED)
def test_malformed_configuration_is_one_sentence(mrnn, tmp_path, content):
    (tmp_path / "test.cfg").write_bytes(content)
    run = mrnn("show", tmp_path / "test.cfg")
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert MALFORMED[content] in run.stderr


@pytest.mark.parametrize("command", [["gc"], ["verify"], ["invalidate", "TrainModel"], ["run"], ["show"], ["compare"]])
def test_malformed_configuration_of_the_directory_is_one_sentence_in_every_command(mrnn, tmp_path, command):
    (tmp_path / "working directory" / "luigi.cfg").write_bytes(b"[pipeline]\ndataset = gr\xfcn\n")
    run = mrnn(*command)
    assert run.returncode == 1
    assert run.stderr == "luigi.cfg, line 2, is not UTF-8; save the file as UTF-8.\n"


def test_completion_gives_names_of_configurations_and_stages(mrnn):
    def complete(words):
        position = str(len(words.split()) - 1)
        return mrnn(_MRNN_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=position).stdout.split()

    assert complete("mrnn run flickr8k-tf") == ["flickr8k-tf-mrnn", "flickr8k-tf-mrnn-init"]
    assert complete("mrnn invalidate Train") == ["TrainModel", "TrainSelfCritical"]
