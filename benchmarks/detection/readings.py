"""Read pictures, and say of each reading whether it is right, and of each refusal whether it is
true."""

import time
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from ecg_lib.drawing.photographs import moved
from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection import Detection, detect
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import LEADS

RIGHT, RIGHT_WITH_MIDDLE = 0.5, 0.35
"""Intersection over union from which a lead's box is right; the second where the true box's middle
lies inside. They are those of the real pictures' `score.py`."""

NOT_FOUND = ("no_traces", "no_names", "order_unclear")
"""Reasons that say what was not found. They are true wherever the leads are not read."""

ON_PAGES = (*NOT_FOUND, "partial")
"""On a page, also that the traces of some leads were not found."""

TRUE_REASONS = {
    "all leads": ON_PAGES,
    "some leads": ON_PAGES,
    "a single lead": ON_PAGES,
    "no leads": ("blank", *NOT_FOUND),
}
"""Reasons for a refusal that are true, by what a picture shows. Others, such as "mirrored", would
claim of it what is not so."""

Judge = Callable[[Detection], tuple[bool, float]]
"""Says whether a reading is right, and the mean overlap of its leads with the true ones."""


class Picture(NamedTuple):
    """What a picture is.

    Attributes:
        part: of the benchmark.
        kind: of picture, or who drew it.
        layout: name of the true layout, or the empty string.
        pulses: where its calibration pulses are, or the empty string.
        shows: a key of `TRUE_REASONS`.
    """

    part: str
    kind: str
    layout: str = ""
    pulses: str = ""
    shows: str = "all leads"


def read(picture: Picture, luma: np.ndarray, judge: Judge | None = None) -> dict:
    """Read a picture on one core.

    Args:
        picture: what it is.
        luma: uint8 array (height, width).
        judge: for a picture that has to be read; any reading of another picture is wrong.

    Returns:
        A dict: the picture's attributes, outcome ("right", "wrong" or "refused"), reason of a
        refusal, true_reason, overlap and seconds.
    """
    cv2.setNumThreads(1)
    luma = np.ascontiguousarray(luma)
    row = {**picture._asdict(), "reason": "", "true_reason": True, "overlap": np.nan}
    begun = time.process_time()
    try:
        found = detect(luma)
    except PageRefused as refused:
        row |= {"outcome": "refused", "reason": refused.reason, "seconds": _since(begun)}
        true = refused.reason in TRUE_REASONS[picture.shows] and "not an ECG" not in str(refused)
        return row | {"true_reason": true}
    row["seconds"] = _since(begun)
    right, row["overlap"] = judge(found) if judge else (False, np.nan)
    return row | {"outcome": "right" if right else "wrong"}


def _since(begun):
    return time.process_time() - begun


def judged(layout: str, corners: np.ndarray) -> Judge:
    """Return a judge of readings of a page whose truth is known.

    Args:
        layout: name of the true layout; strips may repeat other leads.
        corners: float array (13, 4, 2), the corners of the true boxes on the picture.
    """

    def judge(found):
        pairs = zip(moved(found.boxes, found.homography), corners, strict=True)
        leads = [_compared(one, other) for one, other in list(pairs)[: len(LEADS)]]
        overlap = float(np.mean([shared for shared, _ in leads]))
        same = _arrangement(found.layout) == _arrangement(layout)
        return same and all(right for _, right in leads), overlap

    return judge


def _arrangement(name):
    layout = LAYOUTS[name]
    return layout.rows, layout.lines


def _compared(found, true):
    """Return the overlap of two quadrilaterals, and whether the first is right."""
    shared = overlap(found, true)
    middle = tuple(map(float, np.mean(true, axis=0)))
    inside = cv2.pointPolygonTest(np.float32(found), middle, False) >= 0
    return shared, shared >= RIGHT or (inside and shared >= RIGHT_WITH_MIDDLE)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the intersection over union of two convex quadrilaterals, arrays (4, 2)."""
    one, other = np.float32(one), np.float32(other)
    shared = cv2.intersectConvexConvex(one, other)[0]
    return shared / (cv2.contourArea(one) + cv2.contourArea(other) - shared)


def summarised(readings: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Count readings in groups.

    Args:
        readings: one row per reading, as `read` returns them.
        by: columns that make the groups.

    Returns:
        DataFrame with one row per group: pages, right, wrong, refused, false_reasons, overlap (mean
        of those that were read), median_ms and max_ms.
    """
    rows = []
    for key, group in readings.groupby(by, sort=False):
        outcomes = group["outcome"].value_counts()
        milliseconds = 1e3 * group["seconds"]
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "pages": len(group),
                **{name: int(outcomes.get(name, 0)) for name in ("right", "wrong", "refused")},
                "false_reasons": int((~group["true_reason"].astype(bool)).sum()),
                "overlap": group["overlap"].mean(),
                "median_ms": milliseconds.median(),
                "max_ms": milliseconds.max(),
            }
        )
    return pd.DataFrame(rows)
