"""How a network answers: in Keras, or exported, in ONNX Runtime or LiteRT.

Its float32 outputs are `logits`, `(pages, classes)`, of a network that has feature statistics
`out_of_distribution_score`, `(pages, 1)`, and of one that learnt them `statements`,
`(pages, statements)`, independent probabilities. Only the runtime that is used is imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.evaluation.out_of_distribution import read_statistics, scoring_network
from ecg_lib.runs.record import RunRecord

if TYPE_CHECKING:
    import keras

ONNX = "model.onnx"
LITERT = "model.tflite"

DIGESTS = ("model_sha256", "features_sha256", "statements_sha256")
"""Fields of the record that an exported network must hold: it was made of those files."""


@dataclass(frozen=True)
class Network:
    """A function from crops `(pages, 13, height, width)`, 0 to 255, to outputs by name.

    Attributes:
        outputs: the names of the outputs.
        run: the function.
    """

    outputs: tuple[str, ...]
    run: Callable[[np.ndarray], dict[str, np.ndarray]]

    def __call__(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        return self.run(crops)


def served_network(run: Path, record: RunRecord) -> "keras.Model":
    """Build the network that answers, and that is exported, of the files of a run.

    Returns:
        A `keras.Model` from crops to a dict of all its outputs.

    Raises:
        InputError: if the files are not those that the record names, or cannot be loaded.
    """
    from ecg_lib.runs.network import load_network  # It imports Keras.

    return scoring_network(load_network(run, record), read_statistics(run, record))


def keras_network(run: Path, record: RunRecord) -> Network:
    """Open the network of a run, see `served_network`."""
    network = served_network(run, record)
    # `predict` would spend tens of milliseconds a call on what only large sets need.
    return Network(tuple(network.output), network.predict_on_batch)


def onnx_network(path: Path, record: RunRecord) -> Network:
    """Open the ONNX file that was exported of a network.

    Args:
        path: the file.
        record: the record of the run.

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
    known = session.get_modelmeta().custom_metadata_map
    if any(known.get(name) != getattr(record, name) for name in DIGESTS):
        raise InputError(
            f"{path} was not exported of the network beside it: export it again with "
            f"python -m ecg_lib export {path.parent} --format onnx"
        )

    names = tuple(output.name for output in session.get_outputs())

    def run(crops):
        found = session.run(names, {"crops": crops.astype("float32")})
        return dict(zip(names, found, strict=True))

    return Network(names, run)


def litert_network(path: Path) -> Network:
    """Open a LiteRT file, which takes one page at a time.

    Raises:
        InputError: if LiteRT is not installed.
    """
    interpreter = optional("ai_edge_litert.interpreter").Interpreter(str(path))
    answer = interpreter.get_signature_runner()

    def run(crops):
        pages = [answer(crops=page[np.newaxis]) for page in crops.astype("float32")]
        return {name: np.concatenate([page[name] for page in pages]) for name in pages[0]}

    return Network(tuple(answer.get_output_details()), run)


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
