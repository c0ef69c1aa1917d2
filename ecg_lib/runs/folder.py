"""The run folder: what it holds, and how it is written and read.

A run folder `results/<data>/<protocol>/<model>[-<variant>]-s<seed>/` holds

    run.json          the record: config, versions, devices, hashes, parameters, epochs, metrics,
                      and layouts, the training pages of each layout by class
    history.csv       a row an epoch: loss, accuracy, their validation values, seconds; an ensemble,
                      which is not trained, has none
    predictions.csv   a row a scored file: file, page_id, group, split, label, one logit a class
    model.keras       the weights, never committed
    backup/           only until it is finished: see `ecg_lib.training.checkpoints`

The notebook that papermill ran lies beside the folder under the same name, never committed.
"""

import json
import platform
import re
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

import pandas as pd

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.files import code_version, locked, replacing, sha256
from ecg_lib.models import MODELS
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.names import BASELINE_NAMES
from ecg_lib.runs.predictions import PREDICTIONS

RECORD = "run.json"


HISTORY = "history.csv"


MODEL = "model.keras"


BACKUP = "backup"

DEFAULT_RUN = "results/models/lead_attention"
"""The one run folder that is committed with its weights, seen from the project's folder."""


LOCK_SECONDS = 10
"""How long to wait for another process that trains in a run folder: one whose parent was killed
ends within a second or two."""


LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "PIL", "sklearn")


def is_finished(folder, run_key):
    """Whether a run folder holds a finished run of this run_key, its weights included.

    Args:
        folder: the run folder.
        run_key: dict with config, data_hash and split_hash.
    """
    record = _read(folder)
    return (
        _same_run(record, run_key)
        and "metrics" in record
        and record["model_sha256"] == sha256(folder / MODEL)
        and record["predictions_sha256"] == sha256(folder / PREDICTIONS)
    )


def _same_run(record, run_key):
    if record is None:
        return False
    return all(record.get(key) == value for key, value in _completed(run_key).items())


def open_run(folder, run_key):
    """Make a run folder ready for training.

    An interrupted run of the same run_key is gone on with. Any other that lies there is kept
    beside it under a new name, `<name>~1` and so on, which no table counts: one of another
    run_key, or a finished one whose weights are missing, as they are of every published run.

    Raises:
        InputError: if the folder cannot be written to.
    """
    record = _read(folder)
    goes_on = _same_run(record, run_key) and not _finished(record)
    try:
        if (folder / RECORD).exists() and not goes_on:
            kept = folder.rename(_free_name(folder))
            print(f"{folder.name}: the run that was there is kept as {kept.name}, out of the table")
        folder.mkdir(parents=True, exist_ok=True)
        if not goes_on:
            # One without a record may be of any run, and what is in `backup` counts only by it.
            (folder / HISTORY).unlink(missing_ok=True)
            _write_json(folder / RECORD, run_key)
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
    return folder


@contextmanager
def only_process_in(folder):
    """Keep other processes from training in the same run folder; wait a little for one that ends.

    Raises:
        InputError: if another process is at it, or the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder.with_name(f".{folder.name}.lock"), LOCK_SECONDS))
        except TimeoutError:
            raise InputError(
                f"another process is training in {folder}: expected it to end first"
            ) from None
        except OSError as error:
            raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
        yield


def _free_name(folder):
    number = 1
    while (name := folder.with_name(f"{folder.name}~{number}")).exists():
        number += 1
    return name


def note_resumed(folder, epoch):
    """Add to the record of an unfinished run that it was gone on with after an epoch, from 1."""
    record = _read(folder)
    record.setdefault("resumed_after", []).append(epoch)
    _write_json(folder / RECORD, record)


def write_record(folder, record):
    """Add to `run.json` all that its run_key, written before training, does not say."""
    record = (
        _read(folder)
        | record
        | {
            "code_version": code_version(),
            "python": platform.python_version(),
            "libraries": {name: import_module(name).__version__ for name in LIBRARIES},
            "model_sha256": sha256(folder / MODEL),
            "predictions_sha256": sha256(folder / PREDICTIONS),
        }
    )
    _write_json(folder / RECORD, record)


def read_record(folder):
    """The record of a finished run, as a dict."""
    record = _read(folder)
    if not _finished(record):
        raise InputError(f"{folder} holds no finished run: expected a folder with {RECORD}")
    return record


def holds_finished_run(folder):
    """Whether there is a record of a finished run, its weights there or not."""
    return _finished(_read(folder))


def _finished(record):
    return record is not None and "metrics" in record


def check_boxes(run, record):
    """Refuse a run whose network cannot see a page without being told its label.

    Raises:
        InputError: if the run's boxes depend on the label.
    """
    protocol = record["config"]["protocol"]
    if PROTOCOLS[protocol].boxes == "published":
        raise InputError(
            f"{run} was trained under the protocol {protocol} and cannot answer for a page: its "
            f"boxes depend on the label; expected a run of another protocol"
        )


def check_weights(run, record):
    """Check that the weights of a run are there and are those that its record names.

    Raises:
        InputError: if they are not.
    """
    weights = run / MODEL
    if not weights.is_file():
        raise InputError(
            f"{run} holds no {MODEL}: train one with python -m ecg_lib run --data PAGES, or "
            f"take {DEFAULT_RUN} of the project's repository"
        )
    check_file(weights, record["model_sha256"])


def check_file(path, digest):
    """Check that a file has the SHA-256 digest that its run's record names.

    Raises:
        InputError: if it has another one.
    """
    if sha256(path) != digest:
        raise InputError(
            f"{path} is not the one that {RECORD} tells of: expected the file that was "
            f"written with it"
        )


def read_history(folder):
    """The history of a run, as a DataFrame with a row an epoch."""
    return pd.read_csv(folder / HISTORY)


def describe(folder):
    """A few lines of text that say what a finished run was and where it lies."""
    record = read_record(folder)
    lines = {
        "run folder": folder,
        "data and protocol": f"{record['data']}, {record['config']['protocol']}",
        "epochs": f"{record['epochs_done']}{_resumed(record)}",
        "training": f"{record['wall_seconds'] / 60:.1f} minutes, {' + '.join(record['devices'])}",
        "batch": f"{record['config']['batch_size']} in all, {record['batch_per_replica']} a device",
        "parameters": f"{record['parameters']:,}",
        "code": record["code_version"],
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def _resumed(record):
    after = ", ".join(map(str, record.get("resumed_after", [])))
    return f", interrupted and gone on with after epoch {after}" if after else ""


def finished_runs(folder):
    """The finished run folders in a folder of runs, in the order of the models' registry."""
    records = {path.parent: _read(path.parent) for path in Path(folder).glob(f"*/{RECORD}")}
    finished = [run for run, record in records.items() if _finished(record) and "~" not in run.name]
    order = [*MODELS, *BASELINE_NAMES]

    def place(run):
        # Numbers as numbers: seed 2 comes before seed 10.
        name = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", run.name)]
        return order.index(records[run]["config"]["model"]), name

    return sorted(finished, key=place)


def folders_of_runs(results):
    """All folders of run folders in a results folder: `<results>/<data>/<protocol>`.

    Raises:
        InputError: if there is no finished run in any.
    """
    folders = sorted({path.parents[1] for path in Path(results).glob(f"*/*/*/{RECORD}")})
    found = [folder for folder in folders if finished_runs(folder)]
    if not found:
        raise InputError(f"{results} holds no finished run: expected a folder that `run` wrote to")
    return found


def _read(folder):
    """The record of a run, finished or not; None if there is none or it is broken."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _completed(record) if isinstance(record, dict) else None


def _completed(record):
    """Bring a record, which may be older than an option, to today's options.

    An option that was not there had the effect of its default. Until there were a height and a
    width, `image_size` was the height, and `image_width` the width, 0 for as wide as tall.
    """
    config = dict(record.get("config", {}))
    if "image_size" in config:
        height = config.pop("image_size")
        config |= {"height": height, "width": config.pop("image_width", 0) or height}
    return record | {"config": RunConfig().what_counts() | config}


def _write_json(path, content):
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
