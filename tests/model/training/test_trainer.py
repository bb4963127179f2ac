"""Training: it learns, can be stopped at any moment, and ends with the best weights."""

from dataclasses import asdict

import numpy as np
import pytest

from model.metrics.captions import cider
from model.mrnn.likelihood import perplexity
from model.mrnn.network import MRNN, load_network
from model.precision import precision
from model.training import trainer as training
from model.training.history import TrainingData, TrainingOptions
from model.training.trainer import Trainer
from schemas.errors import ArtifactError, ConfigurationError, TrainingError
from schemas.features import FeatureDescription, FeatureFile, write_features
from schemas.vocabulary import BOS, SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "red", "blue", "dog", "cat", "bird"])
CAPTIONS = [[color, animal] for color in (3, 4) for animal in (5, 6, 7)]
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
    def make(dropout=0.0, variant="mrnn", **changes):
        options = {
            "epochs": 3,
            "batch_size": 6,
            "optimizer": "adam",
            "learning_rate": 0.02,
            "schedule": "cosine",
            "warmup_steps": 0,
            "decay_factor": 0.5,
            "decay_keep": 0,
            "decay_every": 1,
            "weight_decay": 0.0,
            "clip_norm": 5.0,
            "label_smoothing": 0.0,
            "ema_decay": 0.0,
            "select_by": "cider",
            "patience": 100,
            "max_length": 4,
            "beam_width": 2,
            "seed": 1,
        }
        network = make_network(
            seed=1, vocabulary_size=8, feature_size=5, variant=variant, dropout=dropout, image_dropout=dropout
        )
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


def stop_before_step(number):
    """Stops where the given step, counted over all epochs, has been made but not yet been told of."""
    steps = 0

    def progress(done, message):
        nonlocal steps
        steps += "words/s" in message
        if steps == number:
            raise Stopped

    return progress


@pytest.mark.parametrize(
    ("seconds_between_saves", "options"),
    [
        (600.0, {"dropout": 0.5}),
        (-1.0, {"dropout": 0.5}),
        (-1.0, {"variant": "tf-mrnn-lstm", "dropout": 0.5, "ema_decay": 0.5}),
        (-1.0, {"scheduled_sampling": 0.8}),
        (-1.0, {"optimizer": "sgd", "schedule": "plateau", "warmup_steps": 5, "select_by": "perplexity"}),
    ],
)
def test_training_that_is_stopped_goes_on_to_the_same_end(
    make_trainer, tmp_path, monkeypatch, seconds_between_saves, options
):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", seconds_between_saves)
    options = {"batch_size": 3, **options}
    whole = make_trainer(**options)
    curve = whole.train(tmp_path / "whole.h5", silent)
    with pytest.raises(Stopped):
        make_trainer(**options).train(tmp_path / "stopped.h5", stop_before_step(7))
    resumed = make_trainer(**options)
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


def test_within_an_epoch_it_goes_on_with_the_next_step(make_trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", -1.0)
    with pytest.raises(Stopped):
        make_trainer(batch_size=3).train(tmp_path / "state.h5", stop_before_step(7))
    told = []
    make_trainer(batch_size=3).train(tmp_path / "state.h5", lambda done, message: told.append(done))
    assert told[0] == pytest.approx(7 / 12)  # three epochs of four steps, six of them saved


def test_with_scheduled_sampling_the_words_before_become_the_network_s_own(make_trainer, tmp_path):
    options = {"batch_size": 12, "learning_rate": 0.0}
    usual = make_trainer(**options).train(tmp_path / "usual.h5", silent)
    sampled = make_trainer(**options, scheduled_sampling=1.0).train(tmp_path / "sampled.h5", silent)
    assert sampled[0].cost == usual[0].cost  # the share begins at 0
    assert sampled[1].cost != usual[1].cost != sampled[2].cost
    assert [report.val_perplexity for report in sampled] == [report.val_perplexity for report in usual]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_every_optimizer_learns(make_trainer, tmp_path, optimizer):
    rate = 0.5 if optimizer == "sgd" else 0.03
    curve = make_trainer(epochs=4, batch_size=2, optimizer=optimizer, learning_rate=rate).train(
        tmp_path / "state.h5", silent
    )
    assert curve[-1].cost < 0.7 * curve[0].cost


@pytest.mark.parametrize("variant", ["blind", "vis-in-rnn-both-shared", "mrnn-shared", "tf-mrnn", "tf-mrnn-init-lstm"])
def test_every_kind_of_variant_learns(make_trainer, tmp_path, variant):
    made = make_trainer(epochs=20, batch_size=2, learning_rate=0.02)
    network = MRNN(8, 5, 32, 32, None if "init" in variant else 32, dropout=0.0, seed=1, variant=variant)
    trainer = Trainer(network, VOCABULARY, made.train_data, made.val_data, made.options)
    learnt = trainer.train(tmp_path / "state.h5", silent)[-1].val_perplexity
    # Blind, one of six captions can only be guessed: log2 6 bits over three words.
    assert (learnt > 6 ** (1 / 3) - 0.01) == (variant == "blind"), learnt


def test_plain_gradient_descent_goes_down_the_gradient_of_the_cost(make_trainer, tmp_path):
    """One step of SGD is -rate * gradient, which the costs before and after measure."""
    slope = {}
    for rate in (1e-3, 2e-3):
        trainer = make_trainer(
            epochs=2, batch_size=12, optimizer="sgd", schedule="constant", learning_rate=rate, clip_norm=0.0
        )
        first, second = trainer.train(tmp_path / f"{rate}.h5", silent)
        slope[rate] = (first.cost - second.cost) / rate
    assert slope[1e-3] > 0  # the square of the gradient's norm
    assert slope[2e-3] == pytest.approx(slope[1e-3], rel=0.1)


def test_label_smoothing_spreads_the_target_over_the_vocabulary(make_trainer, tmp_path):
    trainer = make_trainer(epochs=1, batch_size=12, learning_rate=0.0, label_smoothing=0.1)
    (report,) = trainer.train(tmp_path / "state.h5", silent)
    bits = words = 0.0
    for index, caption in enumerate(CAPTIONS):
        logits = trainer.network(np.array([[BOS, *caption]]), FEATURES[[index]]).numpy()[0].astype(np.float64)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        target = np.full((3, 8), 0.1 / 8)
        target[np.arange(3), [*caption, BOS]] += 0.9
        bits -= (target * log_probs).sum() / np.log(2.0)
        words += 3
    assert report.cost == pytest.approx(bits / words, rel=1e-4)
    plain = make_trainer(epochs=1, batch_size=12, learning_rate=0.0).train(tmp_path / "plain.h5", silent)
    assert report.train_perplexity == pytest.approx(plain[0].train_perplexity)


def test_averaged_weights_are_validated_and_kept(make_trainer, tmp_path):
    """Where the rate is 0 after the first steps, the average nears the weights; before, it lags behind."""
    trainer = make_trainer(epochs=1, batch_size=1, ema_decay=0.9, optimizer="sgd", schedule="constant")
    average = None
    trained = []

    def progress(done, message):
        nonlocal average
        weights = [variable.numpy() for variable in trainer.network.trainable_variables]
        if "words/s" in message:
            trained.append(weights)
            parts = weights if average is None else [0.9 * a + 0.1 * w for a, w in zip(average, weights, strict=True)]
            average = parts

    (report,) = trainer.train(tmp_path / "state.h5", progress)
    for variable, expected, last in zip(trainer.network.trainable_variables, average, trained[-1], strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-5)
        assert not np.array_equal(variable.numpy(), last)
    network, val = trainer.network, trainer.val_data
    assert report.val_perplexity == pytest.approx(perplexity(network, val.captions, val.features, 4))


def test_the_best_epoch_can_be_that_of_least_perplexity(make_trainer, tmp_path):
    trainer = make_trainer(epochs=3, select_by="perplexity")
    curve = trainer.train(tmp_path / "state.h5", silent)
    left = perplexity(trainer.network, trainer.val_data.captions, trainer.val_data.features, 4)
    assert left == pytest.approx(min(report.val_perplexity for report in curve))
    assert [report.score for report in curve] == [-report.val_perplexity for report in curve]


@pytest.mark.parametrize(
    ("option", "message"),
    [({"optimizer": "newton"}, "optimizer 'newton'"), ({"schedule": "up"}, "'up'"), ({"select_by": "luck"}, "'luck'")],
)
def test_an_option_that_is_not_there_is_one_sentence(make_trainer, option, message):
    with pytest.raises(ConfigurationError, match=message):
        make_trainer(**option)


def test_training_that_diverges_ends_with_the_costs(make_trainer, tmp_path):
    with pytest.raises(TrainingError, match="diverges: the cost of epoch 2"):
        make_trainer(batch_size=12, optimizer="sgd", schedule="constant", learning_rate=100.0, clip_norm=0.0).train(
            tmp_path / "state.h5", silent
        )


def test_weights_that_are_no_numbers_are_not_saved(make_trainer, tmp_path, monkeypatch):
    """A step may have a finite cost and leave infinite weights; the state before it stays."""
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", -1.0)
    trainer, saved = make_trainer(batch_size=3), []

    def progress(done, message):
        if "words/s" in message:
            saved.append((tmp_path / "state.h5").read_bytes() if (tmp_path / "state.h5").exists() else None)
            if len(saved) == 3:
                trainer.network.softmax.bias.assign(np.full(8, np.inf))

    with pytest.raises(TrainingError, match="softmax/bias are no longer numbers"):
        trainer.train(tmp_path / "state.h5", progress)
    assert (tmp_path / "state.h5").read_bytes() == saved[-1]


def test_features_may_stay_on_disk(make_trainer, tmp_path):
    in_memory, stored = make_trainer(epochs=2), make_trainer(epochs=2)
    ids = stored.train_data.captions.image_ids
    write_features(tmp_path / "features.h5", ids, FEATURES, FeatureDescription("kind", "none", "0", "tiny"))
    rows = FeatureFile(tmp_path / "features.h5").rows(ids)
    train, val = (TrainingData(data.captions, rows) for data in (stored.train_data, stored.val_data))
    stored = Trainer(stored.network, VOCABULARY, train, val, stored.options)
    for trainer, name in ((in_memory, "memory.h5"), (stored, "disk.h5")):
        trainer.train(tmp_path / name, silent)
    for one, other in zip(in_memory.network.get_weights(), stored.network.get_weights(), strict=True):
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


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_learns_what_float32_learns_and_is_kept_as_float32(make_trainer, tmp_path, name):
    options = {"epochs": 8, "batch_size": 3, "ema_decay": 0.5}
    with precision(name):
        half = make_trainer(**options)
    whole = make_trainer(**options)
    of_half, of_whole = half.train(tmp_path / "half.h5", silent), whole.train(tmp_path / "whole.h5", silent)
    # In float16 the first steps find the scale of the loss and change no weight: it learns a little later.
    assert of_half[-1].cost == pytest.approx(of_whole[-1].cost, rel=0.2)
    assert of_half[-1].cost < 0.5 * of_half[0].cost
    half.network.save(tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras")
    assert {loaded.compute_dtype, *(variable.dtype for variable in half.network.trainable_variables)} == {"float32"}


def test_half_precision_that_is_stopped_goes_on_to_the_same_end(make_trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN_SAVES", -1.0)
    with precision("mixed_float16"):
        whole, stopped, resumed = (make_trainer(batch_size=3, dropout=0.5) for _ in range(3))
    whole.train(tmp_path / "whole.h5", silent)
    with pytest.raises(Stopped):
        stopped.train(tmp_path / "stopped.h5", stop_before_step(7))
    resumed.train(tmp_path / "stopped.h5", silent)
    for one, other in zip(whole.network.get_weights(), resumed.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("variant", ["mrnn", "tf-mrnn-lstm"])
def test_xla_computes_the_same(make_trainer, tmp_path, variant):
    options = {"variant": variant, "batch_size": 5, "epochs": 2, "label_smoothing": 0.1}
    plain = make_trainer(**options).train(tmp_path / "plain.h5", silent)
    compiled = make_trainer(**options, xla=True).train(tmp_path / "compiled.h5", silent)
    for one, other in zip(plain, compiled, strict=True):
        assert other.cost == pytest.approx(one.cost, rel=1e-4)
        assert other.val_perplexity == pytest.approx(one.val_perplexity, rel=1e-4)


def test_each_epoch_has_a_file_for_tensorboard_and_a_run_that_goes_on_none_twice(make_trainer, tmp_path):
    with pytest.raises(Stopped):
        make_trainer().train(tmp_path / "state.h5", stop_in_epoch(3))
    make_trainer().train(tmp_path / "state.h5", silent)
    names = sorted(path.name for path in (tmp_path / "tensorboard").iterdir())
    assert [int(name.rpartition(".")[2]) for name in names] == [1, 2, 3]
