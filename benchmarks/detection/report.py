"""Write tables of what was measured: the targets, and pages by kind, pulses and layout."""

import pandas as pd

from benchmarks.detection.elsewhere import PACKAGES, REAL
from benchmarks.detection.own_pages import DISTORTED, DRAWN
from benchmarks.detection.readings import summarised
from ecg_lib.evaluation.markdown import markdown

WITHOUT, GRIDDED = "without an ECG", "without an ECG, on a grid"

ECGS = (REAL, PACKAGES, DRAWN, DISTORTED)

PLACES = ("left", "right", "columns", "none")
"""Where pulses are, in the order of a table's columns; others follow."""

DISTORTED_TARGET = 100
"""Distorted pictures for each layout at which the target of the distorted pages is set."""


def targets(
    readings: pd.DataFrame, at_two_megapixels: pd.DataFrame, megabytes: float, per_layout: int
) -> pd.DataFrame:
    """Compare readings with the targets.

    Args:
        readings: one row per picture, as `benchmarks.detection.readings.read` returns them.
        at_two_megapixels: the same for pictures of that size.
        megabytes: peak memory of reading those.
        per_layout: distorted pictures of each layout that were read.

    Returns:
        DataFrame with the columns what, target and reached.
    """
    complete = readings[readings["shows"] == "all leads"]
    of = {part: complete[complete["part"] == part] for part in ECGS}
    standard = of[PACKAGES][of[PACKAGES]["layout"].str.startswith("standard")]
    real_overlap, overlap = of[REAL]["overlap"].mean(), standard["overlap"].mean()
    ecgs = readings[readings["part"].isin(ECGS)]
    milliseconds = 1e3 * at_two_megapixels["seconds"]
    rows = [
        ("complete real pictures read right", "at least 22 of 25", _of(of[REAL])),
        ("their mean overlap", "at least 0.85", f"{real_overlap:.3f}"),
        ("standard layouts of other packages read right", "all", _of(standard)),
        ("their mean overlap", "at least 0.9", f"{overlap:.3f}"),
        ("all layouts of other packages read right", "-", _of(of[PACKAGES])),
        ("pages drawn by us, undistorted, read right", "99.5 %", _of(of[DRAWN])),
        (
            f"pages drawn by us, distorted ({per_layout} for each layout; the target is set for "
            f"{DISTORTED_TARGET}), read right",
            "97 %",
            _of(of[DISTORTED]),
        ),
        ("pictures without an ECG refused", "99 %", _of(_part(readings, WITHOUT), "refused")),
        ("those with grids refused", "99 %", _of(_part(readings, GRIDDED), "refused")),
        ("pages answered with a wrong layout, order or place", "0", _of(ecgs, "wrong")),
        (
            "refusals for a reason that is not true",
            "0",
            f"{(~readings['true_reason']).sum()} of {(readings['outcome'] == 'refused').sum()}",
        ),
        ("median time for 2 megapixels, one core", "at most 150 ms", _ms(milliseconds.median())),
        ("longest time for 2 megapixels, one core", "at most 400 ms", _ms(milliseconds.max())),
        ("peak memory of reading 2 megapixels", "at most 500 MB", f"{megabytes:.0f} MB"),
    ]
    return pd.DataFrame(rows, columns=["what", "target", "reached"])


def _part(readings, part):
    return readings[readings["part"] == part]


def _of(rows, outcome="right"):
    number = (rows["outcome"] == outcome).sum()
    return f"{number} of {len(rows)} ({number / max(len(rows), 1):.1%})"


def _ms(milliseconds):
    return f"{milliseconds:.0f} ms"


def by_layout_and_pulses(readings: pd.DataFrame, part: str) -> pd.DataFrame:
    """Count how many pages of a part are read right: layouts as rows, places of pulses as columns.

    Returns:
        DataFrame of strings such as "24 of 25".
    """
    rows = _part(readings, part)
    cells = rows.assign(right=rows["outcome"] == "right").groupby(["layout", "pulses"], sort=False)[
        "right"
    ]
    counts = cells.sum().astype(str) + " of " + cells.count().astype(str)
    table = counts.unstack(fill_value="")
    places = [place for place in PLACES if place in table] + sorted(set(table) - set(PLACES))
    return table[places].reset_index()


def reasons(readings: pd.DataFrame) -> pd.DataFrame:
    """Count the refusals by part and reason, and how many of the reasons are true."""
    refused = readings[readings["outcome"] == "refused"]
    counts = refused.groupby(["part", "reason"], sort=False)["true_reason"].agg(["size", "sum"])
    return counts.reset_index().rename(columns={"size": "refused", "sum": "true"})


def report(
    readings: pd.DataFrame, met: pd.DataFrame, published: pd.DataFrame, measured_with: str
) -> str:
    """Write all tables as Markdown."""
    kinds = summarised(readings, ["part", "kind"])
    for name, digits in (("overlap", 3), ("median_ms", 0), ("max_ms", 0)):
        kinds[name] = [f"{value:.{digits}f}" if value == value else "" for value in kinds[name]]
    sections = {
        "Targets": met,
        "By kind of picture": kinds,
        "Drawn by us, read right, by layout and place of the pulses": by_layout_and_pulses(
            readings, DRAWN
        ),
        "The same, distorted": by_layout_and_pulses(readings, DISTORTED),
        "Other packages, read right": by_layout_and_pulses(readings, PACKAGES),
        "Real pictures, read right": by_layout_and_pulses(readings, REAL),
        "Reasons of refusals": reasons(readings),
        "Published pages": published,
    }
    tables = [f"## {title}\n\n{markdown(table)}" for title, table in sections.items()]
    return "\n".join(["# How pages are read\n", f"{measured_with}\n", *tables])
