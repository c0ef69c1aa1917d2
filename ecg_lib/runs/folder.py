"""The run folder: what it holds, and how it is written and read.

A run folder `results/<data>/<protocol>/<model>[-<variant>]-s<seed>[-f<fold>]/` holds

    run.json          the record, see `ecg_lib.runs.record.RunRecord`
    history.csv       one row per epoch: loss, accuracy, their validation values, seconds; an
                      ensemble and a baseline model, which are not trained so, have none
    predictions.csv   one row per scored file, see `ecg_lib.runs.predictions`
    model.keras       the weights, never committed but for the default network
    statements.keras  the same network with statements for its output, see `STATEMENTS_HEAD`; never
                      committed
    features.npz      feature statistics, see `ecg_lib.evaluation.out_of_distribution`, of a network
                      that has them; never committed but for the default network
    backup/           only during training: see `ecg_lib.training.checkpoints`

The notebook that papermill executed lies beside the folder under the same name, never committed.
"""

import logging
import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.files import code_version, sha256, writing
from ecg_lib.models import MODELS
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions
from ecg_lib.runs.record import (
    BASELINE_NAMES,
    RECORD,
    RunKey,
    RunRecord,
    StartedRun,
    check_digest,
    read_any_record,
    read_record,
    write_record,
)

if TYPE_CHECKING:
    import pandas as pd

HISTORY = "history.csv"

MODEL = "model.keras"

STATEMENTS_HEAD = "statements.keras"
"""The same network with the statements of `ecg_lib.runs.teachers` for its output, as logits; it is
there if the run had recordings as teachers. An ensemble has both outputs in `MODEL`."""

FEATURES = "features.npz"

BACKUP = "backup"

LOCK_SECONDS = 10
"""How long to wait for another process that writes to a run folder: one whose parent was killed
ends within a second or two."""

DEFAULT_RUN = "results/models/lead_attention"
"""The one run folder that is committed with its weights, seen from the project's folder."""

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "PIL", "sklearn")

_logger = logging.getLogger(__name__)


# --- Writing ---


def is_finished(folder: Path, run_key: RunKey) -> bool:
    """Return whether a run folder holds a finished run of this key, with all its files.

    Args:
        folder: the run folder.
        run_key: what makes the run.
    """
    record = _read_or_none(folder)
    return (
        isinstance(record, RunRecord)
        and record.key == run_key
        and record.model_sha256 == sha256(folder / MODEL)
        and record.predictions_sha256 == sha256(folder / PREDICTIONS)
        and record.features_sha256 == sha256(folder / FEATURES)
        # Older records do not name the head.
        and record.statements_sha256 in (None, sha256(folder / STATEMENTS_HEAD))
    )


def open_run(folder: Path, run_key: RunKey) -> Path:
    """Make a run folder ready for training.

    An interrupted run of the same key is resumed. Any other that lies there is kept beside it
    under a new name, `<name>~1` and so on, which no table counts: one of another key, or a
    finished one whose weights are missing, as they are of every published run.

    Raises:
        InputError: if the folder cannot be written.
    """
    record = _read_or_none(folder)
    is_resumed = type(record) is StartedRun and record.key == run_key
    if is_resumed:
        return folder
    with writing(folder):
        if (folder / RECORD).exists():
            kept = folder.rename(_free_name(folder))
            _logger.warning(
                "%s: the run that was there is kept as %s, out of the table", folder.name, kept.name
            )
        folder.mkdir(parents=True, exist_ok=True)
        # One without a record may be of any run, and what is in `backup` counts only by it.
        (folder / HISTORY).unlink(missing_ok=True)
    write_record(folder, StartedRun(**vars(run_key)))
    return folder


def remove_backup(folder: Path) -> None:
    """Remove what a training was resumed from, or warn that it stays."""
    try:
        shutil.rmtree(folder / BACKUP)
    except FileNotFoundError:
        pass
    except OSError as error:
        _logger.warning(
            "%s is not needed any more but cannot be removed: %s", folder / BACKUP, error.strerror
        )


def holds_finished_run(folder: Path) -> bool:
    """Return whether there is the record of a finished run, its weights there or not."""
    return isinstance(_read_or_none(folder), RunRecord)


def _read_or_none(folder):
    """The record of a run, finished or not; None if there is none, or it cannot be used."""
    try:
        return read_any_record(folder)
    except InputError:
        return None


def _free_name(folder):
    number = 1
    while (name := folder.with_name(f"{folder.name}~{number}")).exists():
        number += 1
    return name


def note_resumed(folder: Path, epoch: int) -> None:
    """Add to the record of an unfinished run after which epoch, counted from 1, it was resumed."""
    record = _read_started(folder)
    write_record(folder, replace(record, resumed_after=(*record.resumed_after, epoch)))


def _read_started(folder: Path) -> StartedRun:
    record = read_any_record(folder)
    if record is None:
        raise InputError(f"{folder} holds no {RECORD}: expected the folder of a run in training")
    return record


def finish_run(folder: Path, run_key: RunKey, **facts: Any) -> RunRecord:
    """Write the record of a finished run, last of its files.

    Args:
        folder: the run folder, which was opened by `open_run` and holds the predictions and, but
            for a baseline model, the weights, and the feature statistics and the head for
            statements if there are any.
        run_key: what makes the run.
        **facts: the fields of `RunRecord` that are not found out here.

    Returns:
        The record.

    Raises:
        InputError: if the record cannot be written.
    """
    record = RunRecord(
        **vars(run_key),
        resumed_after=_read_started(folder).resumed_after,
        code_version=code_version(),
        python=platform.python_version(),
        libraries={name: import_module(name).__version__ for name in LIBRARIES},
        model_sha256=sha256(folder / MODEL),
        predictions_sha256=str(sha256(folder / PREDICTIONS)),
        features_sha256=sha256(folder / FEATURES),
        statements_sha256=sha256(folder / STATEMENTS_HEAD),
        **facts,
    )
    write_record(folder, record)
    return record


# --- Checks before a network is used ---


def check_boxes(run: Path, record: RunRecord) -> None:
    """Refuse a run whose network needs a page's label to see the page.

    Raises:
        InputError: if the run's boxes depend on the label.
    """
    protocol = record.config.protocol
    if PROTOCOLS[protocol].boxes == "published":
        raise InputError(
            f"{run} was trained under the protocol {protocol} and cannot answer for a page: its "
            f"boxes depend on the label; expected a run of another protocol"
        )


def check_weights(run: Path, record: RunRecord) -> None:
    """Check that the weights of a run exist and are those that its record names.

    Raises:
        InputError: if they are not.
    """
    weights = run / MODEL
    if not weights.is_file():
        raise InputError(
            f"{run} holds no {MODEL}: train one with python -m ecg_lib run --data PAGES, or "
            f"take {DEFAULT_RUN} of the project's repository"
        )
    check_digest(weights, record.model_sha256)


# --- Reading ---


class Run(NamedTuple):
    """A finished run as it was read and checked.

    Attributes:
        folder: the run folder.
        record: its record.
        predictions: DataFrame of its predictions.
    """

    folder: Path
    record: RunRecord
    predictions: "pd.DataFrame"


def read_run(folder: Path) -> Run:
    """Read the record and the predictions of a finished run, and check that they belong together.

    Raises:
        InputError: if it holds no finished run, or one that cannot be used.
    """
    record = read_record(folder)
    return Run(folder, record, read_predictions(folder, record))


def read_runs(folder: Path) -> list[Run]:
    """Read all finished runs in a folder of runs, in the order of the models' registry.

    A run that cannot be used is left out, and a warning names it and its fault.
    """
    return _usable(folder, read_run, lambda run: run.record)


def finished_runs(folder: Path) -> list[Path]:
    """Return the finished run folders in a folder of runs, in the order of the models' registry.

    One whose record cannot be used is left out, and a warning names it and its fault.
    """
    found = _usable(folder, lambda run: (run, read_record(run)), lambda pair: pair[1])
    return [run for run, _ in found]


def _usable(folder: Path, read: Callable[[Path], Any], record_of: Callable[[Any], RunRecord]):
    found = {}
    for path in Path(folder).glob(f"*/{RECORD}"):
        run = path.parent
        if "~" in run.name:
            continue
        try:
            if isinstance(read_any_record(run), RunRecord):
                found[run] = read(run)
        except InputError as error:
            _warn_once(f"{run} is left out: {error}")
    order = [*MODELS, *BASELINE_NAMES]

    def place(run):
        # Numbers as numbers: seed 2 comes before seed 10.
        name = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", run.name)]
        return order.index(record_of(found[run]).config.model), name

    return [found[run] for run in sorted(found, key=place)]


@cache
def _warn_once(message):
    """Log a warning, though the same run may be read for several tables."""
    _logger.warning("%s", message)


def folders_of_runs(results: Path) -> list[Path]:
    """Return all folders of run folders in a results folder: `<results>/<data>/<protocol>`.

    Raises:
        InputError: if none of them holds a finished run.
    """
    folders = sorted({path.parents[1] for path in Path(results).glob(f"*/*/*/{RECORD}")})
    found = [folder for folder in folders if finished_runs(folder)]
    if not found:
        raise InputError(f"{results} holds no finished run: expected a folder that `run` wrote to")
    return found


def read_history(folder: Path) -> "pd.DataFrame":
    """Return the history of a run, as a DataFrame with one row per epoch."""
    import pandas as pd  # Here, since answering for a page needs no table.

    return pd.read_csv(folder / HISTORY)


def describe(folder: Path) -> str:
    """Return a few lines of text that say what a finished run was and where it lies."""
    record = read_record(folder)
    config = record.config
    lines = {
        "run folder": folder,
        "data and protocol": f"{record.data}, {config.protocol}",
        "epochs": f"{record.epochs_done}{_resumed(record)}",
        "training": f"{record.wall_seconds / 60:.1f} minutes, {' + '.join(record.devices)}",
        "batch": f"{config.batch_size} in all, {record.batch_per_replica} per device",
        "parameters": f"{record.parameters:,}",
        "code": record.code_version,
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def _resumed(record):
    after = ", ".join(map(str, record.resumed_after))
    return f", interrupted and resumed after epoch {after}" if after else ""
