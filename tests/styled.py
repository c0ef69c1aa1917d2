"""Pages in any layout and style, with known truth."""

import numpy as np

from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import Style
from ecg_lib.pages.layouts import LAYOUTS


def styled(layout, **style):
    """A page in any layout: its luma and its boxes."""
    seconds = {1: 10.0, 2: 5.0, 4: 2.5}[LAYOUTS[layout].columns]
    style = {"row_mm": 15.0 if LAYOUTS[layout].columns == 1 else 30.0, **style}
    signals = simulate("normal", np.random.default_rng(4), seconds=12.0)
    page = draw_styled(signals, RATE, layout, Style(column_seconds=seconds, **style))
    return np.asarray(page.image.convert("L")), page.boxes
