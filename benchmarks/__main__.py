"""`python -m benchmarks [NAME ...]`: runs the named benchmarks, or all."""

import importlib
import os
import sys

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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for benchmark in sys.argv[1:] or NAMES:
        importlib.import_module(f"benchmarks.{benchmark}").run()
