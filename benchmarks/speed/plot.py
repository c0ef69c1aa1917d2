"""Draw every measured figure that has a target, as a share of it."""

import numpy as np

from ecg_lib.evaluation.style import MET, MISSED, new_axes


def figure(tables):
    """Draw every figure with a target, with its quartiles, on one scale: at 1 the target is met.

    Args:
        tables: dict of the parts' tables by their names, see `benchmarks.speed.timing.COLUMNS`.

    Returns:
        A matplotlib `Figure`, or None where nothing has a target.
    """
    used = [
        (f"{part}: {row.what}", *used_of_target(row))
        for part, table in tables.items()
        for row in table.itertuples()
        if not np.isnan([row.at_most, row.at_least]).all()
    ]
    if not used:
        return None
    drawn, (axes,) = new_axes(10, 1.2 + 0.32 * len(used))
    for place, (_, low, median, high) in enumerate(used):
        colour, marker = (MET, "o") if median <= 1 else (MISSED, "X")
        axes.plot([low, high], [place, place], color=colour, linewidth=5, alpha=0.4)
        axes.plot(median, place, marker, color=colour, ms=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlim(left=0)
    axes.set_yticks(range(len(used)), [name for name, *_ in used])
    axes.invert_yaxis()
    axes.set_xlabel("share of what the target allows: median and quartiles; left of 1 it is met")
    axes.grid(visible=False, axis="y")
    return drawn


def used_of_target(row):
    """Return low, median and high as shares of the target, inverted if they should be large."""
    values = np.array([row.low, row.median, row.high], float)
    if np.isnan(row.at_least):
        return tuple(values / row.at_most)
    return tuple(row.at_least / values[::-1])
