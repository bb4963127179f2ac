"""`python -m benchmarks [NAME ...]`: runs the named benchmarks, or all."""

import argparse
import importlib

NAMES = (
    "annotations",
    "captioning",
    "decoding",
    "download",
    "engines",
    "extraction",
    "features",
    "inference",
    "merging",
    "neighbors",
    "object_store",
    "planning",
    "reranking",
    "retrieval",
    "tokenization",
    "training",
    "training_start",
    "workers",
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the named benchmarks, or all.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--peer", metavar="PYTHON", help="Python with PyTorch and NumPy, for training")
    arguments = parser.parse_args()
    if unknown := {*arguments.names} - {*NAMES}:
        parser.error(f"there is no benchmark {min(unknown)!r}")
    for benchmark in arguments.names or NAMES:
        options = {"peer": arguments.peer} if benchmark == "training" else {}
        importlib.import_module(f"benchmarks.{benchmark}").run(**options)
