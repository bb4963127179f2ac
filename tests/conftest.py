"""What all tests share: TensorFlow, where it is used, says little and runs on the processor."""

import os

os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""})
