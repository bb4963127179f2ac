"""Invalid inputs of fine-tuning; tests/tasks runs it from end to end."""

from pathlib import Path

import pytest
import tensorflow as tf

from model.training.config import FineTuneBackboneConfig
from pipelines.training.data import TrainingInputs
from pipelines.training.fine_tune_backbone import FineTuningInputs, fine_tune
from schemas.errors import ConfigurationError
from schemas.provenance import Provenance, write_provenance


class Mean(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def __call__(self, images):
        return tf.reduce_mean(images, [1, 2])


def test_saved_model_is_refused(tmp_path):
    tf.saved_model.save(Mean(), tmp_path / "mean")
    extraction = {
        "backbone": f"hub:{tmp_path / 'mean'}",
        "weights": "",
        "input_size": 8,
        "crop": "squash",
        "pool": "average",
    }
    features = tmp_path / "features"
    features.mkdir()
    write_provenance(
        features,
        Provenance("k", "ExtractFeatures", 1, "toys", {}, {}, "", {}, {}, None, {}, "", 0.0, 0, {}, extraction),
    )
    absent = Path("absent")
    inputs = FineTuningInputs(absent, absent, TrainingInputs(absent, features), absent)
    with pytest.raises(ConfigurationError, match="has no accessible blocks to fine-tune"):
        fine_tune(tmp_path / "out", tmp_path / "scratch", inputs, FineTuneBackboneConfig(), lambda done, message: None)
