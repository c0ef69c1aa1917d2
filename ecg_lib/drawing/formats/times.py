"""Sampling rates out of the times at which samples were taken."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_lib.drawing.formats.names import TIME_UNITS

RATES = (50.0, 20_000.0)
"""Lowest and highest sampling rate that is believed, in Hz. ECGs are recorded at 100 Hz to 16 kHz;
the lowest leaves room for monitors that store less."""

MAX_RATE_WITHOUT_UNIT = 3_000.0
"""Times without a unit are taken for seconds up to this rate: beyond, they could be minutes."""

EXCEL_DAYS = (20_000.0, 80_000.0)
"""Days since 1900, from 1954 to 2119: what spreadsheets store as a date with a time of day."""


class Times(NamedTuple):
    """What a column of times says.

    Attributes:
        rate: samples per second, or None where the times do not say.
        starts: positions at which times begin anew, so that another recording follows.
        gaps: positions before which samples are missing.
        assumed_unit: what times without a unit were taken for, or None.
    """

    rate: float | None
    starts: tuple[int, ...] = ()
    gaps: tuple[int, ...] = ()
    assumed_unit: str | None = None


def read_times(times: np.ndarray, unit: str | None) -> Times:
    """Read the rate, restarts and gaps out of times.

    Args:
        times: numbers, or words such as "00:00:01.004" or "2026-01-31 12:00:00.004".
        unit: of the numbers, a key of `TIME_UNITS`, or None where the file does not say.
    """
    seconds, unit = _as_numbers(times, unit)
    if seconds is None or len(seconds) < 2 or not np.isfinite(seconds).all():
        return Times(None)
    steps = np.diff(seconds)
    starts = np.flatnonzero(steps < 0) + 1
    step = np.median(steps[steps > 0]) if (steps > 0).any() else 0.0
    if step <= 0 or len(starts) > len(seconds) // 50:
        return Times(None)
    # Rounded times come in steps that differ a little, or several to one printed time.
    within = [part for part in np.split(seconds, starts) if len(part) > 1]
    spans = [_span(part, step) for part in within]
    if any(span is None for span in spans):
        return Times(None)
    mean = np.median([mean for mean, _ in spans])
    gaps = [
        start + gap
        for start, (_, of_part) in zip((0, *starts), spans, strict=False)
        for gap in of_part
    ]
    assumed = None if unit else _likely_unit(mean, seconds[0])
    rate = _rate(mean, unit or assumed)
    return Times(rate, tuple(map(int, starts)), tuple(map(int, gaps)), rate and assumed)


def unit_of_time(name: str) -> str | None:
    """Return the unit that the name of a column of times gives, such as "ms" by "time_ms"."""
    words = re.split(
        r"[^a-z]+", re.sub("[\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}]", "u", name.lower())
    )
    found = [word for word in words if word in TIME_UNITS]
    return found[-1] if found else None


def _span(seconds, step):
    """Mean step between gaps, and where those are; None where the steps are not even."""
    steps = np.diff(seconds)
    gaps = np.flatnonzero(steps > max(5 * step, 5 * np.median(steps))) + 1
    if len(gaps) > len(seconds) // 50:
        return None
    parts = [part for part in np.split(seconds, gaps) if len(part) > 1]
    mean = max(parts, key=len)
    mean = (mean[-1] - mean[0]) / (len(mean) - 1)
    for part in parts:
        even = part[0] + mean * np.arange(len(part))
        # Printed times are rounded by half of their last digit, which the steps show.
        if np.abs(part - even).max() > 2 * max(step, mean):
            return None
    return mean, gaps


def _as_numbers(times, unit):
    """Times as numbers and their unit; times of day and dates as seconds."""
    column = pd.Series(np.ravel(times))
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float), unit
    words = column.astype(str).str.strip("'\"[] ")
    colons = words.str.count(":")
    if (colons == 0).all():
        return None, None
    if words.str.fullmatch(r"[\d:.]+").all():
        words = words.where(colons > 1, "0:" + words)
        read = pd.to_timedelta(words, errors="coerce")
    else:
        dates = pd.to_datetime(words, errors="coerce", format="mixed", utc=True)
        read = dates - dates.iloc[0]
    return read.dt.total_seconds().to_numpy(), "s"


def _likely_unit(step, first):
    """What times without a unit must be in, or None if that is not sure."""
    if EXCEL_DAYS[0] <= first <= EXCEL_DAYS[1] and step < 1e-6:
        return "days"
    return "seconds" if 1 / step <= MAX_RATE_WITHOUT_UNIT else None


def _rate(step, unit):
    """Samples per second, or None if no ECG has this rate."""
    rate = round(1 / (step * TIME_UNITS[unit]), 3) if unit else 0.0
    return rate if RATES[0] <= rate <= RATES[1] else None
