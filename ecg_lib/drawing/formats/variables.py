"""Recordings among named variables, as .npz and .mat files hold them."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ecg_lib.drawing.formats.names import known_unit, plain_name, read_lead, read_rate, unit_in
from ecg_lib.drawing.formats.raw import MIN_SAMPLES, RawRecording, or_fault
from ecg_lib.drawing.formats.times import RATES, read_times, unit_of_time
from ecg_lib.errors import InputError

_REMARKS = {
    "rate": (
        "fs", "sfreq", "freq", "frequency", "rate", "srate", "samplerate", "samplingrate",
        "samplefrequency", "samplingfrequency", "samplefreq", "samplingfreq", "sampfreq",
        "samprate", "hz", "sps", "samplespersecond",
    ),
    "interval": (
        "dt", "isi", "interval", "sampleinterval", "samplinginterval", "sampleperiod",
        "samplingperiod",
    ),
    "unit": ("unit", "units", "physicalunit", "physicalunits", "yunit", "yunits"),
    "names": (
        "lead", "leads", "leadname", "leadnames", "signame", "signames", "channel", "channels",
        "channelname", "channelnames", "chname", "chnames", "columns",
    ),
    "labels": ("label", "labels", "name", "names", "desc", "description"),
    "gain": (
        "gain", "adcgain", "scale", "scaling", "scalefactor", "lsb", "resolution",
        "amplituderesolution", "sensitivity", "microvoltsperbit", "uvperbit", "uvperlsb",
    ),
}  # fmt: skip
"""Variables that say something of the numbers beside them, by what they say."""

_IN_WORDS = ("unit", "names", "labels")

_UNQUALIFIED = {"freq", "frequency", "rate", "interval", "label", "name", "desc", "description"}
"""Remarks that another word turns into something else: a heart rate is no sampling rate."""

_TIMES = {"t", "tm", "ts", "time", "times", "timestamp", "timestamps", "timevector", "seconds"}
_NOT_SIGNALS = _TIMES | {
    "peak", "peaks", "rpeak", "rpeaks", "qrs", "rr", "rri", "ann", "anns", "annotation",
    "annotations", "loc", "locs", "position", "positions", "idx", "index", "indices", "sample",
    "samples", "beat", "beats", "onset", "onsets", "event", "events", "fiducials", "label",
    "labels", "class", "classes", "target", "targets", "y", "mask", "hr", "heartrate", "age", "sex",
}  # fmt: skip


class _Scope(NamedTuple):
    """Variables that lie side by side, and those that lie around them.

    Attributes:
        name: of the struct or cell that holds them.
        items: the variables.
        outer: the scope around, or None.
        place: which of how many like it this is, in a cell or an array of structs.
    """

    name: str
    items: dict[str, Any]
    outer: "_Scope | None" = None
    place: tuple[int, int] | None = None


def recordings_in(file: Path, variables: dict[str, Any]) -> dict[str, RawRecording | InputError]:
    """Find the recordings among variables.

    Args:
        file: where they come from, for messages.
        variables: numbers, words, arrays, and dicts and lists of them.

    Returns:
        From a key for each recording, empty where there is one, to the recording, or to why what
        is said of it cannot be used.

    Raises:
        InputError: if there are no signals among them.
    """
    found = [pair for scope in _scopes(_Scope("", variables)) for pair in _in_scope(file, scope)]
    if not found:
        names = ", ".join(
            name or "a cell" for scope in _scopes(_Scope("", variables)) for name in scope.items
        )
        raise InputError(
            f"{file} holds no signals, but {names[:200] or 'nothing'}: expected arrays of numbers "
            "that are not called, and do not grow, like times or positions"
        )
    if len(found) == 1:
        return {"": found[0][1]}
    return {f"_{name}": raw for name, raw in found}


def split(array: np.ndarray) -> dict[str, np.ndarray]:
    """Split an array of three axes, of which the first counts recordings.

    Axes of length one do not count. What has no axis for time stays as it is.
    """
    array = np.asarray(array) if array.ndim < 3 else np.squeeze(array)
    if array.ndim != 3 or max(array.shape[1:]) < MIN_SAMPLES:
        return {"": array}
    return {f"_{number:04d}": values for number, values in enumerate(array, 1)}


def _scopes(scope: _Scope) -> Iterator[_Scope]:
    """A scope, and all that lie in it."""
    yield scope
    for name, item in scope.items.items():
        if isinstance(item, np.ndarray) and item.dtype == object:
            item = item.tolist()
        path = _path(scope.name, name)
        if isinstance(item, dict):
            yield from _scopes(_Scope(path, item, scope, scope.place))
        elif isinstance(item, list) and not all(isinstance(part, str) for part in item):
            for number, part in enumerate(item):
                part = part if isinstance(part, dict) else {"": part}
                place = (number, len(item))
                yield from _scopes(_Scope(f"{path}.{number + 1:04d}", part, scope, place))


def _path(*names):
    return ".".join(name for name in names if name)


def _in_scope(file, scope):
    """Pairs of a name and a recording, of the arrays of one scope."""
    arrays = _arrays(scope)
    signals = {name: item for name, item in arrays.items() if not _is_no_signal(name, item)}
    vectors = {name: item for name, item in signals.items() if max(item.shape) == item.size}
    named = {name: np.ravel(item) for name, item in vectors.items() if read_lead(name)}
    if len({len(vector) for vector in named.values()}) == 1:  # A variable for each lead.
        others = {name: item for name, item in signals.items() if name not in vectors}
        signals = others or {"": np.stack(list(named.values()))}
        vectors = {} if others else vectors
    elif len(vectors) < len(signals):  # Beside leads side by side, a vector is none of them.
        signals = {name: item for name, item in signals.items() if name not in vectors}
        named = {}
    left_out = tuple(
        name for name in arrays if name not in signals and not ("" in signals and name in named)
    )
    for name, array in signals.items():
        parts = split(array)
        for number, (key, values) in enumerate(parts.items()):
            place = (number, len(parts)) if len(parts) > 1 else scope.place
            raw = RawRecording(values, left_out=left_out)
            if not name and named:
                raw = raw._replace(names=tuple(named))
            own = scope._replace(place=place)
            yield (
                _path(scope.name, name) + key,
                or_fault(partial(_with_remarks, file, raw, name, own)),
            )


def _arrays(scope):
    """The arrays of numbers in a scope that are long enough to be signals."""
    return {
        name: item
        for name, item in scope.items.items()
        if isinstance(item, np.ndarray)
        and item.dtype.kind in "iufc"
        and max(item.shape, default=0) >= MIN_SAMPLES
    }


def _is_no_signal(name, array):
    """Times, positions and intervals, by their names or since they only grow."""
    if _is_vector(array) and any(
        _qualifier(name, bases) is not None
        for kind, bases in _REMARKS.items()
        if kind not in _IN_WORDS
    ):
        return True
    if _words(name) & _NOT_SIGNALS and not read_lead(name):
        return True
    if array.size != max(array.shape) or array.dtype.kind == "c":
        return False
    steps = np.diff(np.ravel(array).astype(float))
    return bool((steps >= 0).all() and steps.any())


def _words(name):
    """The words of a variable's name, and their letters joined."""
    return {plain_name(word) for word in re.split(r"[\s_.-]", name)} | {plain_name(name)}


def _with_remarks(file, raw, name, scope):
    """A recording with what the variables around it say of it."""
    units = _remark(file, "unit", name, scope, raw.values)
    names = raw.names or _names(file, name, scope, raw.values)
    if units is not None:
        units = tuple(known_unit(unit) for unit in _as_words(units))
    elif raw.names and any(map(unit_in, raw.names)):
        units = tuple(map(unit_in, raw.names))
    gain = _remark(file, "gain", name, scope, raw.values)
    if _changes_counts(gain, raw.values):
        shown = ", ".join(f"{value:g}" for value in np.unique(np.ravel(gain))[:3])
        raise InputError(
            f"{file} has a gain of {shown} beside whole numbers, and does not say whether they "
            "are multiplied or divided by it: expected signals in their unit"
        )
    rate, notes = _rate(file, name, scope, raw.values)
    return raw._replace(rate=rate, units=units, names=names, notes=notes)


def _as_words(item):
    words = np.ravel(np.asarray(item))
    return [
        (word.decode("latin-1") if isinstance(word, bytes) else str(word)).strip() for word in words
    ]


def _changes_counts(gain, values):
    try:
        gains = np.ravel(np.asarray(gain, dtype=float))
    except (TypeError, ValueError):
        return False  # Words.
    if gain is None or (gains == 1).all() or not np.isfinite(gains).all():
        return False
    return bool(np.array_equal(values, np.round(values), equal_nan=True))


def _names(file, name, scope, values):
    names = _remark(file, "names", name, scope, values)
    labels = _remark(file, "labels", name, scope, values)
    for found, sure in ((names, True), (labels, False)):
        words = _as_words(found) if found is not None else []
        if words and (sure or any(map(read_lead, words))):
            return tuple(words)
    return None


def _rate(file, name, scope, values):
    """Samples per second, by a rate, an interval or a vector of times, and notes on it."""
    stated = _remark(file, "rate", name, scope, values)
    rate = read_rate(stated) if stated is not None else None
    if stated is not None and rate is None:
        raise InputError(f"{file} gives {stated!r} as its sampling rate: expected a number of Hz")
    if rate is not None:
        return rate, ()
    interval = read_rate(_remark(file, "interval", name, scope, values))
    if interval:  # In seconds or in milliseconds: no ECG is sampled at both rates.
        rates = (1 / interval, 1000 / interval)
        return next((rate for rate in rates if RATES[0] <= rate <= RATES[1]), None), ()
    for other, item in scope.items.items():
        is_time = _words(other) & _TIMES and isinstance(item, np.ndarray)
        if is_time and item.size == max(np.shape(values)):
            times = read_times(item, unit_of_time(other))
            assumed = times.assumed_unit
            notes = (f"times without a unit taken for {assumed}",) if assumed else ()
            return times.rate, notes
    return None, ()


def _remark(file, kind, name, scope, values):
    """The variable nearest to an array that says something of one kind of it, or None."""
    while True:
        found = _remarks_in(scope, kind)
        of_name = [qualifier for qualifier in found if qualifier and _belongs(qualifier, name)]
        if of_name or "" in found:
            return _of_place(file, kind, found[of_name[0] if of_name else ""], scope, values)
        if not scope.outer:
            break
        scope = scope.outer._replace(place=scope.place or scope.outer.place)
    # A struct of remarks beside the signals, such as a header.
    beside = [_remarks_in(other, kind) for other in _scopes(scope) if not _arrays(other)]
    beside = [found[""] for found in beside if "" in found]
    return _of_place(file, kind, beside[0], scope, values) if len(beside) == 1 else None


def _remarks_in(scope, kind):
    """What a scope's own variables say of one kind, by what their names add to it."""
    return {
        qualifier: item
        for other, item in scope.items.items()
        if (qualifier := _qualifier(other, _REMARKS[kind])) is not None
        and (_is_words(item) if kind in _IN_WORDS else _is_vector(item))
    }


def _is_words(item):
    if isinstance(item, list):
        return bool(item) and all(isinstance(part, str) for part in item)
    return isinstance(item, str | bytes) or np.asarray(item).dtype.kind in "US"


def _is_vector(item):
    """Whether a variable is a number, words, or a row of them."""
    return _is_words(item) or (
        not isinstance(item, dict | list)
        and np.size(item) > 0
        and np.size(item) == max(np.shape(item) or (1,))
    )


def _qualifier(name, bases):
    """What a variable's name adds to one of these: "2" in "fs2", "ecg_a" in "fs_ecg_a".

    Returns:
        The addition, empty where there is none, or None where the name is another.
    """
    plain = re.sub("[^a-z0-9]", "", name.lower())
    if plain in bases:
        return ""
    words = [word for word in re.split(r"[\s_.-]+", name.lower()) if word]
    for base in bases:
        if base in _UNQUALIFIED:
            continue
        if plain.startswith(base) and plain[len(base) :].isdigit():
            return plain[len(base) :]
        if len(words) > 1 and words[0] == base:
            return "".join(words[1:])
        if len(words) > 1 and words[-1] == base:
            return "".join(words[:-1])
    return None


def _belongs(qualifier, name):
    plain = re.sub("[^a-z0-9]", "", name.lower())
    number = re.search(r"\d+$", plain)
    if qualifier.isdigit():
        return bool(number) and int(number[0]) == int(qualifier)
    return bool(plain) and (plain.startswith(qualifier) or plain.endswith(qualifier))


def _of_place(file, kind, item, scope, values):
    """The entry of a remark that is given for each of several recordings."""
    items = np.ravel(item) if isinstance(item, list | np.ndarray) else None
    if items is None or len(items) < 2 or (kind != "rate" and len(items) in np.shape(values)):
        return item
    if scope.place and len(items) == scope.place[1]:
        return items[scope.place[0]]
    if len(set(map(str, items))) == 1:
        return items[0]
    if kind == "rate":
        raise InputError(f"{file} gives {len(items)} sampling rates for one recording")
    return item
