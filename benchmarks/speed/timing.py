"""Measure times that can be compared: side by side, in one process, in alternation.

A shared or throttled machine is slower in one minute than in the next, so that a single time says
little. The ratio of two times that were taken directly one after the other can be trusted.
"""

import time
from collections.abc import Callable

import pandas as pd

COLUMNS = ["what", "low", "median", "high", "unit", "at_most", "at_least"]
"""The measured quantity, its quartiles, their unit, and the target where there is one."""

QUARTILES = {"low": 0.25, "median": 0.5, "high": 0.75}


def side_by_side(functions: dict[str, Callable], repetitions: int) -> pd.DataFrame:
    """Time functions in alternation, after calling each once to warm up.

    Args:
        functions: a dict of names to functions without arguments.
        repetitions: how often each is timed.

    Returns:
        DataFrame with one row per timing: name, repetition (from 0), seconds (wall time).
    """
    for function in functions.values():
        function()
    return pd.DataFrame(
        {"name": name, "repetition": repetition, "seconds": seconds_of(function)}
        for repetition in range(repetitions)
        for name, function in functions.items()
    )


def seconds_of(function: Callable) -> float:
    """Measure the wall time of one call, in seconds."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def ratio(timings: pd.DataFrame, name: str, base: str) -> dict[str, float]:
    """Divide the times of one function by those of another, repetition by repetition.

    Args:
        timings: what `side_by_side` returned.
        name: the function whose time is divided.
        base: the function by whose time it is divided.

    Returns:
        A dict of the quartiles of the ratios: `low`, `median` and `high`.
    """
    by_name = timings.pivot(index="repetition", columns="name", values="seconds")
    return spread(by_name[name] / by_name[base])


def row(what, unit, quartiles, at_most=None, at_least=None):
    """Make a row of a part's table, see `COLUMNS`."""
    return {"what": what, **quartiles, "unit": unit, "at_most": at_most, "at_least": at_least}


def table(rows):
    """Make the table of a part from what `row` returned."""
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[-2:], float))


def spread(values):
    """Compute the quartiles of some numbers: a dict of `low`, `median` and `high`."""
    values = pd.Series(values, dtype=float)
    return {name: float(values.quantile(share)) for name, share in QUARTILES.items()}


def milliseconds(timings, name, parts=1):
    """Compute the quartiles of a function's times, or of each of its equal parts, in ms."""
    return spread(1000 / parts * timings.loc[timings["name"] == name, "seconds"])
