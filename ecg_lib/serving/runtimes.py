"""How a network answers: in Keras, or exported, in ONNX Runtime or LiteRT.

Each function opens a file and returns a function from crops `(pages, 13, height, width)`, 0 to 255,
to float32 logits `(pages, classes)`. Only the runtime that is used is imported.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.models import load

Logits = Callable[[np.ndarray], np.ndarray]
"""A function from crops to logits."""

ONNX = "model.onnx"
LITERT = "model.tflite"


def keras_logits(path: Path) -> Logits:
    """Open a `.keras` file.

    Raises:
        InputError: if it cannot be loaded, see `ecg_lib.models.load`.
    """
    # `predict` would spend tens of milliseconds a call on what only large sets need.
    return load(path).predict_on_batch


def onnx_logits(path: Path, model_sha256: str | None) -> Logits:
    """Open the ONNX file that was exported of a network.

    Args:
        path: the file.
        model_sha256: digest of the network's `.keras` file.

    Raises:
        InputError: if there is no such file, if it cannot be read or is of another network, or if
            ONNX Runtime is not installed.
    """
    if not path.is_file():
        raise InputError(
            f"no exported network at {path}: write it with python -m ecg_lib export {path.parent} "
            f"--format onnx"
        )
    onnxruntime = optional("onnxruntime")
    options = onnxruntime.SessionOptions()
    # Its threads would keep the processor busy while the next page is read.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # Its errors have no class in common.
        raise InputError(f"{path} cannot be read: expected an exported network") from error
    if session.get_modelmeta().custom_metadata_map.get("model_sha256") != model_sha256:
        raise InputError(
            f"{path} was not exported of the network beside it: export it again with "
            f"python -m ecg_lib export {path.parent} --format onnx"
        )

    def logits(crops):
        (found,) = session.run(["logits"], {"crops": crops.astype("float32")})
        return found

    return logits


def litert_logits(path: Path) -> Logits:
    """Open a LiteRT file, which takes one page at a time.

    Raises:
        InputError: if LiteRT is not installed.
    """
    interpreter = optional("ai_edge_litert.interpreter").Interpreter(str(path))
    answer = interpreter.get_signature_runner()
    return lambda crops: np.concatenate(
        [answer(crops=page[np.newaxis])["logits"] for page in crops.astype("float32")]
    )


def is_installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    return find_spec(module) is not None


def optional(module: str) -> ModuleType:
    """Import a module that only the extra `export` installs.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise InputError(
            f"{module} is not installed: expected what pip install .[export] installs"
        ) from None
