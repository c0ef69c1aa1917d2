"""The lines of an ECG in a level look: where each trace starts and ends, and how it runs."""

from dataclasses import dataclass

import cv2
import numpy as np

from ecg_lib.pages.detection.pulses import Pulses

_COVERED = 0.55
"""Least share of a line's columns that show ink near its baseline. Traces of the real pages reach
0.63 to 1 (large beats leave the band), lines of text 0.25 to 0.5."""

_BAND = 0.8
"""Ink is near a baseline within this many pulse heights, that is, millivolts."""

_TRACE_START = 0.62
"""Pulse heights from a pulse's left stroke to the trace's start, 0.58 to 0.65 on real pages."""

_BREAK = 0.4
"""Traces end where all of them pause for this many pulse heights; page edges lie further off."""

_MOST_LINES = 7
"""No layout has more lines."""

_INK_SHARE = (0.015, 0.22)
"""Least and largest share of ink around the traces, 0.025 to 0.17 on the real pages, even blurred.
Photographs and hatchings have more."""

_LONGEST = 27.5
"""Largest length of a trace in pulse heights; 22 to 26.6 on the real pages, tilted or not."""

_SHORTEST = 5
"""The same for the shortest part of a page worth naming, less than one column of four."""

_PULSES_ALIKE = (0.65, 0.3)
"""Least median and least correlation between the pictures of a page's pulses. Those of the real
pages are at least 0.72 and 0.59, although traces cross them, and seen at an angle at least 0.37;
among other pictures, half are below 0.34 and 0.11."""

_MOST_STRAYS = 12
"""Most other places that look like the pulses: at most 6 on the real pages, dozens in text and on
graph paper."""

_PICTURE = (24, 48)
"""Width and height to which the pictures of pulses are brought to be compared."""


@dataclass(frozen=True)
class Lines:
    """The lines of an ECG from top to bottom, in pixels of a look.

    Attributes:
        starts: float array (lines, 2): x, y where each trace starts, on its baseline.
        ends: float array (lines,): x where each trace ends.
        pulses: the `Pulses` at their left.
        covered: float array (lines,): the share of each line's columns that show ink, 0 to 1.
    """

    starts: np.ndarray
    ends: np.ndarray
    pulses: Pulses
    covered: np.ndarray

    def __len__(self):
        return len(self.starts)

    @property
    def baselines(self) -> np.ndarray:
        return self.starts[:, 1]


def follow_lines(ink: np.ndarray, pulses: Pulses) -> Lines:
    """Follow the traces that start at calibration pulses.

    Args:
        ink: uint8 array (height, width), 255 on ink; the lines run level in it.
        pulses: the `Pulses` found in it.

    Returns:
        `Lines`, without the pulses that no trace follows; there may be none left.
    """
    bands = np.array([_inked_columns(ink, y, _BAND * pulses.height) for _, y in pulses.feet])
    first = round(pulses.feet[:, 0].max() + pulses.width) + 2
    end = _common_end(ink, pulses, first)
    ends = np.array([_last_inked(band[:end]) for band in bands])
    covered = bands[:, first:end].mean(axis=1) if end > first else np.zeros(len(bands))
    kept = covered >= _COVERED
    starts = pulses.feet[kept] + [_TRACE_START * pulses.height, 0]
    return Lines(starts, ends[kept], pulses, covered[kept])


def resemble_ecg(ink: np.ndarray, lines: Lines) -> bool:
    """Return whether what was found can be an ECG, or only looks like one in places.

    Args:
        ink: uint8 array (height, width), 255 on ink.
        lines: the `Lines` found in it.
    """
    height = lines.pulses.height
    length = np.median(lines.ends - lines.starts[:, 0]) / height
    if lines.pulses.strays > _MOST_STRAYS or len(lines) > _MOST_LINES:
        return False
    if not _SHORTEST <= length <= _LONGEST:
        return False
    top, bottom = round(lines.baselines[0] - height), round(lines.baselines[-1] + height)
    left, right = round(lines.starts[:, 0].min()), round(lines.ends.max())
    around = ink[max(top, 0) : bottom, left:right]
    share = np.count_nonzero(around > 127) / around.size
    if not _INK_SHARE[0] <= share <= _INK_SHARE[1]:
        return False
    pictures = np.array([_picture(ink, foot, lines.pulses) for foot in lines.pulses.feet])
    alike = np.corrcoef(pictures)[np.triu_indices(len(pictures), 1)]
    return np.median(alike) >= _PULSES_ALIKE[0] and np.min(alike) >= _PULSES_ALIKE[1]


def _picture(ink, foot, pulses):
    """A pulse and its surroundings, slightly blurred, as a flat array."""
    (x, y), width, height = foot, pulses.width, pulses.height
    top, left = max(round(y - 1.3 * height), 0), max(round(x - 0.2 * height), 0)
    around = ink[top : round(y + 0.1 * height), left : round(x + width + 0.2 * height)]
    small = cv2.resize(around, _PICTURE, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (3, 3), 0).ravel().astype(float)


def _inked_columns(ink, baseline, reach):
    """Which columns have ink near a baseline."""
    return ink[max(round(baseline - reach), 0) : round(baseline + reach) + 1].max(axis=0) > 127


def _last_inked(band):
    return float(np.flatnonzero(band).max(initial=0) + 1)


def _common_end(ink, pulses, first):
    """Where all traces pause together. One alone may stray far from its baseline."""
    reach = _BAND * pulses.height
    top, bottom = pulses.feet[0, 1] - reach, pulses.feet[-1, 1] + reach
    between = ink[max(round(top), 0) : round(bottom) + 1, first:]
    blank = (between > 127).sum(axis=0, dtype=np.uint16) < 2
    pause = round(_BREAK * pulses.height)
    pauses = np.convolve(blank, np.ones(pause), "valid") == pause
    return first + int(np.append(np.flatnonzero(pauses), blank.size)[0])
