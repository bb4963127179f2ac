"""This machine: its description, and its rate of matrix products, the upper bound for networks."""

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path

from benchmarks.timing import seconds


def square_product(size: int) -> Callable[[], object]:
    """Return a function that multiplies two random float32 matrices of `size` x `size`, on all cores."""
    import tensorflow as tf  # not above: its memory would count as that of child processes

    left, right = tf.random.normal((size, size)), tf.random.normal((size, size))
    multiply = tf.function(lambda: tf.matmul(left, right), autograph=False)
    multiply()
    return lambda: multiply().numpy()


def gemm_rate(size: int = 4096, repeats: int = 5) -> float:
    """FLOP/s of one large float32 matrix product by TensorFlow, on all cores: the best of some runs."""
    return float(2 * size**3 / seconds(square_product(size), repeats))


def describe_run(command: str) -> str:
    """Return one line with the command, date, processor, cores, load and version of TensorFlow."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in facts.items()}
    simd = "AVX-512" if "avx512f" in fields.get("flags", "") else "AVX2" if "avx2" in fields.get("flags", "") else ""
    model = " ".join([fields.get("model name") or platform.machine(), simd]).strip()
    tensorflow = version(packages_distributions()["tensorflow"][0])
    date, load = datetime.now(UTC).date().isoformat(), os.getloadavg()[0]
    return f"`{command}`, {date}: {os.cpu_count()} cores of {model}, load {load:.1f}, TensorFlow {tensorflow}\n"
