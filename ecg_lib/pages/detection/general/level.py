"""A frame in which the lines of a page run level, so that rows are rows of an array."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.pages.detection.general.marks import Marks
from ecg_lib.pages.detection.tilt import Profiles, levelling_homography

_STEPS = (np.arange(-0.12, 0.121, 0.02), np.arange(-0.015, 0.0151, 0.005), np.arange(-2, 3) * 1e-3)
"""Slopes tried at the look's top and bottom, each step around the best of the step before. A page
held by 6 degrees slopes by 0.105."""


@dataclass(frozen=True)
class Level:
    """The marks of a look in a frame in which its lines run level; lengths are in cells.

    Attributes:
        homography: float array (3, 3), from cells of the look to those of the level frame.
        trace: float array (height, width), as in `Marks`.
        boundary: the same.
    """

    homography: np.ndarray
    trace: np.ndarray
    boundary: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frame."""
        return self.trace.shape[1], self.trace.shape[0]


def level(marks: Marks) -> Level:
    """Find the slope of a look's lines and take it away."""
    height, width = marks.trace.shape
    homography, size = levelling_homography(_tilt(marks.trace), (height, width))
    trace, boundary = (
        cv2.warpPerspective(one, homography, size, flags=cv2.INTER_LINEAR)
        for one in (marks.trace, marks.boundary)
    )
    return Level(homography, trace, boundary)


def _tilt(trace):
    """Slope and convergence of the traces, as `levelling_homography` defines them."""
    ink = np.round(255 * trace).astype(np.uint8)
    profiles = Profiles(ink, 1)
    top = bottom = 0.0
    for around in _STEPS:
        top, bottom = profiles.sharpest(top + around, bottom + around)
    return (top + bottom) / 2, (bottom - top) / len(ink)
