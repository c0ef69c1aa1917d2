"""Classify a heart's condition from the picture of a 12-lead ECG page.

Research software, not a diagnosis.
"""

import os

__version__ = "0.1.0"

# TensorFlow reads these when it is imported, which nothing above this line does. oneDNN makes
# training steps up to three times faster on CPUs where TensorFlow leaves it off. What TensorFlow
# writes to its log (that there is no GPU, above all) would bury the progress; what goes wrong is
# raised all the same. Who misses a GPU sets TF_CPP_MIN_LOG_LEVEL=0.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def __getattr__(name):
    """`ecg_lib.predict`, whose imports take seconds, only for those who want it."""
    if name == "predict":
        from ecg_lib.serving.predictor import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
