"""The release stages, without the stages before them."""

from tasks import PublishFeatures
from tasks.cli.graph import inputs_first


def of(data_dir, **parameters):
    return PublishFeatures(dataset="shapes", data_dir=str(data_dir), **parameters)


def test_key_depends_on_content_and_not_on_destination(data_dir):
    key = of(data_dir).key
    assert of(data_dir, publish_to="gs://bucket/release").key == key
    for other in (
        {"dtype": "float32"},
        {"formats": ["npy"]},
        {"base_url": "https://a.example"},
        {"date": "2026-01-31"},
    ):
        assert of(data_dir, **other).key != key


def test_release_depends_on_all_its_parts(data_dir):
    stages = {task.stage for task in inputs_first(of(data_dir))}
    assert {"RefineFeatures", "FindNeighbors", "GenerateCaptions", "RerankCaptions", "TrainModel"} <= stages
    assert not {"EvaluateCaptions", "BuildReport"} & stages
