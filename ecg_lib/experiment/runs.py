"""The run folder, the accuracy table, and the README's copy of it.

A run folder `results/<data>/<protocol>/<model>[-<variant>]-s<seed>/` holds

    run.json          the record: config, versions, devices, hashes, parameters, epochs, metrics
    history.csv       a row an epoch: loss, accuracy, their validation values, seconds
    predictions.csv   a row a scored file: file, page_id, group, split, label, one logit a class
    model.keras       the weights, never committed
    backup/           only until it is finished: see `ecg_lib.experiment.checkpoints`

The notebook that papermill ran lies beside the folder under the same name, never committed. Every
figure in a table is computed from `predictions.csv`.
"""

import hashlib
import json
import platform
import re
from contextlib import ExitStack, contextmanager
from importlib import import_module, resources
from pathlib import Path

import pandas as pd

import ecg_lib
from ecg_lib.data.splits import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.experiment.config import RunConfig
from ecg_lib.experiment.evaluation import SCORED_SPLITS, accuracy, parts
from ecg_lib.experiment.naive import NAIVE, NAIVE_NAMES
from ecg_lib.locks import locked
from ecg_lib.models import DISPLAY_NAMES, MODELS

RECORD = "run.json"
HISTORY = "history.csv"
PREDICTIONS = "predictions.csv"
MODEL = "model.keras"
BACKUP = "backup"

MODEL_NAMES = DISPLAY_NAMES | NAIVE_NAMES

LOCK_SECONDS = 10
"""How long to wait for another process that trains in a run folder: one whose parent was killed
ends within a second or two."""

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "PIL", "sklearn")


def is_finished(folder, identity):
    """Whether a run folder holds a finished run of this identity, its weights included.

    Args:
        folder: the run folder.
        identity: dict with config, data_hash and split_hash.
    """
    record = _read_json(folder / RECORD)
    return (
        _same_run(record, identity)
        and "metrics" in record
        and record["model_sha256"] == sha256(folder / MODEL)
        and record["predictions_sha256"] == sha256(folder / PREDICTIONS)
    )


def _same_run(record, identity):
    if record is None:
        return False
    # A record may be older than a knob, which then had the effect of its default.
    knobs = {name: getattr(RunConfig, name) for name in identity["config"]}
    record = record | {"config": knobs | record.get("config", {})}
    return all(record.get(key) == identity[key] for key in identity)


def open_run(folder, identity):
    """Make a run folder ready for training.

    An interrupted run of the same identity is gone on with. A run of another identity that lies
    there is kept beside it under a new name, `<name>~1` and so on, which no table counts.

    Raises:
        InputError: if the folder cannot be written to.
    """
    record = _read_json(folder / RECORD)
    try:
        if (folder / RECORD).exists() and not _same_run(record, identity):
            folder.rename(_free_name(folder))
            record = None
        folder.mkdir(parents=True, exist_ok=True)
        if record is None or "metrics" in record:
            _write_json(folder / RECORD, identity)
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
    record = _read_json(folder / RECORD)
    record.setdefault("resumed_after", []).append(epoch)
    _write_json(folder / RECORD, record)


def write_record(folder, record):
    """Add to `run.json` all that its identity, written before training, does not say."""
    record = (
        _read_json(folder / RECORD)
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


def code_version():
    """The package's version and a digest of its code, such as "0.1.0+3f2a9c01d4e5"."""
    root = Path(ecg_lib.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{ecg_lib.__version__}+{digest.hexdigest()[:12]}"


def read_record(folder):
    """The record of a finished run, as a dict."""
    record = _read_json(folder / RECORD)
    if record is None or "metrics" not in record:
        raise InputError(f"{folder} holds no finished run: expected a folder with {RECORD}")
    return record


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


def read_predictions(folder):
    """The predictions of a run, as a DataFrame; see the module's text for the columns."""
    return pd.read_csv(folder / PREDICTIONS, dtype={"group": str, "page_id": str, "file": str})


def finished_runs(folder):
    """The finished run folders in a folder of runs, in the order of the models' registry."""
    records = {path.parent: _read_json(path) for path in Path(folder).glob(f"*/{RECORD}")}
    finished = [
        run
        for run, record in records.items()
        if record is not None and "metrics" in record and "~" not in run.name
    ]
    order = [*MODELS, *NAIVE]
    return sorted(
        finished, key=lambda run: (order.index(records[run]["config"]["model"]), run.name)
    )


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


def _read_json(path):
    """The content of a JSON file, a dict, or None if there is none or it is broken."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


@contextmanager
def replacing(path):
    """A path to write to, whose file takes the place of `path` once it is whole."""
    part = path.with_name(f"{path.name}.part")
    yield part
    part.replace(path)


def _write_json(path, content):
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")


def sha256(path):
    """Hexadecimal digest of a file, or None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


TABLE = "accuracy"
"""Stem of the table's files: `accuracy.md` and `accuracy.csv`."""


def published_accuracies():
    """What the published experiment reports: `{model: {"test": ..., "validation": ..., ...}}`.

    Reference:
        github.com/prantik-paul-99/Heart-Condition-Classifier-from-ECG-images, its README.
    """
    with resources.files("ecg_lib.data").joinpath("published_results.json").open() as file:
        return json.load(file)


def accuracy_table(folder):
    """The accuracy table of all finished runs in a folder, computed from their predictions.

    Args:
        folder: a folder of run folders, `<results>/<data>/<protocol>`.

    Returns:
        DataFrame with a row a run: model, run, image_size, epochs, seed, device, parameters,
        accuracy on test, validation and both (0 to 1), minutes of training, resumed; under the
        published protocol also the published accuracies.

    Raises:
        InputError: if there is no finished run.
    """
    finished = finished_runs(folder)
    if not finished:
        raise InputError(f"{folder} holds no finished run: expected folders with {RECORD}")
    return pd.DataFrame([_table_row(run) for run in finished])


def _table_row(run):
    record = read_record(run)
    config = record["config"]
    scored = parts(read_predictions(run), config["protocol"])
    measured = {name: accuracy(part) for name, part in scored.items() if len(part)}
    row = {
        "model": MODEL_NAMES[config["model"]],
        "run": run.name,
        "image_size": config["image_size"],
        "epochs": record["epochs_done"],
        "seed": config["seed"],
        "device": " + ".join(record["devices"]),
        "parameters": record["parameters"],
        **measured,
        "minutes": record["wall_seconds"] / 60,
        "resumed": record["resumed"],
    }
    if config["protocol"] == "published":
        published = published_accuracies().get(config["model"], {})
        row |= {f"published_{name}": published.get(name) for name in measured}
    return row


def table_caption(folder):
    """What the table's figures were obtained on, in one paragraph."""
    record = read_record(finished_runs(folder)[0])
    protocol = record["config"]["protocol"]
    pages = ", ".join(f"{count:,} {name}" for name, count in record["pages"].items())
    return (
        f"Data: {record['data']}. Protocol: {protocol} ({PROTOCOLS[protocol].description}); "
        f"files: {pages}. Accuracy is the share of files whose highest logit is their class; "
        f'"both" is test and validation together. Epochs, image size, random seed and device '
        f"stand in each row. Computed from each run's {PREDICTIONS}."
    )


def table_markdown(folder):
    """The accuracy table of a folder of runs as Markdown, its caption below it.

    Under a protocol with folds, and for a folder of several protocols' folders, it is that of
    `ecg_lib.experiment.benchmark`.
    """
    from ecg_lib.experiment import benchmark

    if _has_folds(folder):
        return benchmark.table_markdown(folder)
    if not finished_runs(folder) and any(finished_runs(folder / name) for name in PROTOCOLS):
        return benchmark.side_by_side(folder)
    table = accuracy_table(folder)
    shares = [name for name in table if name in _SHARES]
    shown = table.drop(columns="run").assign(
        image_size=[f"{size}x{size}" for size in table["image_size"]],
        parameters=table["parameters"].map("{:,}".format),
        minutes=table["minutes"].map("{:.1f}".format),
        resumed=table["resumed"].map({True: "yes", False: "no"}),
        **{name: table[name].map("{:.4f}".format, na_action="ignore") for name in shares},
    )
    return f"{markdown(shown)}\n{table_caption(folder)}\n"


def markdown(table):
    """A DataFrame, without its index, as a Markdown table."""
    heads = [str(name).replace("_", " ") for name in table]
    cells = table.astype(object).where(table.notna(), "").astype(str)
    rows = [heads, ["---"] * len(heads), *cells.to_numpy().tolist()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


_SHARES = {f"{prefix}{name}" for prefix in ("", "published_") for name in (*SCORED_SPLITS, "both")}


def write_table(folder):
    """Write `accuracy.md` and `accuracy.csv` into a folder of runs; return the Markdown.

    Under a protocol with folds, `comparisons.csv` is written too.
    """
    if _has_folds(folder):
        from ecg_lib.experiment import benchmark

        text, tables = benchmark.report(folder)
    else:
        text, tables = table_markdown(folder), {TABLE: accuracy_table(folder)}
    try:
        (folder / f"{TABLE}.md").write_text(text)
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
    return text


def _has_folds(folder):
    finished = finished_runs(folder)
    return bool(finished) and PROTOCOLS[read_record(finished[0])["config"]["protocol"]].folds > 1


def update_readme(readme):
    """Put the current tables into a README, between its pairs of table marks.

    A table of the folder `results/khan2021/published` stands between the lines
    `<!-- table: results/khan2021/published -->` and `<!-- end of table -->`, all protocols side by
    side where it is their common folder, `results/khan2021`; a CSV file in place of a folder
    stands there as it is. All are given relative to the README.

    Args:
        readme: path of the README.

    Raises:
        InputError: if there is no such file, or a folder between its marks holds no finished run.
    """

    def current(match):
        source = readme.parent / match[2]
        is_csv = source.suffix == ".csv"
        text = markdown(pd.read_csv(source, dtype=str)) if is_csv else table_markdown(source)
        return f"{match[1]}\n{text}{match[3]}"

    marks = r"(<!-- table: (\S+) -->)\n.*?(<!-- end of table -->)"
    if not readme.is_file():
        raise InputError(f"{readme} is not a file: expected a README with table marks")
    readme.write_text(re.sub(marks, current, readme.read_text(), flags=re.DOTALL))
