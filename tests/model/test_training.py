"""Training: it learns, can be stopped at any moment, and ends with the best weights."""

from dataclasses import asdict

import numpy as np
import pytest

from model.metrics import cider
from model.perplexity import perplexity
from model.training import Trainer, TrainingData, TrainingOptions
from schemas.errors import ArtifactError, TrainingError
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "red", "blue", "dog", "cat", "bird"])
CAPTIONS = [[colour, animal] for colour in (3, 4) for animal in (5, 6, 7)]
FEATURES = np.array([[float(word in caption) for word in range(3, 8)] for caption in CAPTIONS], np.float32)


class Stopped(Exception):
    """What a test raises to break training off."""


def silent(done, message):
    pass


def stop_in_epoch(number):
    def progress(done, message):
        if message.startswith(f"epoch {number}:"):
            raise Stopped

    return progress


@pytest.fixture
def make_trainer(make_network, make_captions):
    def make(dropout=0.0, **changes):
        options = {
            "epochs": 3,
            "batch_size": 6,
            "learning_rate": 0.02,
            "weight_decay": 0.0,
            "clip_norm": 5.0,
            "patience": 100,
            "max_length": 4,
            "beam_width": 2,
            "seed": 1,
        }
        network = make_network(seed=1, vocabulary_size=8, feature_size=5, dropout=dropout, image_dropout=dropout)
        train = TrainingData(make_captions(2 * CAPTIONS, [*range(6), *range(6)]), FEATURES)
        val = TrainingData(make_captions(CAPTIONS, range(6)), FEATURES)
        return Trainer(network, VOCABULARY, train, val, TrainingOptions(**{**options, **changes}))

    return make


def test_the_network_learns_to_say_what_the_features_show(make_trainer, tmp_path):
    trainer = make_trainer(epochs=8, batch_size=1, learning_rate=0.05)
    curve = trainer.train(tmp_path / "state.h5", silent)
    assert curve[-1].cost < 0.5 * curve[0].cost
    assert curve[-1].val_perplexity < curve[0].val_perplexity
    assert [report.epoch for report in curve] == list(range(1, 9))

    texts = {str(index): " ".join(VOCABULARY.decode(caption)) for index, caption in enumerate(CAPTIONS)}
    perfect = cider(texts, {image: [text] for image, text in texts.items()})
    assert curve[-1].val_cider == pytest.approx(perfect)
    assert curve[-1].distinct_captions == 6


def test_the_cost_is_bits_a_word_and_weight_decay(make_trainer, tmp_path):
    trainer = make_trainer(epochs=1, batch_size=12, learning_rate=0.0, weight_decay=0.01)
    (report,) = trainer.train(tmp_path / "state.h5", silent)
    network, train = trainer.network, trainer.train_data
    squares = sum(np.square(variable.numpy()).sum() for variable in network.trainable_variables)
    bits = np.log2(perplexity(network, train.captions, train.features, 4))
    assert report.cost == pytest.approx(bits + 0.01 * squares, rel=1e-4)
    assert report.train_perplexity == pytest.approx(2**bits, rel=1e-4)


def test_features_are_scaled_by_the_training_images(make_trainer):
    scaled = make_trainer().network.scaling(FEATURES).numpy()
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=1e-6)


def test_training_that_is_stopped_goes_on_to_the_same_end(make_trainer, tmp_path):
    whole = make_trainer(dropout=0.5)
    curve = whole.train(tmp_path / "whole.h5", silent)
    with pytest.raises(Stopped):
        make_trainer(dropout=0.5).train(tmp_path / "stopped.h5", stop_in_epoch(3))
    resumed = make_trainer(dropout=0.5)
    resumed_curve = resumed.train(tmp_path / "stopped.h5", silent)

    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(curve, resumed_curve, strict=True):
        times = {"words_per_second": 0.0, "seconds": 0.0}
        assert {**asdict(one), **times} == {**asdict(other), **times}


def test_training_that_is_done_is_not_done_again(make_trainer, tmp_path):
    first = make_trainer(epochs=1)
    curve = first.train(tmp_path / "state.h5", silent)
    second = make_trainer(epochs=1)
    assert second.train(tmp_path / "state.h5", stop_in_epoch(1)) == curve
    for one, other in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_patience_ends_training_that_gets_no_better(make_trainer, tmp_path):
    assert len(make_trainer(epochs=9, learning_rate=0.0, patience=2).train(tmp_path / "state.h5", silent)) == 3


def test_the_weights_of_the_best_epoch_are_left(make_trainer, tmp_path):
    trainer = make_trainer(epochs=3)
    weights_after = {}

    def progress(done, message):
        epoch = int(message.split(":")[0].split()[1])
        if "validation" in message:
            weights_after[epoch] = trainer.network.get_weights()
        elif epoch == 3:
            for variable in trainer.network.trainable_variables:
                variable.assign(np.zeros(variable.shape))

    curve = trainer.train(tmp_path / "state.h5", progress)
    best = max(curve, key=lambda report: report.val_cider).epoch
    assert best < 3
    for value, expected in zip(trainer.network.get_weights(), weights_after[best], strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("batch_size", [6, 12])
def test_a_cost_that_is_no_number_ends_training_and_keeps_the_last_good_state(make_trainer, tmp_path, batch_size):
    state = tmp_path / "state.h5"
    with pytest.raises(Stopped):
        make_trainer(batch_size=batch_size).train(state, stop_in_epoch(2))
    good = state.read_bytes()
    with pytest.raises(TrainingError, match="epoch 2"):
        make_trainer(batch_size=batch_size, learning_rate=1e30).train(state, silent)
    assert state.read_bytes() == good


def test_a_perplexity_beyond_all_numbers_ends_training(make_trainer, tmp_path):
    with pytest.raises(TrainingError, match="perplexity is inf"):
        make_trainer(learning_rate=3000.0).train(tmp_path / "state.h5", silent)
    assert list(tmp_path.iterdir()) == []


def test_the_state_of_another_network_is_refused(make_trainer, make_network, tmp_path):
    make_trainer(epochs=1).train(tmp_path / "state.h5", silent)
    trainer = make_trainer()
    other = Trainer(
        make_network(vocabulary_size=9, feature_size=5),
        VOCABULARY,
        trainer.train_data,
        trainer.val_data,
        trainer.options,
    )
    with pytest.raises(ArtifactError, match="another network"):
        other.train(tmp_path / "state.h5", silent)


def test_a_damaged_state_is_an_artifact_error(make_trainer, tmp_path):
    (tmp_path / "state.h5").write_text("text")
    with pytest.raises(ArtifactError, match=r"state\.h5"):
        make_trainer().train(tmp_path / "state.h5", silent)
