"""Keys depend on everything that determines an artifact's content."""

from luigi.cmdline_parser import CmdlineParser

from tasks.base.stage import command_line
from tasks.captions.generate_captions import GenerateCaptions
from tasks.captions.rerank_captions import RerankCaptions
from tasks.runtime.console import LoggingConfig
from tasks.training.train_model import TrainModel
from tests.support.toys import Double, Source


def of(stage, data_dir, **parameters):
    return stage(dataset="toys", data_dir=str(data_dir), **parameters)


def test_key_depends_on_significant_parameters_only(data_dir):
    key = of(Source, data_dir).key
    assert len(key) == 10
    assert of(Source, data_dir, text="b").key != key
    assert of(Source, data_dir, pace=1.0).key == key
    assert of(Source, data_dir / "elsewhere").key == key


def test_key_depends_on_the_stage_version(data_dir, monkeypatch):
    key = of(Source, data_dir).key
    monkeypatch.setattr(Source, "version", 2)
    Source.clear_instance_cache()
    assert of(Source, data_dir).key != key


def test_key_depends_on_the_upstream_keys(data_dir, monkeypatch):
    double = of(Double, data_dir)
    key = double.key
    monkeypatch.setattr(Double, "requires", lambda self: {"source": self.upstream(Source, text="b")})
    Double.clear_instance_cache()
    assert of(Double, data_dir).key != key


def test_shared_parameters_are_passed_upstream(data_dir):
    source = of(Double, data_dir, batch_size=99).requires()["source"]
    assert source.batch_size == 1
    assert source.data_dir == str(data_dir)


def test_key_is_independent_of_where_shards_run(data_dir):
    reranking = RerankCaptions(dataset="toys", data_dir=str(data_dir), split="val", runner="elsewhere.Runner", shards=7)
    generation = reranking.requires()["hypotheses"]
    assert (generation.split, generation.data_dir) == ("val", str(data_dir))
    assert (generation.runner, generation.shards) == (GenerateCaptions().runner, GenerateCaptions().shards)
    assert (reranking.runner, reranking.shards) == ("elsewhere.Runner", 7)


def test_artifact_path_is_dataset_stage_key(data_dir):
    source = of(Source, data_dir)
    assert source.directory == data_dir / "toys" / "Source" / source.key


def test_command_line_round_trips(data_dir):
    arguments = ["--module", "tests.support.toys", "Double", "--data-dir", str(data_dir), "--local-scheduler"]
    arguments += ["--Source-text=-b c", "--dataset", "toys", "--TrainModel-xla", "--verbose"]
    assert command_line() is None
    with CmdlineParser.global_instance(arguments):
        restored = command_line()
        with CmdlineParser.global_instance(list(restored), allow_override=True):
            assert Source(dataset="toys").text == "-b c"
            assert TrainModel(dataset="toys").xla is True
            assert LoggingConfig().verbose is True
            assert command_line() == restored
