"""The model artifact: equal networks are equal bytes, and the vocabulary belongs to the network."""

import json
import time
import zipfile

import keras
import pytest

from schemas.checkpoint import BACKBONE_WEIGHTS, read_checkpoint, read_curve, write_backbone, write_checkpoint
from schemas.errors import ArtifactError
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "a"])
CURVE = [{"epoch": 1, "loss": 2.5}]


def saver(date, weights=b"weights"):
    """Save as Keras does: a zip archive that holds its date, in the entries and in the metadata."""

    def save(path):
        assert path.suffix == ".keras"
        with zipfile.ZipFile(path, "w") as archive:
            entry_date = (date, 1, 1, 0, 0, 0)
            metadata = json.dumps({"keras_version": "3", "date_saved": str(date)})
            archive.writestr(zipfile.ZipInfo("metadata.json", entry_date), metadata)
            archive.writestr(zipfile.ZipInfo("model.weights.h5", entry_date), weights)

    return save


def test_checkpoint_round_trips(tmp_path):
    write_checkpoint(tmp_path, saver(2024), {"dataset": "shapes"}, VOCABULARY, CURVE)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.vocabulary.words == VOCABULARY.words
    assert checkpoint.config == {"dataset": "shapes", "vocabulary_digest": VOCABULARY.digest}
    assert read_curve(tmp_path) == CURVE
    with zipfile.ZipFile(checkpoint.network) as archive:
        assert archive.read("model.weights.h5") == b"weights"
        assert json.loads(archive.read("metadata.json"))["keras_version"] == "3"


def test_checkpoint_bytes_are_independent_of_time(tmp_path):
    for year in (2024, 2025):
        write_checkpoint(tmp_path / str(year), saver(year), {}, VOCABULARY, CURVE)
    for name in ("model.keras", "config.json", "vocabulary.txt", "training/curve.jsonl"):
        assert (tmp_path / "2024" / name).read_bytes() == (tmp_path / "2025" / name).read_bytes()


def test_failed_save_keeps_the_earlier_checkpoint(tmp_path):
    write_checkpoint(tmp_path, saver(2024), {}, VOCABULARY, CURVE)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(path):
        path.write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_checkpoint(tmp_path, fail, {}, VOCABULARY, CURVE)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_another_vocabulary_is_refused(tmp_path):
    write_checkpoint(tmp_path, saver(2024), {}, VOCABULARY, CURVE)
    Vocabulary([*SPECIAL_WORDS, "b"]).write(tmp_path / "vocabulary.txt")
    with pytest.raises(ArtifactError, match="not the vocabulary"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "vocabulary.txt"])
def test_missing_file_is_an_artifact_error(tmp_path, name):
    write_checkpoint(tmp_path, saver(2024), {}, VOCABULARY, CURVE)
    (tmp_path / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        read_checkpoint(tmp_path)


def test_equal_weights_of_an_image_network_are_equal_bytes(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    written = []
    for pause in (0.0, 1.1):  # HDF5 counts seconds
        time.sleep(pause)
        write_backbone(tmp_path, network.save_weights)
        written.append((tmp_path / BACKBONE_WEIGHTS).read_bytes())
    assert written[0] == written[1]
    assert [path.name for path in tmp_path.iterdir()] == [BACKBONE_WEIGHTS]
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.load_weights(tmp_path / BACKBONE_WEIGHTS)
    assert (other.get_weights()[0] == network.get_weights()[0]).all()
