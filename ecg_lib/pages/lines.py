"""The lines of an ECG in a level look: where each trace starts and ends, and how it runs."""

from dataclasses import dataclass

import numpy as np

from ecg_lib.pages.pulses import Pulses

_COVERED = 0.55
"""Least share of a line's columns that show ink near its baseline. Traces of the real pages reach
0.63 to 1 (large beats leave the band), lines of text 0.25 to 0.5."""

_BAND = 0.8
"""Ink is near a baseline within this many pulse heights, that is, millivolts."""

_TRACE_START = 0.62
"""Pulse heights from a pulse's left stroke to the trace's start, 0.58 to 0.65 on real pages."""

_BREAK = 0.4
"""Traces end where all of them pause for this many pulse heights; page edges lie further off."""


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
    def baselines(self):
        return self.starts[:, 1]


def follow_lines(ink, pulses):
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
    blank = np.count_nonzero(between > 127, axis=0) < 2
    pause = round(_BREAK * pulses.height)
    pauses = np.convolve(blank, np.ones(pause), "valid") == pause
    return first + int(np.append(np.flatnonzero(pauses), blank.size)[0])
