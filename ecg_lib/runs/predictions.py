"""`predictions.csv`: one row per scored file, and what is read from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_lib.data.protocols import PROTOCOLS, SPLITS
from ecg_lib.errors import InputError
from ecg_lib.files import read_csv, write_csv
from ecg_lib.runs.record import RunRecord, check_digest, read_record

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS = "predictions.csv"

SCORED_SPLITS = SPLITS[1:]

LOGIT = "logit_"
"""Prefix of the columns that hold one logit per class."""

PROBABILITY = "p_"
"""Prefix of the columns of answers and scored pages that hold one probability per class."""

PAGE_COLUMNS = ("file", "page_id", "group", "split", "label")
"""The columns before the logits."""


def make_predictions(
    pages: "pd.DataFrame", splits: "pd.Series", classes: Sequence[str], logits: np.ndarray
) -> "pd.DataFrame":
    """Make a predictions table.

    Args:
        pages: the scored rows of the prepared pages.
        splits: the split of each page, on an index that holds that of `pages`.
        classes: class names in the order of the logits.
        logits: float array `(pages, classes)`.

    Returns:
        DataFrame with one row per scored file: file, page_id, group, split, label, and one logit
        per class.
    """
    return pages[["file", "page_id", "group"]].assign(
        split=splits[pages.index],
        label=pages["class"],
        **dict(zip(_logit_columns(classes), np.transpose(logits), strict=True)),
    )


def write_predictions(folder: Path, predictions: "pd.DataFrame") -> "pd.DataFrame":
    """Write the predictions of a run, and return them as they are read from then on: rounded.

    Raises:
        InputError: if they cannot be written, or if a logit is not a finite number.
    """
    path = folder / PREDICTIONS
    write_csv(path, predictions, index=False, float_format="%.6g")
    return _read_table(path, classes_of(predictions))


def read_predictions(folder: Path, record: RunRecord | None = None) -> "pd.DataFrame":
    """Read and check the predictions of a finished run.

    Args:
        folder: the run folder.
        record: its record, if it is read already.

    Returns:
        DataFrame with one row per scored file: file, page_id, group, split, label, and one logit
        per class.

    Raises:
        InputError: if they do not exist, are not the file that the record names, or cannot be
            used.
    """
    path = Path(folder) / PREDICTIONS
    record = record or read_record(folder)
    if not path.is_file():
        raise InputError(f"{folder} holds no {PREDICTIONS}: expected a complete run folder")
    check_digest(path, record.predictions_sha256)
    return _read_table(path, record.classes)


def require_pages(folder: Path, predictions: "pd.DataFrame", splits: Sequence[str]) -> None:
    """Refuse the predictions of a run that hold no page of a split.

    Raises:
        InputError: if they do not.
    """
    for split in splits:
        if not (predictions["split"] == split).any():
            raise InputError(
                f"{Path(folder) / PREDICTIONS} holds no {split} pages: expected at least one"
            )


def _read_table(path, classes):
    logits = _logit_columns(classes)
    types = dict.fromkeys(PAGE_COLUMNS, str) | dict.fromkeys(logits, float)
    missing = dict.fromkeys(logits, ("", "nan", "NaN"))
    table = read_csv(path, dtype=types, keep_default_na=False, na_values=missing)
    if list(table.columns) != [*PAGE_COLUMNS, *logits]:
        raise InputError(
            f"{path} has the columns {', '.join(table.columns)}: expected "
            f"{', '.join((*PAGE_COLUMNS, *logits))}"
        )
    for column, known in (("split", SCORED_SPLITS), ("label", classes)):
        _check_rows(path, table, column, table[column].isin(known), f"one of {', '.join(known)}")
    for column in logits:
        _check_rows(path, table, column, np.isfinite(table[column]), "a finite number")
    return table


def _check_rows(path, table, column, valid, expected):
    if not valid.all():
        row = int(np.argmin(valid))
        raise InputError(
            f"{path}, row {row + 1}: {column} is {table[column].iloc[row]}: expected {expected}"
        )


def _logit_columns(classes):
    return [LOGIT + name for name in classes]


def classes_of(predictions: "pd.DataFrame") -> list[str]:
    """Return the class names of a predictions table, in the order of its logits."""
    return [name.removeprefix(LOGIT) for name in predictions.columns if name.startswith(LOGIT)]


def logits_of(predictions: "pd.DataFrame") -> np.ndarray:
    """Return the logits of a predictions table, a float array `(files, classes)`."""
    return predictions[_logit_columns(classes_of(predictions))].to_numpy(float)


def predicted_classes(predictions: "pd.DataFrame") -> "pd.Series":
    """Return a Series of the class with the highest logit, one row per scored file."""
    logits = predictions[_logit_columns(classes_of(predictions))]
    return logits.idxmax(axis="columns").str.removeprefix(LOGIT)


def scored_parts(predictions: "pd.DataFrame", protocol: str) -> dict[str, "pd.DataFrame"]:
    """Return the scored parts of a run: `{"test": ..., "validation": ..., "both": ...}`.

    `both` is what the published experiment reports its accuracy on. Under a protocol whose
    validation pages choose the epoch that is kept, they say nothing about new pages, and there is
    no such part.
    """
    scored = {name: predictions[predictions["split"] == name] for name in reversed(SCORED_SPLITS)}
    return scored if PROTOCOLS[protocol].keep_best else scored | {"both": predictions}
