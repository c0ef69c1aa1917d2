"""Times that can be compared: taken side by side, in one process, in alternation.

A shared or throttled machine is slower in one minute than in the next. So no time is worth anything
alone; the ratio of two that were taken one right after the other is.
"""

import time

import pandas as pd

COLUMNS = ["what", "low", "median", "high", "unit", "at_most", "at_least"]
"""What was measured, the quartiles of it, their unit, and the target, where there is one."""

QUARTILES = {"low": 0.25, "median": 0.5, "high": 0.75}


def side_by_side(functions, repetitions):
    """Time functions in alternation, after calling each once to warm up.

    Args:
        functions: a dict of names to functions without arguments.
        repetitions: how often each is timed.

    Returns:
        A DataFrame with a row a timing: name, repetition (from 0), seconds (wall time).
    """
    for function in functions.values():
        function()
    return pd.DataFrame(
        {"name": name, "repetition": repetition, "seconds": seconds_of(function)}
        for repetition in range(repetitions)
        for name, function in functions.items()
    )


def seconds_of(function):
    """Wall time of one call, in seconds."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def ratio(timings, name, base):
    """How long one function takes, in times of another: paired, repetition by repetition.

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
    """A row of a part's table, see `COLUMNS`."""
    return {"what": what, **quartiles, "unit": unit, "at_most": at_most, "at_least": at_least}


def table(rows):
    """The table of a part, made of what `row` returned."""
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[-2:], float))


def spread(values):
    """Quartiles of some numbers: a dict of `low`, `median` and `high`."""
    values = pd.Series(values, dtype=float)
    return {name: float(values.quantile(share)) for name, share in QUARTILES.items()}


def milliseconds(timings, name, parts=1):
    """Quartiles of the times of one function, or of each of its equal parts, in milliseconds."""
    return spread(1000 / parts * timings.loc[timings["name"] == name, "seconds"])
