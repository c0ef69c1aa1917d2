"""Draw pages in every layout, style and situation, with the truth about them."""

from dataclasses import dataclass

import numpy as np

from ecg_lib.drawing.photographs import moved, photograph
from ecg_lib.drawing.styled_page import StyledPage, draw_styled
from ecg_lib.drawing.styles import Style, random_style
from ecg_lib.pages.layouts import LAYOUTS

ARRANGEMENTS = tuple(name for name in LAYOUTS if not name.startswith(("portrait", "landscape")))
"""The layouts that differ in their arrangement of leads, and not only in the sheet around it."""

PULSES_CUT = 0.4
"""Share of the pictures whose frame may cut the calibration pulses off; the leads stay whole."""


@dataclass(frozen=True)
class VariedPage:
    """A picture of a page, and the truth about it.

    Attributes:
        image: the picture, uint8 array (height, width, 3).
        page: the `StyledPage` on it.
        homography: float array (3, 3), from positions on the page to positions on the picture.
    """

    image: np.ndarray
    page: StyledPage
    homography: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """The corners of the 13 boxes on the picture: float array (13, 4, 2)."""
        return moved(self.page.boxes, self.homography)


def draw_varied(
    signals: np.ndarray,
    rate: float,
    layout: str,
    situation: str,
    rng: np.random.Generator,
    style: Style | None = None,
) -> VariedPage:
    """Draw a page, and simulate how it becomes a picture.

    Args:
        signals: array `(12, samples)` in mV, leads in the order of `ecg_lib.pages.leads.LEADS`, of
            at least ten seconds.
        rate: samples per second.
        layout: a key of `ecg_lib.pages.layouts.LAYOUTS`.
        situation: a key of `ecg_lib.drawing.photographs.SITUATIONS`.
        rng: a `numpy.random.Generator`.
        style: how to draw the page; by default a random style.

    Returns:
        A `VariedPage`.

    Raises:
        InputError: if the layout or the situation is unknown, or the signals are too short.
    """
    page = draw_styled(signals, rate, layout, style or random_style(rng, layout))
    keep = page.traces if rng.random() < PULSES_CUT else page.traces_and_pulses
    image, homography = photograph(np.asarray(page.image), keep, situation, rng)
    return VariedPage(image, page, homography)
