"""Classify a heart's condition from the picture of a 12-lead ECG page.

Research software, not a diagnosis.
"""

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecg_lib.models import build, load
    from ecg_lib.pages.crops import crop_leads
    from ecg_lib.pages.detection import detect
    from ecg_lib.pages.image import read_luma
    from ecg_lib.runs.config import RunConfig
    from ecg_lib.runs.inputs import open_inputs
    from ecg_lib.serving.predictor import predict
    from ecg_lib.training.train import train

__version__ = "0.1.0"

__all__ = [
    "RunConfig",
    "build",
    "crop_leads",
    "detect",
    "load",
    "open_inputs",
    "predict",
    "read_luma",
    "train",
]

# The module of each public name, imported when the name is first used: TensorFlow and pandas take
# seconds, which nobody should wait for who only reads a page or wants help.
_MODULES = {
    "RunConfig": "ecg_lib.runs.config",
    "build": "ecg_lib.models",
    "crop_leads": "ecg_lib.pages.crops",
    "detect": "ecg_lib.pages.detection",
    "load": "ecg_lib.models",
    "open_inputs": "ecg_lib.runs.inputs",
    "predict": "ecg_lib.serving.predictor",
    "read_luma": "ecg_lib.pages.image",
    "train": "ecg_lib.training.train",
}

# TensorFlow reads these when it is imported, which nothing above does. oneDNN makes training steps
# up to three times faster on CPUs where TensorFlow leaves it off. Its log (that there is no GPU,
# above all) would bury the progress; real faults are raised anyway. Set TF_CPP_MIN_LOG_LEVEL=0 to
# find out why a GPU is missing.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# From 1.29 on, ONNX Runtime reports its use to its maker unless it is told not to, and leaves a
# file in the temporary folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A backend that the user's shell names is meant for other programs. Once Keras was imported it is
# too late to choose, see `ecg_lib.models.prepare_keras`.
if "keras" not in sys.modules:
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        logging.getLogger(__name__).warning(
            "KERAS_BACKEND is %s: ecg_lib runs on TensorFlow and sets it to tensorflow",
            os.environ["KERAS_BACKEND"],
        )
    os.environ["KERAS_BACKEND"] = "tensorflow"


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported yet or not."""
    return sorted({*globals(), *__all__})
