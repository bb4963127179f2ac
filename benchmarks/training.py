"""Training steps: words a second against Keras's own `fit` on padded captions and against bare matrix products."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import compare, seconds
from model.mrnn.batching import BUCKET_SIZE, training_batches
from model.mrnn.config import ModelConfig
from model.mrnn.layers import mean_and_std
from model.mrnn.network import MRNN
from model.training.config import FitConfig, OptimizerConfig, ScheduleConfig, TrainingConfig, ValidationConfig
from model.training.history import TrainingData
from model.training.objective import CrossEntropy
from model.training.trainer import default_callbacks, fit
from model.training.validation import Validator
from schemas.captions import Captions
from schemas.vocabulary import PAD, SPECIAL_WORDS, Vocabulary

WORDS, FEATURES, BATCH, MAX_LENGTH = 2550, 1280, 64, 29  # as on Flickr8k
# Captions a batch and steps an epoch. A step of a large network passes over all its weights for Adam, however few the
# captions are.
CASES = (
    ("mrnn", BATCH, 25),
    ("mrnn-shared", BATCH, 15),
    ("mrnn-shared", 256, 6),
    ("tf-mrnn", BATCH, 6),
    ("tf-mrnn", 256, 3),
)


def run() -> None:
    """Compares the second of two epochs of each variant at its published sizes, on captions as long as Flickr8k's.

    The steps are some of those of a whole epoch: the batches of a few captions would be much of padding.
    """
    gemm = _multiplications_a_second(2048, 2048, 2048)
    for variant, batch, steps in CASES:
        random = np.random.default_rng(0)
        sorted_pool = np.sort(lengths_like_flickr8k(random, BUCKET_SIZE * batch)).reshape(BUCKET_SIZE, batch)
        train = captions_of(random, sorted_pool[np.linspace(0, BUCKET_SIZE - 1, steps).round().astype(int)].ravel())
        val = synthetic_captions(random, 2)
        network = MRNN(WORDS, FEATURES, ModelConfig(variant))
        ours = trained_words_a_second(network, train, val, batch)
        share = 3 * multiplications_a_word(network) * ours / gemm
        name = f"training, {variant}, {batch} captions a batch"
        print(
            f"{name}: {share:.2f} of the {gemm / 1e9:.0f} G multiplications/s of a matrix product",
            flush=True,
        )
        units, made = network.cell.trainable_variables[0].shape  # the gates' where these are apart
        step = _multiplications_a_second(batch, units, made) / gemm
        print(f"{name}: a product of {batch} states with {units} x {made} weights has {step:.2f} of it", flush=True)
        plain = _fitted_words_a_second(MRNN(WORDS, FEATURES, ModelConfig(variant)), train, batch)
        compare(name, ours, plain, "words/s", "by length", "fit, padded")


def lengths_like_flickr8k(random: np.random.Generator, count: int) -> np.ndarray:
    """10.8 +- 3.7 words."""
    return np.clip(random.normal(10.8, 3.7, count).round(), 3, MAX_LENGTH).astype(np.int64)


def synthetic_captions(random: np.random.Generator, count: int) -> TrainingData:
    """Captions as long as Flickr8k's, see `captions_of`."""
    return captions_of(random, lengths_like_flickr8k(random, count))


def captions_of(
    random: np.random.Generator, lengths: np.ndarray, words: int = WORDS, features: int = FEATURES
) -> TrainingData:
    """Make captions of random words with these lengths, five per image, and random features."""
    count = len(lengths)
    captions = Captions(
        image_ids=[str(image) for image in range((count + 4) // 5)],
        tokens=random.integers(3, words, lengths.sum()).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        image_index=(np.arange(count) // 5).astype(np.int32),
    )
    return TrainingData(captions, random.standard_normal((len(captions.image_ids), features)).astype(np.float16))


def trained_words_a_second(
    network: MRNN,
    train: TrainingData,
    val: TrainingData,
    batch_size: int = BATCH,
    epochs: int = 2,
    progress: Callable[[float, str], None] = lambda fraction, message: None,
) -> float:
    """Trains; returns the pace of the last epoch."""
    config = FitConfig(
        TrainingConfig(epochs, batch_size, MAX_LENGTH),
        OptimizerConfig(learning_rate=1e-4),
        ScheduleConfig("constant"),
        ValidationConfig("perplexity", patience=2, beam_width=1),
    )
    network.scaling.adapt(*mean_and_std(train.features))
    vocabulary = Vocabulary([*SPECIAL_WORDS, *(f"w{word}" for word in range(WORDS - 3))])
    with tempfile.TemporaryDirectory() as name:
        curve = fit(
            CrossEntropy(network, train, config.training),
            Validator(network, vocabulary, val, MAX_LENGTH, beam_width=1),
            config,
            default_callbacks(config, Path(name) / "state.h5", progress),
        )
    return curve[-1].tokens_per_second


def _fitted_words_a_second(network: MRNN, train: TrainingData, batch_size: int) -> float:
    batches = list(training_batches(train.captions, batch_size, MAX_LENGTH, seed=0, epoch=0))
    steps = MAX_LENGTH + 1

    def padded(rows: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.pad(part, ((0, 0), (0, steps - part.shape[1]))) for part in rows])

    inputs, targets = padded([batch.inputs for batch in batches]), padded([batch.targets for batch in batches])
    features = np.concatenate([train.features[batch.image_index] for batch in batches]).astype(np.float32)
    tokens = keras.Input((steps,), dtype="int32")
    image = keras.Input((FEATURES,))
    model = keras.Model([tokens, image], network(tokens, image))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PAD)
    model.compile(keras.optimizers.Adam(1e-4, global_clipnorm=5.0), loss)

    def fit(count: int) -> None:
        model.fit([inputs[:count], features[:count]], targets[:count], batch_size, epochs=1, verbose=0)

    fit(batch_size)
    return float((targets != PAD).sum()) / seconds(lambda: fit(len(inputs)))


def multiplications_a_word(network: MRNN) -> int:
    """Of one word forwards; images, once a caption, are left out, and so is the look-up of embeddings."""
    products = [variable for variable in network.trainable_variables if len(variable.shape) == 2]
    counted = [
        variable
        for variable in products
        if "image" not in variable.path and (network.choices.tied or not variable.path.endswith("embeddings"))
    ]
    return sum(int(np.prod(variable.shape)) for variable in counted)


def _multiplications_a_second(rows: int, inner: int, columns: int) -> float:
    """Of the product of two matrices of these sizes."""
    left, right = tf.random.normal((rows, inner)), tf.random.normal((inner, columns))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(left, right)))
    multiply()
    return rows * inner * columns / seconds(lambda: multiply().numpy(), repeats=5)
