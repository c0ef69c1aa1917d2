"""Trained networks as files that others can run, without Keras and without this package.

Both formats take float32 crops, since an explanation asks for grey levels in between, and not every
device that LiteRT runs on takes bytes. What has to be done to a page before, and to the logits
after, is written beside the file, and into it where the format has room.
"""

import json
import shutil
import warnings
from contextlib import redirect_stdout
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.errors import InputError, one_of
from ecg_lib.files import replacing, temporary_folder, write_text, writing
from ecg_lib.models import LOGITS, SCORE, STATEMENTS
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import CROPS
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.names import network_name
from ecg_lib.serving.answers import DISCLAIMER
from ecg_lib.serving.findings import FINDINGS
from ecg_lib.serving.predictor import Predictor
from ecg_lib.serving.runtimes import (
    DIGESTS,
    LITERT,
    ONNX,
    Network,
    litert_network,
    onnx_network,
    optional,
    served_network,
)

FORMATS = {"onnx": ONNX, "litert": LITERT}
"""The file of each format."""

PAGES_AT_ONCE = {"onnx": None, "litert": 1}
"""LiteRT's own operations include a loop over an LSTM's steps only where this is a number."""

NOTES = "model.json"
"""What there is to know to use the files."""

TOLERANCE = 1e-4
"""Largest difference from Keras that is accepted, see `largest_difference`."""


def export(run: str | Path, file_format: str) -> tuple[Path, float]:
    """Write a trained network into its run folder in another format.

    It has all outputs of the network. The file is kept only if they are the same as in Keras for
    drawn pages of every layout, which are read as any page is. Beside it, `model.json` says how to
    use it, see `usage`.

    Args:
        run: the run folder, with its weights.
        file_format: a key of `FORMATS`. An ONNX file takes any number of pages at once, a LiteRT
            file one.

    Returns:
        The file's path, and the largest difference from Keras, see `largest_difference`.

    Raises:
        InputError: if the run cannot be used, if what the format needs is not installed, if the
            outputs differ by more than `TOLERANCE`, or if the folder cannot be written to.
    """
    run = Path(run)
    path = run / FORMATS[one_of("format", file_format, FORMATS)]
    predictor = Predictor(run, "keras")
    record, notes = predictor.record, usage(predictor)
    crops = drawn_crops(record.config)
    with temporary_folder() as folder:
        with writing(folder / path.name) as exported:
            _convert(served_network(run, record), exported, file_format)
            if file_format == "onnx":
                _add_metadata(exported, notes)
        if file_format == "onnx":
            converted = onnx_network(exported, record)
        else:
            converted = litert_network(exported)
        difference = largest_difference(converted, predictor.network, crops)
        if not difference <= TOLERANCE:  # nor is NaN
            raise InputError(
                f"{path} was not written: its outputs differ from Keras' by {difference:.1e}, "
                f"expected at most {TOLERANCE:.0e}"
            )
        write_text(run / NOTES, json.dumps(notes, indent=1) + "\n")
        with replacing(path) as part:
            shutil.copyfile(exported, part)
    return path, difference


def usage(predictor: Predictor) -> dict[str, Any]:
    """Describe how an exported network is used.

    Args:
        predictor: the predictor of the run.

    Returns:
        dict for JSON: notice, network, data, protocol, the digests of the files that it was made of
        (`DIGESTS`), input, output, height and width (of a crop, in pixels), crops and classes
        (names in their order), temperature, of a network that has feature statistics also
        out_of_distribution_limit, and steps, a list of sentences that say what the others are for.
    """
    record, config = predictor.record, predictor.record.config
    height, width, protocol = config.height, config.width, config.protocol
    answering = predictor.answering
    kinds = {
        LOGITS: f"float32 (pages, {len(record.classes)})",
        SCORE: "float32 (pages, 1)",
        STATEMENTS: f"float32 (pages, statements), probabilities, see {FINDINGS}",
    }
    outputs = [f"{name}: {kinds[name]}" for name in predictor.network.outputs]
    digests = {name: getattr(record, name) for name in DIGESTS}
    scored = {}
    if SCORE in predictor.network.outputs:
        scored["out_of_distribution_limit"] = answering.largest_score
    return {
        "notice": DISCLAIMER,
        "network": network_name(record),
        "data": record.data,
        "protocol": f"{protocol}: {PROTOCOLS[protocol].description}",
        **{name: digest for name, digest in digests.items() if digest is not None},
        "input": f"crops: float32 (pages, 13, {height}, {width}), grey levels 0 to 255, not scaled",
        "output": "; ".join(outputs),
        "height": height,
        "width": width,
        "crops": list(CROPS),
        "classes": list(record.classes),
        "temperature": answering.temperature,
        **scored,
        "steps": _steps(height, width, config.ink_only, bool(scored)),
    }


def _steps(height, width, ink_only, scored):
    keep_ink = "Remove paper and grid: ecg_lib.pages.crops.keep_ink(luma)."
    strange = (
        f"Do not answer where `{SCORE}` is above `out_of_distribution_limit`: the page looks like "
        "nothing that the network was trained on."
    )
    return [
        "Decode the page to 8-bit grey levels, 0 black to 255 white, turned as its EXIF tag says, "
        "transparent parts white, of a JPEG the luma alone. In Pillow: image.draft('L', "
        "image.size), then ImageOps.exif_transpose(image).convert('L').",
        "Find the boxes of the crops: ecg_lib.pages.detection.detect(luma), or "
        "python -m ecg_lib predict PAGE --json, which gives boxes and homography for programs in "
        "other languages.",
        "Where the homography is not the identity, bring the page into the boxes' frame: "
        "ecg_lib.pages.detection.rectify(luma, detection), bilinear, edges repeated, its paper "
        "evened to white.",
        *([keep_ink] if ink_only else []),
        "Cut out each box: left, top, right, bottom in pixels, the last two exclusive; beyond the "
        "page it is black. In Pillow: page.crop(box).",
        "Invert the crop: 255 minus the level.",
        "Dilate it with a 3x3 maximum. In Pillow: crop.filter(ImageFilter.MaxFilter(3)).",
        f"Resize it to {height} rows of {width} pixels with Pillow's antialiased bicubic filter, "
        f"to 8 bits: crop.resize(({width}, {height}), Image.BICUBIC).",
        "Stack the crops in the order of `crops`, as float32 from 0 to 255, not scaled. "
        f"{ONNX} takes any number of pages at once, {LITERT} one.",
        *([strange] if scored else []),
        "Divide the logits by `temperature`; their softmax is the calibrated probabilities of "
        "`classes`.",
    ]


def drawn_crops(config: RunConfig) -> np.ndarray:
    """Draw pages, two of each layout, to compare networks on their crops.

    Args:
        config: the configuration of a run.

    Returns:
        uint8 array `(pages, 13, height, width)`.
    """
    rng = np.random.default_rng(0)
    pages = []
    for layout, class_name in product(PUBLISHED_LAYOUTS, ("normal", "abnormal_heartbeat")):
        drawn, _ = draw_page(simulate(class_name, rng), RATE, layout, rng)
        luma = np.asarray(drawn.convert("L"))
        found = detect(luma)
        pages.append(crop_leads(rectify(luma, found), found.boxes, **config.crop_options))
    return np.stack(pages)


def largest_difference(network: Network, expected: Network, crops: np.ndarray) -> float:
    """Return the largest difference of an output between two networks.

    An out-of-distribution score, which has no bound, counts by its logarithm, all else as it is.

    Args:
        network: a `Network`.
        expected: another, with the same outputs.
        crops: uint8 array `(pages, 13, height, width)`.
    """
    found, wanted = (
        {name: np.log1p(values) if name == SCORE else values for name, values in outputs.items()}
        for outputs in (network(crops), expected(crops))
    )
    return max(float(np.abs(found[name] - wanted[name]).max()) for name in wanted)


def _convert(model, path, file_format):
    if file_format == "onnx":
        optional("tf2onnx")
    crops = keras.Input(
        model.input_shape[1:], batch_size=PAGES_AT_ONCE[file_format], name=model.input.name
    )
    copy = keras.models.clone_model(model, crops, _layer_that_can_be_converted, recursive=True)
    copy.set_weights(model.get_weights())
    signature = [keras.InputSpec(shape=crops.shape, dtype="float32", name="crops")]
    # The converters print names of temporary files, and Keras warns of a name of NumPy 1.
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        copy.export(str(path), format=file_format, input_signature=signature, verbose=False)


def _layer_that_can_be_converted(layer):
    """A new layer that does the same as a layer, weights aside."""
    if isinstance(layer, keras.layers.Normalization):
        # Its statistics would become two more inputs of the ONNX file.
        scale = float(layer.input_variance) ** -0.5
        offset = -float(layer.input_mean) * scale
        return keras.layers.Rescaling(scale, offset, dtype="float32", name=layer.name)
    kind = _MaxPooling3D if isinstance(layer, keras.layers.MaxPooling3D) else type(layer)
    return kind.from_config(layer.get_config())


class _MaxPooling3D(keras.layers.MaxPooling3D):
    """The same in two steps, since LiteRT has no maximum over volumes of its own."""

    def call(self, volumes):
        depth, height, width, channels = volumes.shape[1:]
        along_depth, *across = self.pool_size
        maps = ops.reshape(volumes, (-1, height, width, channels))
        maps = ops.max_pool(maps, across)
        height, width = maps.shape[1:3]
        columns = ops.reshape(maps, (-1, depth, height * width, channels))
        columns = ops.max_pool(columns, (along_depth, 1))
        return ops.reshape(columns, (-1, depth // along_depth, height, width, channels))


def _add_metadata(path, notes):
    """Write notes into an ONNX file, text as it is and all else as JSON."""
    onnx = optional("onnx")
    content = onnx.load(path)
    texts = {
        name: note if isinstance(note, str) else json.dumps(note) for name, note in notes.items()
    }
    onnx.helper.set_model_props(content, texts)
    onnx.save(content, path)
