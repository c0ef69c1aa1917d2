"""Runs of one network on differently split pages, side by side."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.runs.folder import read_run


def compare_splits(runs: Iterable[Path]) -> pd.DataFrame:
    """Compare what one network reaches under several protocols.

    Args:
        runs: folders of finished runs.

    Returns:
        DataFrame with one row per run: protocol; files trained and tested on; the accuracy on the
        test files (0 to 1), and that of always naming their most frequent class.
    """
    return pd.DataFrame(map(_row, runs))


def _row(folder):
    run = read_run(folder)
    test = run.predictions[run.predictions["split"] == "test"]
    return {
        "protocol": run.record.config.protocol,
        "training_files": run.record.pages["train"],
        "test_files": len(test),
        "accuracy": round(accuracy(test), 3),
        "most_frequent_class": round(test["label"].value_counts(normalize=True).iloc[0], 3),
    }
