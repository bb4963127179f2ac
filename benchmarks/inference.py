"""The bare forward pass of VGG16: which settings serve it best, and how near it comes to the machine's rate."""

import os
import subprocess
import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.machine import gemm_rate
from benchmarks.timing import seconds
from model.backbones import load_backbone
from model.backbones.spec import BackboneSpec

CHANNELS_FIRST = "channels first"
SETTINGS = {  # name -> (environment, batch, precision, XLA)
    "batch 32": ({}, 32, "float32", False),
    "batch 1": ({}, 1, "float32", False),
    "batch 8": ({}, 8, "float32", False),
    "batch 16": ({}, 16, "float32", False),
    "batch 64": ({}, 64, "float32", False),
    "batch 32, XLA": ({}, 32, "float32", True),
    "batch 32, without oneDNN": ({"TF_ENABLE_ONEDNN_OPTS": "0"}, 32, "float32", False),
    "batch 32, one thread": ({"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}, 32, "float32", False),
    "batch 32, mixed bfloat16": ({}, 32, "mixed_bfloat16", False),
    "batch 32, channels first": ({}, 32, CHANNELS_FIRST, False),
}


def run() -> None:
    """Print one line per setting, each measured in its own process, or the reason why it cannot run."""
    for name, (environment, batch, precision, xla) in SETTINGS.items():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.inference", str(batch), precision, str(xla)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        outcome = done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip().splitlines()[-1]}"
        print(f"VGG16 forward, {name}: {outcome}", flush=True)


def vgg16_flops() -> float:
    """Multiplications and additions of VGG16 up to fc2 for one image of 224x224."""
    flops, side, channels = 0, 224, 3
    for filters, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            flops += 2 * side * side * filters * channels * 9
            channels = filters
        side //= 2
    return float(flops + 2 * (side * side * channels * 4096 + 4096 * 4096))


def measure(batch: int, precision: str, xla: bool) -> str:
    """Return the best rate of some forward passes, and its fraction of a matrix product's rate."""
    forward = (
        _channels_first()
        if precision == CHANNELS_FIRST
        else load_backbone(BackboneSpec("vgg16/fc2", "random:0", 0, precision, xla)).features
    )
    images = np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), np.uint8)
    forward(images)
    peak = gemm_rate()
    rate = batch / seconds(lambda: forward(images), repeats=max(3, 64 // batch))
    peak = max(peak, gemm_rate())
    flops = rate * vgg16_flops()
    return f"{rate:.2f} images/s, {flops / 1e9:.0f} GFLOP/s, {flops / peak:.0%} of a matrix product's {peak / 1e9:.0f}"


def _channels_first() -> Callable[[np.ndarray], np.ndarray]:
    keras.config.set_image_data_format("channels_first")
    full = keras.applications.VGG16(weights=None)
    forward = tf.function(lambda images: full(images, training=False))
    return lambda images: forward(tf.constant(images.transpose(0, 3, 1, 2).astype(np.float32))).numpy()


if __name__ == "__main__":
    print(measure(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"))
