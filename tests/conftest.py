"""Settings of all tests: TensorFlow, where it is used, logs little and runs on the CPU."""

import os
import signal

import hypothesis

os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""})

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A shell's background job ignores Ctrl-C, and the programs that tests start and stop would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
