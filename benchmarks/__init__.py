"""Performance suite: each benchmark prints a table of rates beside those of plain implementations and of bounds."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in stages, see `tasks.runtime.forkserver`
