"""Read pages that the package draws: every layout with its pulses in every place."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

import cv2
import numpy as np
from joblib import delayed

from benchmarks.detection.readings import Picture, judged, read
from ecg_lib.drawing.photographs import SITUATIONS
from ecg_lib.drawing.simulation import RATE, RECIPES, simulate
from ecg_lib.drawing.styles import random_style
from ecg_lib.drawing.varied_pages import ARRANGEMENTS, VariedPage, draw_varied
from ecg_lib.pages.layouts import LAYOUTS

DRAWN, DISTORTED = "drawn by us", "drawn by us, distorted"

UNTOUCHED, *CHANGED = SITUATIONS

SEED = 2021


def places_of_pulses(layout: str) -> tuple[str, ...]:
    """Where a layout's calibration pulses can be; those of two columns can stand in both."""
    in_columns = ("columns",) if LAYOUTS[layout].columns == 2 else ()
    return ("left", "right", "none", *in_columns)


def own_pages(undistorted: int, distorted: int) -> Iterator:
    """Return the calls that draw and read pages.

    Args:
        undistorted: pages for each layout and place of the pulses.
        distorted: pictures for each layout, at least; they are shared among the places.
    """
    situations = cycle(CHANGED)
    for layout in ARRANGEMENTS:
        places = places_of_pulses(layout)
        for pulses in places:
            yield from (delayed(_read)(layout, pulses, UNTOUCHED, k) for k in range(undistorted))
            for number in range(-(-distorted // len(places))):
                yield delayed(_read)(layout, pulses, next(situations), undistorted + number)


def draw(layout: str, pulses: str, situation: str, number: int) -> VariedPage:
    """Draw one page in a random style, with names: nameless pages are refused."""
    place = ARRANGEMENTS.index(layout), places_of_pulses(layout).index(pulses)
    rng = np.random.default_rng([SEED, *place, number])
    style = replace(random_style(rng, layout), pulses=pulses)
    if style.names == "none":
        style = replace(style, names="above")
    if pulses == "columns":
        style = replace(style, joined=False, separators="none")
    signals = simulate(str(rng.choice(list(RECIPES))), rng, seconds=12.0)
    return draw_varied(signals, RATE, layout, situation, rng, style)


def _read(layout, pulses, situation, number):
    cv2.setNumThreads(1)
    page = draw(layout, pulses, situation, number)
    part = DRAWN if situation == UNTOUCHED else DISTORTED
    picture = Picture(part, situation, layout, pulses)
    luma = cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)
    return read(picture, luma, judged(layout, page.corners))
