"""The network of a run, and one made of several, with outputs by name.

The outputs are `LOGITS`, `(pages, classes)`, and, of a network that learnt them, `STATEMENTS`,
`(pages, statements)`: independent probabilities.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.models import LOGITS, STATEMENTS, load, load_whole
from ecg_lib.models.layers import MeanProbability
from ecg_lib.runs.folder import MODEL, STATEMENTS_HEAD, check_weights
from ecg_lib.runs.record import RunRecord, check_digest


def load_network(run: Path, record: RunRecord) -> keras.Model:
    """Load the network of a run folder.

    Args:
        run: the run folder, with its weights. An ensemble has the statements in its `model.keras`,
            any other run in `statements.keras` beside it.
        record: its record.

    Returns:
        A functional `keras.Model` from crops to a dict of its outputs.

    Raises:
        InputError: if a file is not the one that the record names, or cannot be used, or if they
            are of two networks.
    """
    check_weights(run, record)
    network = load_whole(run / MODEL)
    outputs = by_name(network.output)
    path = run / STATEMENTS_HEAD
    if record.statements_sha256 is not None:
        check_digest(path, record.statements_sha256)
    # Older records do not name it.
    if path.is_file():
        outputs |= {STATEMENTS: _statements(network, path)}
    return keras.Model(network.input, outputs, name=network.name)


def by_name(output: Any) -> dict[str, Any]:
    """Return what a network returns as a dict by the outputs' names; one alone is the logits."""
    return output if isinstance(output, dict) else {LOGITS: output}


def _statements(network, path):
    """Put the head for statements on the layers that a network shares with it."""
    beside = load(path)
    # The last two weights are those of either head.
    weights, others = network.get_weights()[:-2], beside.get_weights()[:-2]
    if len(weights) != len(others) or not all(map(np.array_equal, weights, others)):
        raise InputError(
            f"{path} is of another network than the {MODEL} beside it: expected both from one run"
        )
    features = network.get_layer("logits").input
    logits = beside.get_layer("statements")(features)
    return keras.layers.Activation("sigmoid", dtype="float32", name="probabilities")(logits)


def mean_network(networks: Sequence[keras.Model]) -> keras.Model:
    """Make one network of several, with the outputs that all of them have.

    Args:
        networks: models from the same crops to logits or to a dict of outputs. They are renamed, so
            that all names differ.

    Returns:
        A functional `keras.Model` from crops to a dict of outputs: logits whose softmax is the mean
        probability, and the mean of each other output. Of a single network, the network itself.
    """
    if len(networks) == 1:
        return networks[0]
    crops = keras.Input(networks[0].input_shape[1:], name="crops")
    for number, network in enumerate(networks, start=1):
        network.name = f"{network.name}_{number}"
    of_each = [by_name(network(crops)) for network in networks]
    means = {}
    for name in of_each[0]:
        if all(name in outputs for outputs in of_each):
            mean = MeanProbability if name == LOGITS else keras.layers.Average
            means[name] = mean(dtype="float32", name=name)([outputs[name] for outputs in of_each])
    return keras.Model(crops, means, name="ensemble")
