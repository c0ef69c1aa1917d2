"""The accuracy table of the runs on one data set under one protocol.

Every figure is computed from the runs' `predictions.csv`.
"""

from pathlib import Path

import pandas as pd

from ecg_lib.data.khan2021 import published_accuracies
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.evaluation import fold_tables
from ecg_lib.evaluation.markdown import markdown, ours_below, plain
from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.files import write_csv, write_text
from ecg_lib.runs.folder import finished_runs, read_runs
from ecg_lib.runs.names import network_name
from ecg_lib.runs.predictions import PREDICTIONS, SCORED_SPLITS, scored_parts
from ecg_lib.runs.record import RECORD

TABLE = "accuracy"
"""Stem of the table's files: `accuracy.md` and `accuracy.csv`."""

COMPARISONS = "comparisons"
"""Stem of the file with the paired tests."""


def accuracy_table(folder: Path) -> pd.DataFrame:
    """Compute the accuracy table of all finished runs in a folder from their predictions.

    Args:
        folder: a folder of run folders, `<results>/<data>/<protocol>`.

    Returns:
        DataFrame with one row per run: model, run, image_size, epochs, seed, device, parameters,
        accuracy on test, validation and both (0 to 1), minutes of training, resumed; under the
        published protocol also the published accuracies.

    Raises:
        InputError: if there is no finished run.
    """
    return _accuracy_table(_runs_in(folder))


def _runs_in(folder):
    runs = read_runs(folder)
    if not runs:
        raise InputError(f"{folder} holds no finished run: expected folders with {RECORD}")
    return runs


def _accuracy_table(runs):
    return pd.DataFrame([_table_row(run) for run in runs])


def _table_row(run):
    record, config = run.record, run.record.config
    scored = scored_parts(run.predictions, config.protocol)
    measured = {name: accuracy(part) for name, part in scored.items() if len(part)}
    row = {
        "model": network_name(record, fold_tables.variant(config)),
        "run": run.folder.name,
        "image_size": config.size_text,
        "epochs": record.epochs_done,
        "seed": "+".join(map(str, record.seeds)),
        "device": " + ".join(record.devices),
        "parameters": record.parameters,
        **measured,
        "minutes": record.wall_seconds / 60,
        "resumed": record.resumed,
    }
    if config.protocol == "published":
        published = published_accuracies().get(config.model, {})
        row |= {f"published_{name}": published.get(name) for name in measured}
    return row


def _caption(record):
    """What the table's figures were obtained on, in one paragraph."""
    protocol = record.config.protocol
    pages = ", ".join(f"{count:,} {name}" for name, count in record.pages.items())
    return (
        f"Data: {plain(record.data)}. Protocol: {protocol} ({PROTOCOLS[protocol].description}); "
        f"files: {pages}. Accuracy is the share of files whose highest logit is their class; "
        f'"both" is test and validation together. Epochs, image size, random seed and device '
        f"stand in each row. Computed from each run's {PREDICTIONS}."
    )


def table_markdown(folder: Path) -> str:
    """Write the accuracy table of a folder of runs as Markdown, with its caption below.

    Under a protocol with folds, and for a folder of several protocols' folders, it is that of
    `ecg_lib.evaluation.fold_tables`.
    """
    runs = read_runs(folder)
    if not runs and any(finished_runs(folder / name) for name in PROTOCOLS):
        return fold_tables.side_by_side(folder)
    if _has_folds(runs):
        return fold_tables.table_markdown(folder)
    return _markdown(_runs_in(folder))


def _markdown(runs):
    table = _accuracy_table(runs)
    shares = [name for name in table if name in _SHARES]
    shown = table.drop(columns="run").assign(
        parameters=table["parameters"].map("{:,}".format),
        minutes=table["minutes"].map("{:.1f}".format),
        resumed=table["resumed"].map({True: "yes", False: "no"}),
        device=table["device"].map(plain),
        **{name: table[name].map("{:.4f}".format, na_action="ignore") for name in shares},
    )
    return f"{markdown(ours_below(shown))}\n{_caption(runs[0].record)}\n"


_SHARES = {f"{prefix}{name}" for prefix in ("", "published_") for name in (*SCORED_SPLITS, "both")}


def write_table(folder: Path) -> str:
    """Write `accuracy.md` and `accuracy.csv` into a folder of runs; return the Markdown.

    Under a protocol with folds, `comparisons.csv` is written too.
    """
    runs = _runs_in(folder)
    if _has_folds(runs):
        text, table, pairs = fold_tables.report(runs)
        tables = {TABLE: table, COMPARISONS: pairs}
    else:
        text, tables = _markdown(runs), {TABLE: _accuracy_table(runs)}
    write_text(folder / f"{TABLE}.md", text)
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table, index=False, float_format="%.6g")
    return text


def _has_folds(runs):
    return bool(runs) and PROTOCOLS[runs[0].record.config.protocol].folds > 1
