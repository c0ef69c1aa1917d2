"""`predictions.csv`: one row per scored file, and what is read from it."""

import pandas as pd

from ecg_lib.data.protocols import PROTOCOLS, SPLITS
from ecg_lib.errors import InputError

PREDICTIONS = "predictions.csv"

SCORED_SPLITS = SPLITS[1:]

LOGIT = "logit_"
"""Prefix of the columns of `predictions.csv` that hold one logit per class."""


def read_predictions(folder):
    """Read the predictions of a run.

    Args:
        folder: the run folder.

    Returns:
        DataFrame with one row per scored file: file, page_id, group, split, label, and one logit
        per class.

    Raises:
        InputError: if they are not there.
    """
    if not (folder / PREDICTIONS).is_file():
        raise InputError(f"{folder} holds no {PREDICTIONS}: expected a whole run folder")
    return pd.read_csv(folder / PREDICTIONS, dtype={"group": str, "page_id": str, "file": str})


def classes_of(predictions):
    """The class names of a predictions table, in the order of its logits."""
    return [name.removeprefix(LOGIT) for name in predictions.columns if name.startswith(LOGIT)]


def predicted_classes(predictions):
    """Series of the class with the highest logit, a row a scored file."""
    logits = predictions[[LOGIT + name for name in classes_of(predictions)]]
    return logits.idxmax(axis="columns").str.removeprefix(LOGIT)


def scored_parts(predictions, protocol):
    """The scored parts of a run: `{"test": ..., "validation": ..., "both": ...}`.

    `both` is what the published experiment reports its accuracy on. Under a protocol whose
    validation pages choose the epoch that is kept they tell nothing of new pages, and there is no
    such part.
    """
    scored = {name: predictions[predictions["split"] == name] for name in reversed(SCORED_SPLITS)}
    return scored if PROTOCOLS[protocol].keep_best else scored | {"both": predictions}
