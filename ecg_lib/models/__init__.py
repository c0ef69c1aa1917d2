"""The registry of networks. Each is a module that holds a builder of the same name.

Listing the networks imports neither TensorFlow nor Keras; building one does.
"""

from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ecg_lib.errors import InputError, one_of
from ecg_lib.files import replacing

if TYPE_CHECKING:
    import keras

LOGITS, SCORE, STATEMENTS = "logits", "out_of_distribution_score", "statements"
"""Names of the outputs of a network that answers; the last two are not of every network."""

DISPLAY_NAMES = {
    "cnn_2d": "CNN 2D",
    "cnn_3d": "CNN 3D",
    "attention_lstm": "Attention-LSTM",
    "hybrid": "Hybrid",
    "attention_vgg": "AttentionVGG",
    "time_distributed_cnn": "Time Distributed CNN",
    "lead_attention": "Lead attention",
    "testing": "Testing",
}
"""Names of the registered networks in tables and pictures."""

OURS = ("lead_attention",)
"""Networks of this project, compared with the published ones where nothing leaks."""

PUBLISHED = tuple(name for name in DISPLAY_NAMES if name not in (*OURS, "testing"))
"""The six networks that are compared, in the order of the published table."""


def prepare_keras() -> ModuleType:
    """Import Keras as the networks need it: on TensorFlow, channels last, in float32.

    The user's `keras.json` may say otherwise, for other programs.

    Returns:
        The module `keras`.

    Raises:
        InputError: if Keras was imported before ecg_lib and runs on another backend.
    """
    keras = import_module("keras")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras was imported with the backend {keras.backend.backend()}: expected tensorflow; "
            "import ecg_lib before keras, or set KERAS_BACKEND=tensorflow"
        )
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    return keras


def _build(name, *args, **kwargs):
    prepare_keras()
    return getattr(import_module(f"{__name__}.{name}"), name)(*args, **kwargs)


MODELS = {name: partial(_build, name) for name in DISPLAY_NAMES}
"""The builder of every registered network."""


def build(
    name: str,
    input_shape: tuple[int, int, int] = (13, 64, 64),
    num_classes: int = 5,
    **kwargs: object,
) -> "keras.Model":
    """Build a network by its name.

    Args:
        name: a key of `MODELS`.
        input_shape: `(crops, height, width)`.
        num_classes: number of classes.
        **kwargs: `mean`, `variance` and the other arguments of the network's builder.

    Returns:
        A `keras.Model` from `(batch, crops, height, width)`, uint8 or float, 0 to 255, to
        float32 logits `(batch, num_classes)`.

    Raises:
        InputError: if there is no such network, or it cannot take `input_shape`.

    Example:
        >>> model = build("cnn_2d", mean=21.3, variance=2809.0)
    """
    return MODELS[one_of("model", name, MODELS)](input_shape, num_classes, **kwargs)


def save(network: "keras.Model", path: str | Path) -> None:
    """Save a network as a `.keras` file, whole or not at all.

    Args:
        network: the network.
        path: the file.

    Raises:
        InputError: if it cannot be written.
    """
    with replacing(Path(path)) as part:
        network.save(part)


def load(path: str | Path) -> "keras.Model":
    """Load a network from a `.keras` file: of one with several outputs, the part to the logits.

    Args:
        path: the file.

    Returns:
        A `keras.Model` with one output.

    Raises:
        InputError: as `load_whole`.
    """
    model = load_whole(path)
    if not isinstance(model.output, dict):
        return model
    return prepare_keras().Model(model.input, model.output[LOGITS], name=model.name)


def load_whole(path: str | Path) -> "keras.Model":
    """Load a network from a `.keras` file, with the custom layers that it may hold.

    A file from an unknown source runs no code: Keras' safe mode stays on.

    Args:
        path: the file.

    Returns:
        A `keras.Model`; one with several outputs returns a dict of them.

    Raises:
        InputError: if there is no such file, if it holds code, or if it cannot be read.
    """
    if not Path(path).is_file():
        raise InputError(f"no model at {path}: expected a .keras file")
    keras = prepare_keras()
    import_module(f"{__name__}.layers")  # Registers the custom layers.
    try:
        return keras.models.load_model(path)
    except Exception as error:  # What is wrong with a file decides which error it is.
        fault = "holds code, which is not run" if "safe_mode" in str(error) else "cannot be read"
        raise InputError(f"{path} {fault}: expected a .keras file without code") from error
