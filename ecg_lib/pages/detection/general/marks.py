"""What a small network sees on a page: traces, pulses, names and the places where leads meet.

The network is trained on drawn pages alone. It looks at how dark each pixel is against the paper
around it, and answers for cells of 4x4 pixels.
"""

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ecg_lib.pages.leads import LEADS

CELL = 4
"""Side of a cell, in pixels of a look."""

WEIGHTS = Path(__file__).with_name("marks.onnx")

KINDS = (*LEADS, None)
"""What a name can say; None for leads that are none of the twelve, such as V3R."""

_SHEET = 0.7
"""Minimum brightness of the sheet without its ink, as a share of the brightest paper around."""

_EDGE = np.ones((5, 5), np.uint8)
"""The sheet's edge is seen this many cells around where the sheet ends."""

_DARK = 0.45
"""Three quarters of a page are less dark: of drawn and real pages less than 0.35, while photographs
of other things are darker as a rule."""

_LAG = 6
"""Traces go on for more than this many cells along the lines, and seldom as far across them."""

_FAINT = 0.62
"""Traces are faint where less than this share of the cells that may show one surely do. It is 0.8
on most drawn pages; where thin traces stand beside bold letters it is 0.33 to 0.61."""

_CLEARER = 3
"""As many times as dark faint traces are looked at again; letters may saturate."""

_COVERED = (0.05, 0.18)
"""Traces cover this share of the cells on 48 of 56 drawn pages of all layouts, and 0.056 to 0.132
on tilted pictures of pages of which too few names were read; on drawn EEGs it is 0.19 and more."""

_LEAST_NAME = 0.3
"""Least probability of a name at its middle."""


@dataclass(frozen=True)
class Name:
    """A printed lead name.

    Attributes:
        x: middle of the name.
        y: middle of the name.
        half_width: half its width.
        probabilities: of each of `KINDS`.
        certainty: that it is a lead's name at all.
    """

    x: float
    y: float
    half_width: float
    probabilities: np.ndarray
    certainty: float


@dataclass(frozen=True)
class Marks:
    """Maps of a look, one value from 0 to 1 for each cell; lengths are in cells.

    Attributes:
        darkness: that of the look's pixels, on which all this was found.
        trace: probability of a trace.
        pulse: probability of a calibration pulse.
        boundary: probability that two leads meet.
        names: the printed lead names.
    """

    darkness: np.ndarray
    trace: np.ndarray
    pulse: np.ndarray
    boundary: np.ndarray
    names: list[Name]

    @property
    def on_paper(self) -> bool:
        """Whether most of the look is paper, as on a page, however it is turned."""
        return bool(np.quantile(self.darkness[::CELL, ::CELL], 0.75) < _DARK)

    @property
    def faint(self) -> bool:
        """Whether the traces are too faint to be sure of them."""
        return bool((self.trace > 0.5).sum() < _FAINT * (self.trace > 0.1).sum())

    @property
    def traced(self) -> bool:
        """Whether traces are clearly seen, and cover as much of the look as on most pages."""
        least, most = _COVERED
        return least < (self.trace > 0.5).mean() < most and not self.faint

    @property
    def along(self) -> float:
        """How many times as often traces go on along the rows of cells as along the columns."""
        traced = self.trace > 0.5
        across = np.count_nonzero(traced[_LAG:] & traced[:-_LAG])
        return np.count_nonzero(traced[:, _LAG:] & traced[:, :-_LAG]) / max(across, 1)


def darkness(luma: np.ndarray) -> np.ndarray:
    """Measure how dark each pixel is against the paper around it, 0 to 1.5.

    Full darkness, 1, is that of the darkest hundredth of the pixels. The sheet's edge before a dark
    table does not count: it is far darker than ink.
    """
    return _against_paper(luma)[0]


def _against_paper(luma):
    """The darkness, and which cells do not lie on the sheet's edge before a dark table."""
    small = cv2.resize(
        luma, (max(luma.shape[1] // 4, 1), max(luma.shape[0] // 4, 1)), interpolation=cv2.INTER_AREA
    )
    window = np.ones((7, 7), np.uint8)
    widened = cv2.dilate(small, window)
    paper = cv2.blur(widened, (9, 9))
    on_sheet = cv2.erode(widened, window) > _SHEET * paper
    paper = cv2.resize(paper, luma.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    dark = 1 - luma / np.maximum(paper, 1)
    sample = cv2.resize(dark, small.shape[::-1], interpolation=cv2.INTER_NEAREST)[on_sheet]
    full = np.quantile(sample, 0.99) if sample.size else 1
    return np.clip(dark / max(full, 0.1), 0, 1.5).astype(np.float32), on_sheet


_of_thread = threading.local()
"""A network holds its input, so each thread has its own."""


def _network():
    if not hasattr(_of_thread, "network"):
        _of_thread.network = cv2.dnn.readNetFromONNX(str(WEIGHTS))
    return _of_thread.network


def find_marks(look: np.ndarray) -> Marks:
    """Find the marks on a look.

    Args:
        look: uint8 array (height, width), grey levels.
    """
    height, width = (side // CELL * CELL for side in look.shape)
    dark, on_sheet = _against_paper(look)
    marks = find_marks_in(dark[:height, :width])
    # The edge is as long and thin as a trace, and would pass for a row or a strip.
    return replace(marks, trace=marks.trace * cv2.erode(on_sheet.astype(np.uint8), _EDGE))


def find_marks_in(dark: np.ndarray) -> Marks:
    """Find the marks on a look whose `darkness` is known; its sides are multiples of `CELL`."""
    network = _network()
    network.setInput(dark[None, None])
    answer = network.forward()[0]
    trace, pulse, boundary, name = 1 / (1 + np.exp(-answer[:4]))
    return Marks(dark, trace, pulse, boundary, _names(name, answer[4], answer[5:]))


def find_faint_traces(marks: Marks) -> Marks:
    """Find the marks again on a look whose ink is darkened; the names are kept."""
    found = find_marks_in(np.minimum(_CLEARER * marks.darkness, 1.5))
    # What was left out at the sheet's edge, and only that, is 0.
    trace = np.where(marks.trace == 0, 0, found.trace)
    return replace(found, darkness=marks.darkness, trace=trace, names=marks.names)


def _names(name, half_width, kinds):
    blurred = cv2.blur(name, (3, 3))
    peaks = (blurred == cv2.dilate(blurred, np.ones((5, 7), np.uint8))) & (blurred > _LEAST_NAME)
    rows, columns = np.indices(name.shape)
    found = []
    for y, x in zip(*np.nonzero(peaks), strict=True):
        part = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
        weights = name[part].ravel()
        logits = kinds[(slice(None), *part)].reshape(len(KINDS), -1) @ weights / weights.sum()
        odds = np.exp(logits - logits.max())
        ys, xs = rows[part], columns[part]
        found.append(
            Name(
                float(xs.ravel() @ weights / weights.sum()),
                float(ys.ravel() @ weights / weights.sum()),
                float(half_width[part].ravel() @ weights / weights.sum()) * 10 / CELL,
                odds / odds.sum(),
                float(blurred[y, x]),
            )
        )
    return found
