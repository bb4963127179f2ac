"""`python -m benchmarks.gpu [DIRECTORY]`: rates and correctness on one GPU, as `gpu.json` and `gpu.md`.

It takes at most eight minutes: no measurement begins after `Scale.seconds`, and one that has not returned half a minute
later is abandoned with the process. Both are reported as left out; the files are written after each measurement.
Without a GPU it refuses to run.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.photographs import make_photographs
from benchmarks.timing import seconds
from benchmarks.training import MAX_LENGTH, captions_of, lengths_like_flickr8k, multiplications_a_word
from model.backbones import load_backbone
from model.backbones.images import cut_crops
from model.backbones.spec import BackboneSpec
from model.decoding.beam_search import BeamSearch
from model.mrnn.config import ModelConfig
from model.mrnn.layers import mean_and_std
from model.mrnn.network import MRNN
from model.precision import precision
from model.training.callbacks import Checkpoint, KeepBest
from model.training.config import FitConfig, OptimizerConfig, ScheduleConfig, TrainingConfig, ValidationConfig
from model.training.distribution import Replicas
from model.training.objective import CrossEntropy
from model.training.optimizers import make_optimizer
from model.training.trainer import fit, make_train_step
from model.training.validation import Validator
from pipelines.engines.beam import BeamEngine
from pipelines.engines.engine import Sharding
from pipelines.features.extract_features import ExtractionOptions, extract_features
from pipelines.features.images import read_image
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary

PRECISIONS = ("float32", "TF32", "mixed_float16")  # TF32: float32 whose products have ten bits of mantissa
FEATURES_TOLERANCE = 1e-3  # of the largest feature
GRADIENT_TOLERANCE = 1e-3  # of the gradient's norm
LOSS_TOLERANCE = 1e-5  # relative
LEFT_OUT = "left out for lack of time"
GRACE = 30.0  # seconds for the measurement that is running when time is up


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements.

    Attributes:
        seconds: Time after which no further measurement begins.
        backbones: Names of backbones.
        image_batch: Images in a batch of a backbone.
        xla: Whether to compile with XLA, each choice in turn.
        photographs: Images that are decoded and extracted.
        variants: Variants of the m-RNN.
        batches: Numbers of captions in a batch.
        model: Sizes of the networks; None for those of the variant.
        vocabulary: Number of tokens.
        features: Number of image features.
        product_side: Side of the square matrices whose product gives the rate of the device.
        searched: Images that are captioned.
        rounds: Rounds of each measurement, of which the median is reported.
    """

    seconds: float = 440.0
    backbones: tuple[str, ...] = ("vgg16/fc2", "efficientnet-lite2")
    image_batch: int = 64
    xla: tuple[bool, ...] = (False, True)
    photographs: int = 1024
    variants: tuple[str, ...] = ("mrnn", "mrnn-shared", "tf-mrnn")
    batches: tuple[int, ...] = (64, 256, 1024)
    model: ModelConfig = field(default_factory=ModelConfig)
    vocabulary: int = 2550
    features: int = 1280
    product_side: int = 8192
    searched: int = 1000
    rounds: int = 5


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        question: What is measured.
        setting: How.
        value: Median of the rounds, or the deviation from the CPU.
        unit: Unit of the value.
        share: Fraction of the rate of a square product in the same precision, if that is a bound.
        passed: Whether the deviation is within its tolerance; None for a rate.
    """

    question: str
    setting: str
    value: float | None
    unit: str
    share: float | None = None
    passed: bool | None = None


def run(directory: Path, scale: Scale, device: str) -> list[Row]:
    """Measure everything on a device and write `gpu.json` and `gpu.md`.

    Args:
        directory: Where to write.
        scale: Sizes of the measurements.
        device: `GPU:0`, or `CPU:0` for a test.

    Returns:
        The measurements. One that fails has no value, and the reason as its unit.
    """
    started, machine = time.monotonic(), describe_machine(device)
    with tf.device(device):
        measurements = list(_measurements(scale, device))
        rows = [Row(question, setting, None, LEFT_OUT) for question, setting, _ in measurements]
        _write(directory, machine, rows)
        for index, (question, setting, measure) in enumerate(measurements):
            if time.monotonic() - started > scale.seconds:
                break
            try:
                rows[index] = replace(measure(), question=question, setting=setting)
            except (tf.errors.OpError, ValueError) as error:
                rows[index] = Row(question, setting, None, str(error).splitlines()[0][:80])
            print(_line(rows[index]), flush=True)
            _write(directory, machine, rows)
    return rows


def _write(directory: Path, machine: dict[str, Any], rows: list[Row]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine, "rows": [vars(row) for row in rows]}
    (directory / "gpu.json").write_text(json.dumps(record, indent=2) + "\n")
    (directory / "gpu.md").write_text(as_markdown(machine, rows))


def describe_machine(device: str) -> dict[str, Any]:
    """Return date, device, driver, processor cores, their load, and versions."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    on_gpu = device.startswith("GPU")
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "command": "python -m benchmarks.gpu",
        "device": subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if on_gpu
        else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "tensorflow": tf.__version__,
    }


def as_markdown(machine: dict[str, Any], rows: list[Row]) -> str:
    """Return one table of all measurements, after a line about the machine."""
    head = ", ".join(f"{name} {value}" for name, value in machine.items())
    table = ["| question | setting | value | share of a square product | as on the CPU |", "|---|---|---|---|---|"]
    return "\n".join([head, "", *table, *map(_line, rows)]) + "\n"


def _line(row: Row) -> str:
    value = row.unit if row.value is None else f"{row.value:.4g} {row.unit}"
    share = "" if row.share is None else f"{row.share:.2f}"
    passed = {None: "", True: "yes", False: "**no**"}[row.passed]
    return f"| {row.question} | {row.setting} | {value} | {share} | {passed} |"


def _measurements(scale: Scale, device: str) -> Iterator[tuple[str, str, Callable[[], Row]]]:
    """Yield question, setting and measurement, correctness first."""
    yield "features", scale.backbones[0], lambda: _compare_features(scale, device)
    for variant in scale.variants:
        yield "loss and gradient", variant, partial(_compare_training, scale, variant, device)
        yield "captions", variant, partial(_compare_captions, scale, variant, device)
    yield "resumed training", scale.variants[0], lambda: _resume(scale)
    products: dict[str, float] = {}
    for name in PRECISIONS:
        yield "square product", name, partial(_product, scale, name, products)
    yield "decoding on one core", f"{scale.photographs} JPEG files of 500 x 375", lambda: _decode(scale)
    yield "files to artifact", f"{scale.backbones[0]}, mixed_float16", lambda: _extract(scale)
    for variant in scale.variants:
        yield "beam search, width 10", f"{variant}, float32", partial(_search, scale, variant)
    for xla in scale.xla:  # last with XLA, whose compilations take long
        for backbone, name in product(scale.backbones, PRECISIONS):
            yield "network alone", _setting(backbone, name, xla), partial(_backbone, scale, backbone, name, xla)
        for variant, batch, name in product(scale.variants, scale.batches, PRECISIONS):
            setting = _setting(f"{variant}, {batch} captions", name, xla)
            yield "training", setting, partial(_train, scale, variant, batch, name, xla, products)


def _setting(what: str, name: str, xla: bool) -> str:
    return f"{what}, {name}" + (", XLA" if xla else "")


@contextmanager
def _computing_in(name: str) -> Iterator[None]:
    """Compute in one of `PRECISIONS`."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(name == "TF32")
    try:
        with precision("float32" if name == "TF32" else name):
            yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _median(call: Callable[[], Any], rounds: int) -> float:
    """Return the median wall time of some calls after one that does not count."""
    call()
    return statistics.median(seconds(call) for _ in range(rounds))


def _product(scale: Scale, name: str, products: dict[str, float]) -> Row:
    """Measure a square product and keep its rate in multiplications per second."""
    dtype = tf.float16 if name == "mixed_float16" else tf.float32
    with _computing_in(name):
        left, right = (tf.cast(tf.random.normal((scale.product_side,) * 2), dtype) for _ in range(2))
        multiply = tf.function(lambda: tf.reduce_sum(tf.cast(tf.matmul(left, right), tf.float32)))
        products[name] = scale.product_side**3 / _median(lambda: multiply().numpy(), scale.rounds)
    return Row("", "", products[name] / 1e12, "T multiplications/s")


def _backbone(scale: Scale, backbone: str, name: str, xla: bool) -> Row:
    """Measure the forward pass on images in memory."""
    with _computing_in(name):
        loaded = load_backbone(BackboneSpec(backbone, "random:0", 0, _keras_precision(name), xla))
        side = loaded.input_size
        images = np.random.default_rng(0).integers(0, 256, (scale.image_batch, side, side, 3), np.uint8)
        return Row("", "", scale.image_batch / _median(lambda: loaded.features(images), scale.rounds), "images/s")


def _keras_precision(name: str) -> str:
    return "float32" if name == "TF32" else name


def _decode(scale: Scale) -> Row:
    """Measure reading, decoding and cropping in one thread."""
    with tempfile.TemporaryDirectory() as folder:
        sources = make_photographs(Path(folder), min(scale.photographs, 128))
        taken = _median(lambda: [cut_crops(read_image(each)[0], 224, "center") for each in sources], scale.rounds)
    return Row("", "", len(sources) / taken, "images/s")


def _extract(scale: Scale) -> Row:
    """Measure an extraction from files to the artifact, with all cores decoding."""
    spec = BackboneSpec(scale.backbones[0], "random:0", 0, "mixed_float16")
    options = ExtractionOptions(spec, "center", "float16", "benchmark", scale.image_batch, os.cpu_count() or 1)
    engine = BeamEngine()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sources = make_photographs(root, scale.photographs)
        loaded = load_backbone(spec)
        loaded.features(np.zeros((scale.image_batch, loaded.input_size, loaded.input_size, 3), np.uint8))
        sharding = Sharding(engine, 4, str(root / "shards"))
        taken = seconds(lambda: extract_features(sources, root, options, sharding, 1.0))
    return Row("", "", scale.photographs / taken, "images/s")


def _network(scale: Scale, variant: str, dropout: float | None = None) -> MRNN:
    network = MRNN(scale.vocabulary, scale.features, replace(scale.model, variant=variant, dropout=dropout))
    bias = np.random.default_rng(0).normal(0.0, 2.0, scale.vocabulary)  # frequent and rare tokens, as after training
    network.softmax.bias.assign(bias)
    return network


def _objective(scale: Scale, network: MRNN, batch: int, captions: int) -> CrossEntropy:
    random = np.random.default_rng(0)
    lengths = np.sort(lengths_like_flickr8k(random, captions))
    train = captions_of(random, lengths, scale.vocabulary, scale.features)
    network.scaling.adapt(*mean_and_std(train.features))
    return CrossEntropy(network, train, TrainingConfig(1, batch, MAX_LENGTH))


def _train(scale: Scale, variant: str, batch: int, name: str, xla: bool, products: dict[str, float]) -> Row:
    """Measure steps on batches of captions of similar length."""
    with _computing_in(name):
        network = _network(scale, variant)
        objective = _objective(scale, network, batch, 4 * batch)
        config = OptimizerConfig(learning_rate=1e-4)
        optimizer = make_optimizer(config, scale_loss=name == "mixed_float16")
        optimizer.build(network.trainable_variables)
        optimizer.learning_rate.assign(1e-4)
        replicas = Replicas()
        step = make_train_step(objective, [optimizer], replicas, config, xla)
        batches = [objective.step_inputs(each, replicas) for each in objective.batches(0)]

        def epoch() -> None:
            for each in batches:
                loss, _ = step(*each.tensors)
            loss.numpy()

        rate = sum(each.tokens for each in batches) / _median(epoch, scale.rounds)
    return Row("", "", rate, "tokens/s", 3 * multiplications_a_word(network) * rate / products[name])


def _search(scale: Scale, variant: str) -> Row:
    """Measure the search for captions of up to 30 tokens."""
    search = BeamSearch(_network(scale, variant), 10, MAX_LENGTH + 1)
    images = np.random.default_rng(0).standard_normal((scale.searched, scale.features)).astype(np.float32)

    def caption() -> None:
        for start in range(0, len(images), 100):
            search(images[start : start + 100])

    return Row("", "", scale.searched / _median(caption, scale.rounds), "images/s")


def _on_both(device: str, compute: Callable[[], Any]) -> tuple[Any, Any]:
    """Compute the same in float32 on the device and on the CPU, each with variables of its own."""
    found = []
    for each in (device, "CPU:0"):
        with tf.device(each), _computing_in("float32"):
            found.append(compute())
    return found[0], found[1]


def _compare_features(scale: Scale, device: str) -> Row:
    def compute() -> np.ndarray:
        backbone = load_backbone.__wrapped__(BackboneSpec(scale.backbones[0], "random:0"))
        side = backbone.input_size
        return backbone.features(np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8))

    ours, expected = _on_both(device, compute)
    deviation = float(np.abs(ours - expected).max() / np.abs(expected).max())
    return Row("", "", deviation, "of the largest feature", passed=deviation < FEATURES_TOLERANCE)


def _compare_training(scale: Scale, variant: str, device: str) -> Row:
    def compute() -> tuple[float, np.ndarray]:
        network = _network(scale, variant, dropout=0.0)
        objective = _objective(scale, network, 64, 64)
        inputs = objective.step_inputs(next(iter(objective.batches(0))), Replicas())
        weights = network.trainable_variables
        with tf.GradientTape() as tape:
            loss, _ = objective.loss(*inputs.tensors)
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        return float(loss), np.concatenate([tf.convert_to_tensor(each).numpy().ravel() for each in gradients])

    (loss, gradient), (expected_loss, expected) = _on_both(device, compute)
    deviation = float(np.linalg.norm(gradient - expected) / np.linalg.norm(expected))
    close = deviation < GRADIENT_TOLERANCE and abs(loss / expected_loss - 1.0) < LOSS_TOLERANCE
    return Row("", "", deviation, "of the gradient's norm", passed=close)


def _compare_captions(scale: Scale, variant: str, device: str) -> Row:
    images = np.random.default_rng(1).standard_normal((16, scale.features)).astype(np.float32)
    ours, expected = _on_both(
        device, lambda: [each[0].tokens for each in BeamSearch(_network(scale, variant), 3, MAX_LENGTH)(images)]
    )
    same = sum(one == other for one, other in zip(ours, expected, strict=True)) / len(images)
    return Row("", "", same, "of the captions are the same", passed=same == 1.0)


def _resume(scale: Scale) -> Row:
    """Compare the weights of a training run with those of one that is interrupted after an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        whole = _trained(scale, Path(folder) / "whole.h5", (2,))
        resumed = _trained(scale, Path(folder) / "resumed.h5", (1, 2))
    deviation = float(max(np.abs(one - other).max() for one, other in zip(whole, resumed, strict=True)))
    return Row("", "", deviation, "largest difference of a weight", passed=deviation < GRADIENT_TOLERANCE)


def _trained(scale: Scale, state: Path, epochs: tuple[int, ...]) -> list[np.ndarray]:
    for count in epochs:
        network = _network(scale, scale.variants[0])
        objective = _objective(scale, network, 64, 256)
        words = [f"w{number}" for number in range(scale.vocabulary - len(SPECIAL_WORDS))]
        fit(
            objective,
            Validator(network, Vocabulary([*SPECIAL_WORDS, *words]), objective.data, MAX_LENGTH, beam_width=1),
            FitConfig(
                TrainingConfig(count, 64, MAX_LENGTH),
                OptimizerConfig(learning_rate=1e-4),
                ScheduleConfig("constant"),
                ValidationConfig("perplexity", beam_width=1),
            ),
            [KeepBest(), Checkpoint(state)],
        )
    return [variable.numpy() for variable in network.trainable_variables]


if __name__ == "__main__":
    if not tf.config.list_physical_devices("GPU"):
        sys.exit("TensorFlow finds no GPU here; run this on a machine that has one.")
    watchdog = threading.Timer(Scale().seconds + GRACE, os._exit, args=(1,))
    watchdog.daemon = True
    watchdog.start()
    run(Path(sys.argv[1] if len(sys.argv) > 1 else "."), Scale(), "GPU:0")
