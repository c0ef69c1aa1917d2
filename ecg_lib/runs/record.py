"""`run.json`, the record of a run: the one place that reads, checks and writes it."""

import json
import math
import types
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from reprlib import Repr
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from ecg_lib.data.classes import CLASSES
from ecg_lib.data.protocols import SPLITS
from ecg_lib.errors import InputError
from ecg_lib.files import sha256, write_text
from ecg_lib.models import MODELS
from ecg_lib.runs.config import RunConfig

RECORD = "run.json"

LARGEST_RECORD = 2**20
"""Largest record that is read, in bytes; a record has some thousand."""

LARGEST_NUMBER = 2**53
"""Largest whole number that every reader of JSON keeps exactly."""

BASELINE_NAMES = {
    "majority": "Majority class",
    "layout_only": "Layout and page size only",
    "grey_statistics": "Only ten grey statistics per crop",
}
"""Names of the baseline models by their keys."""


@dataclass(frozen=True)
class RecordedConfig(RunConfig):
    """The configuration of a run that was recorded; its model may be a baseline."""

    known_models: ClassVar = (*MODELS, *BASELINE_NAMES)

    @classmethod
    def of(cls, config: RunConfig, **changes: Any) -> Self:
        """Take what a run's result depends on from a `RunConfig`, with some values changed."""
        return cls(**config.result_options() | changes)


@dataclass(frozen=True)
class RunKey:
    """What makes a run: two runs with equal keys are the same.

    Attributes:
        config: what is trained, and how.
        data_hash: digest of the prepared pages.
        split_hash: digest of which page is in which split.
    """

    config: RecordedConfig
    data_hash: str
    split_hash: str


@dataclass(frozen=True)
class Member:
    """One of the runs that an ensemble is made of."""

    seed: int
    model_sha256: str


@dataclass(frozen=True)
class Answering:
    """What it takes to answer with a network, fitted on the validation pages of its run.

    Attributes:
        temperature: what logits are divided by to get calibrated probabilities.
        largest_score: largest out-of-distribution score of a page that is answered; None where the
            network has no feature statistics.
        test_pages: number of test pages; None where the record is older.
        test_accuracy: share of them on which the network is right.
    """

    temperature: float
    largest_score: float | None = None
    test_pages: int | None = None
    test_accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class StartedRun:
    """The record of a run from its start on.

    Attributes:
        config: what is trained, and how.
        data_hash: digest of the prepared pages.
        split_hash: digest of which page is in which split.
        resumed_after: the epochs, counted from 1, after which the training was resumed.
    """

    config: RecordedConfig
    data_hash: str
    split_hash: str
    resumed_after: tuple[int, ...] = ()

    @property
    def key(self) -> RunKey:
        return RunKey(self.config, self.data_hash, self.split_hash)


@dataclass(frozen=True, kw_only=True)
class RunRecord(StartedRun):
    """The record of a finished run. What older records do not say is None.

    Attributes:
        data: name of the data.
        classes: class names in the order of the logits.
        pages: number of pages in each split.
        epochs_done: number of epochs trained.
        resumed: whether the training was interrupted and resumed.
        wall_seconds: seconds of training.
        devices: names of the devices.
        parameters: number of all parameters.
        code_version: version and digest of the code.
        python: version of Python.
        libraries: version of each library.
        model_sha256: digest of the weights; None for a baseline model, which has none.
        predictions_sha256: digest of the predictions.
        features_sha256: digest of the feature statistics, see
            `ecg_lib.evaluation.out_of_distribution`; None for a network that has none.
        statements_sha256: digest of the head for statements; None for a network that has none, for
            an ensemble, whose statements are in its weights' file, and in older records.
        trainable_parameters: number of trainable parameters; None for a baseline model.
        epoch_kept: the epoch, counted from 1, whose weights were kept; None for a baseline model
            and an ensemble.
        recipe: how the network was trained, in words.
        strategy: name of the distribution strategy.
        workers: number of processes that trained together.
        replicas: number of devices that trained together.
        batch_per_replica: pages in a training step on one device.
        layouts: number of training pages of each class by layout.
        members: the runs that an ensemble is made of; empty for other runs.
        answering: what it takes to answer with the network.
    """

    data: str
    classes: tuple[str, ...]
    pages: dict[str, int]
    epochs_done: int
    resumed: bool
    wall_seconds: float
    devices: tuple[str, ...]
    parameters: int
    code_version: str
    python: str
    libraries: dict[str, str]
    model_sha256: str | None
    predictions_sha256: str
    features_sha256: str | None = None
    statements_sha256: str | None = None
    trainable_parameters: int | None = None
    epoch_kept: int | None = None
    recipe: str | None = None
    strategy: str | None = None
    workers: int | None = None
    replicas: int | None = None
    batch_per_replica: int | None = None
    layouts: dict[str, dict[str, int]] | None = None
    members: tuple[Member, ...] = ()
    answering: Answering | None = None

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise InputError(f"classes is {list(self.classes)}: expected each class once")
        for name, known, values in (
            ("classes", CLASSES, self.classes),
            ("pages", SPLITS, self.pages),
            *((f"layouts[{layout!r}]", CLASSES, seen) for layout, seen in self._layouts()),
        ):
            for value in values:
                if value not in known:
                    raise _unexpected(name, value, f"names among {', '.join(known)}")

    def _layouts(self):
        return (self.layouts or {}).items()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The random seeds that the network was trained with: an ensemble has several."""
        return tuple(member.seed for member in self.members) or (self.config.seed,)


def read_record(folder: Path) -> RunRecord:
    """Read the record of a finished run.

    Args:
        folder: the run folder.

    Raises:
        InputError: if there is no finished run, or its record cannot be used: the message names
            the file and the field.
    """
    record = read_any_record(folder)
    if not isinstance(record, RunRecord):
        raise InputError(f"{folder} holds no finished run: expected a folder with its {RECORD}")
    return record


def read_any_record(folder: Path) -> RunRecord | StartedRun | None:
    """Read the record of a run, finished or not; None if there is none.

    Raises:
        InputError: if it cannot be used: the message names the file and the field.
    """
    path = Path(folder) / RECORD
    if not path.exists():
        return None
    content = _read_json(path)
    # Written last, it marks a run as finished.
    kind = RunRecord if "predictions_sha256" in content else StartedRun
    try:
        return _decode(kind, content, "")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_digest(path: Path, digest: str | None) -> None:
    """Check that a file has the SHA-256 digest that the record of its run names.

    Raises:
        InputError: if it has another one, or there is no such file.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: expected the file that was written with the run")
    if sha256(path) != digest:
        raise InputError(
            f"{path} is not the file that the {RECORD} beside it names: expected the file that was "
            f"written with it"
        )


def write_record(folder: Path, record: StartedRun) -> None:
    """Write a record into a run folder.

    Raises:
        InputError: if it cannot be written.
    """
    write_text(folder / RECORD, json.dumps(_encode(record), indent=1) + "\n")


def _encode(record: StartedRun) -> dict[str, Any]:
    """A record as JSON holds it: without the fields that have their default values."""
    written = {
        field.name: value
        for field in fields(record)
        if (value := getattr(record, field.name)) != field.default
    }
    nested: dict[str, Any] = {"config": record.config.result_options()}
    if "answering" in written:
        nested["answering"] = asdict(written["answering"])
    if "members" in written:
        nested["members"] = [asdict(member) for member in written["members"]]
    return written | nested


def _refuse_constant(name):
    raise ValueError(f"{name} is no number of JSON")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_RECORD + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if len(text) > LARGEST_RECORD:
        raise InputError(f"{path} is too long: expected at most {LARGEST_RECORD:,} bytes")
    try:
        content = json.loads(text.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InputError(f"{path} cannot be read: expected the JSON of a run's record") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object: expected a run's record")
    return content


# --- From JSON to types ---

_short = Repr()
_short.maxstring = _short.maxother = 60


def _unexpected(name: str, value: Any, expected: str) -> InputError:
    return InputError(f"{name} is {_short.repr(value)}: expected {expected}")


_SCALARS: dict[Any, tuple[str, Any]] = {
    str: ("text", str),
    bool: ("true or false", bool),
    int: (f"a whole number from 0 to {LARGEST_NUMBER}", int),
    float: ("a finite number", (int, float)),
}


def _decode(kind: Any, value: Any, name: str) -> Any:
    """Turn a JSON value into a value of a type, or raise an `InputError` that names the field."""
    if kind in _SCALARS:
        return _decode_scalar(kind, value, name)
    if kind is RecordedConfig:
        return _decode_config(value, name)
    if is_dataclass(kind):
        return _decode_dataclass(kind, value, name)
    items = get_args(kind)
    if get_origin(kind) is types.UnionType:  # Always "or None".
        return None if value is None else _decode(items[0], value, name)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _unexpected(name, value, "a list")
        return tuple(_decode(items[0], item, f"{name}[{n}]") for n, item in enumerate(value))
    if not isinstance(value, dict):
        raise _unexpected(name, value, "an object with named values")
    return {key: _decode(items[1], item, f"{name}[{key!r}]") for key, item in value.items()}


def _decode_scalar(kind: Any, value: Any, name: str) -> Any:
    words, accepted = _SCALARS[kind]
    # A bool is an int to Python, and not to a reader.
    if not isinstance(value, accepted) or isinstance(value, bool) != (kind is bool):
        raise _unexpected(name, value, words)
    if kind is int and not 0 <= value <= LARGEST_NUMBER:
        raise _unexpected(name, value, words)
    if kind is float and not (math.isfinite(value) and abs(value) <= LARGEST_NUMBER):
        raise _unexpected(name, value, words)
    return value


def _decode_config(value: Any, name: str) -> RecordedConfig:
    """A configuration. One older than an option had the effect of the option's default."""
    if not isinstance(value, dict):
        raise _unexpected(name, value, "an object with named values")
    known = RecordedConfig().result_options()
    value = dict(value)
    if "image_size" in value:
        # Before there were a height and a width; a width of 0 meant as wide as tall.
        value["height"] = value.pop("image_size")
        value["width"] = value.pop("image_width", 0) or value["height"]
    for key in value:
        if key not in known:
            raise _unexpected(name, key, f"options among {', '.join(known)}")
    try:
        return RecordedConfig(**value)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _decode_dataclass(kind: Any, value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise _unexpected(name, value, "an object with named values")
    found = {}
    for field, field_type, required in _fields_of(kind):
        path = f"{name}.{field}" if name else field
        if field in value:
            found[field] = _decode(field_type, value[field], path)
        elif required:
            raise InputError(f"{path} is missing: expected the record of a run")
    return kind(**found)


@cache
def _fields_of(kind: type) -> list[tuple[str, Any, bool]]:
    """Of each field of a dataclass its name, its type, and whether it must be there."""
    hints = get_type_hints(kind)
    return [(field.name, hints[field.name], field.default is MISSING) for field in fields(kind)]
