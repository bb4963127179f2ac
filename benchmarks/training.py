"""Training steps: tokens a second beside matrix products and PyTorch."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np

from benchmarks.machine import describe_run, square_product
from benchmarks.timing import Cost, Rounds, cost, print_head, print_row
from model.mrnn.batching import BUCKET_SIZE, Batch, training_batches
from model.mrnn.config import ModelConfig
from model.mrnn.layers import mean_and_std
from model.mrnn.network import MRNN
from model.training.config import FitConfig, OptimizerConfig, ScheduleConfig, TrainingConfig, ValidationConfig
from model.training.distribution import Replicas
from model.training.history import TrainingData
from model.training.objective import CrossEntropy
from model.training.optimizers import make_optimizer
from model.training.trainer import default_callbacks, fit, make_deterministic, make_train_step
from model.training.validation import Validator
from schemas.captions import Captions
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

WORDS, FEATURES, BATCH, MAX_LENGTH = 2550, 1280, 64, 29  # as on Flickr8k
ROUNDS, DROPOUT = 5, 0.5
# Captions a batch and steps a round.
CASES = (
    ("mrnn", 64, 25),
    ("mrnn", 256, 8),
    ("mrnn-shared", 64, 15),
    ("mrnn-shared", 256, 6),
    ("tf-mrnn", 64, 6),
    ("tf-mrnn", 256, 3),
)
PEER = Path(__file__).with_name("train_torch.py")
# Threads of OpenMP wait for each other actively, which is fastest on an idle machine. If another program takes a core
# for a moment, the others spin for as long, and training takes several times as long.
PEER_SETTINGS = {
    "active threads": {},
    "passive threads": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}

Round = Callable[[], Cost]  # trains on all batches once


def run(peer: str | None = None) -> None:
    """Compare each variant at its published sizes on captions as long as Flickr8k's, round by round.

    The steps are some of those of a whole epoch: the batches of a few captions would be much of padding. Each round
    measures everything once, in alternation; the table contains medians of the ratios within a round, by wall time and
    in brackets by processor time.

    Args:
        peer: Python with PyTorch and NumPy; None leaves out the comparison with PyTorch.
    """
    keras.utils.set_random_seed(0)
    make_deterministic()
    print(describe_run(f"python -m benchmarks training{' --peer PYTHON' if peer else ''}"))
    print_head("variant, captions per batch", "tokens/s", "share of a square product", "PyTorch")
    for variant, batch_size, steps in CASES:
        _measure(variant, batch_size, steps, peer)


def _measure(variant: str, batch_size: int, steps: int, peer: str | None) -> None:
    """Measure one variant and batch size, and print a row."""
    random = np.random.default_rng(0)
    pool = np.sort(lengths_like_flickr8k(random, BUCKET_SIZE * batch_size)).reshape(BUCKET_SIZE, batch_size)
    train = captions_of(random, pool[np.linspace(0, BUCKET_SIZE - 1, steps).round().astype(int)].ravel())
    config = ModelConfig(variant, dropout=DROPOUT)
    batches = list(training_batches(train.captions, batch_size, MAX_LENGTH, seed=0, epoch=0))
    tokens = sum(batch.tokens for batch in batches)
    network = MRNN(WORDS, FEATURES, config)
    products = 3 * multiplications_a_word(network) * tokens
    ways = {"product": _product_round(products), "ours": _our_round(network, train, batches)}
    with _peer_round(peer, config, train, batches) as (of_peer, setting):
        if of_peer:
            ways["peer"] = of_peer
        for measure in ways.values():
            measure()
        rounds = Rounds(ways, ROUNDS)
    compared = f"{rounds.ratio('ours', 'peer')}, {setting}" if of_peer else ""
    pace = f"{tokens * rounds.rate('ours'):,.0f}"
    print_row(f"`{variant}`, {batch_size}", pace, rounds.ratio("ours", "product"), compared)


def _product_round(multiplications: int) -> Round:
    """Square products; the cost is that of as many multiplications as the steps need."""
    side, repeats = 2048, 5
    multiply = square_product(side)

    def measure() -> Cost:
        taken = cost(lambda: [multiply() for _ in range(repeats)])
        return taken.times(multiplications / (repeats * side**3))

    return measure


def _our_round(network: MRNN, train: TrainingData, batches: list[Batch]) -> Round:
    """Steps of `model.training.trainer`."""
    network.scaling.adapt(*mean_and_std(train.features))
    objective, replicas = (
        CrossEntropy(network, train, TrainingConfig(1, len(batches[0].inputs), MAX_LENGTH)),
        Replicas(),
    )
    config = OptimizerConfig(learning_rate=1e-4)
    optimizer = make_optimizer(config)
    optimizer.build(network.trainable_variables)
    optimizer.learning_rate.assign(config.learning_rate)
    step = make_train_step(objective, [optimizer], replicas, config, xla=False)

    def train_once() -> None:
        for batch in batches:
            loss, _ = step(*objective.step_inputs(batch, replicas).tensors)
            float(loss)

    return lambda: cost(train_once)


class Peer:
    """A process of another environment that trains in PyTorch; it is stopped while it is not measured."""

    def __init__(self, python: str, batches: Path, environment: Mapping[str, str]):
        """Start the process.

        Args:
            python: Python with PyTorch and NumPy.
            batches: File of `train_torch.py`.
            environment: Variables to add.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [python, str(PEER), str(batches)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**inherited, **environment},
        )

    def __call__(self) -> Cost:
        """Train on all batches once."""
        assert self._process.stdin and self._process.stdout
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        self._process.send_signal(signal.SIGSTOP)
        return Cost(*map(float, answer.split()))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def _peer_round(
    python: str | None, config: ModelConfig, train: TrainingData, batches: list[Batch]
) -> Iterator[tuple[Round | None, str]]:
    """The same batches in PyTorch, with the setting of its threads that is fastest in a trial, and its name."""
    if python is None:
        yield None, ""
        return
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        path = Path(directory) / "batches.npz"
        np.savez(
            path,
            variant=config.variant,
            vocabulary=WORDS,
            features=FEATURES,
            dropout=config.dropout,
            batches=len(batches),
            **{f"inputs{index}": batch.inputs for index, batch in enumerate(batches)},
            **{f"targets{index}": batch.targets for index, batch in enumerate(batches)},
            **{f"features{index}": train.features[batch.image_index] for index, batch in enumerate(batches)},
        )
        trials: dict[str, tuple[float, Peer]] = {}
        for setting, environment in PEER_SETTINGS.items():
            peer = Peer(python, path, environment)
            stack.callback(peer.close)
            peer()
            trials[setting] = peer().wall, peer
        fastest = min(trials, key=lambda setting: trials[setting][0])
        yield trials[fastest][1], fastest


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


def multiplications_a_word(network: MRNN) -> int:
    """Of one word forwards; images, once a caption, are left out, and so is the look-up of embeddings."""
    products = [variable for variable in network.trainable_variables if len(variable.shape) == 2]
    counted = [
        variable
        for variable in products
        if "image" not in variable.path and (network.choices.tied or not variable.path.endswith("embeddings"))
    ]
    return sum(int(np.prod(variable.shape)) for variable in counted)
