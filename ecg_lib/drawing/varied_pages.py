"""Draw pages in every layout, style and situation, with the whole truth about them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from ecg_lib.drawing.photographs import SITUATIONS, moved, moved_points, photograph
from ecg_lib.drawing.simulation import RATE, RECIPES, simulate
from ecg_lib.drawing.styled_page import StyledPage, draw_styled
from ecg_lib.drawing.styles import Style, random_style
from ecg_lib.errors import InputError
from ecg_lib.files import replacing
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import Box

ARRANGEMENTS = tuple(name for name in LAYOUTS if not name.startswith(("portrait", "landscape")))
"""The layouts that differ in their arrangement of leads, and not only in the sheet around it."""

PULSES_CUT = 0.4
"""Share of the pictures whose frame may cut the calibration pulses off; the leads stay whole."""


@dataclass(frozen=True)
class VariedPage:
    """A picture of a page, and the truth about it in positions on the picture.

    Attributes:
        image: uint8 array (height, width, 3).
        truth: a dict that can be written as JSON, see `page_truth`.
    """

    image: np.ndarray
    truth: dict


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
    height, width = image.shape[:2]
    return VariedPage(image, page_truth(page, homography, (width, height), situation))


def page_truth(
    page: StyledPage, homography: np.ndarray, size: tuple[int, int], situation: str
) -> dict:
    """Collect the truth about a picture of a page.

    Args:
        page: the page.
        homography: float array (3, 3), from the page to the picture.
        size: width and height of the picture, in pixels.
        situation: a key of `ecg_lib.drawing.photographs.SITUATIONS`.

    Returns:
        A dict of numbers, strings and lists. All positions are in picture pixels; corners go
        clockwise from the upper left.

        - `layout`, `rhythm_strips` (leads from top to bottom), `situation`, `size`
        - `corners`: four per crop, in the order of `ecg_lib.pages.leads.CROPS`
        - `baselines`: both ends of each line's 0 mV, top to bottom
        - `column_edges`: both ends of each column's edge, left to right
        - `names`: the printed names, each with its four corners
        - `pulses`, and `pulses_cut`: whether the picture cuts them off
        - `px_per_mm` (in the middle of the traces), `mm_per_second`, `mm_per_mv`, `continuous`
        - `homography`: from the page as drawn to the picture
    """
    style, traces = page.style, page.traces
    left, right = page.column_edges[0], page.column_edges[-1]
    pulses = moved([page.traces_and_pulses], homography)
    return {
        "layout": page.layout.name,
        "rhythm_strips": list(page.layout.rhythm_strips),
        "situation": situation,
        "size": [int(side) for side in size],
        "corners": _listed(moved(page.boxes, homography)),
        "baselines": _listed(
            moved_points([[(left, y), (right, y)] for y in page.baselines], homography)
        ),
        "column_edges": _listed(
            moved_points(
                [[(x, traces.top), (x, traces.bottom)] for x in page.column_edges], homography
            )
        ),
        "names": [
            {"name": name, "corners": _listed(moved([box], homography)[0])}
            for name, box in page.names
        ],
        "pulses": style.pulses,
        "pulses_cut": bool((pulses < -1).any() or (pulses > np.add(size, 1)).any()),
        "px_per_mm": style.px_per_mm * _scale(homography, traces),
        "mm_per_second": style.mm_per_second,
        "mm_per_mv": style.mm_per_mv,
        "continuous": style.continuous,
        "homography": homography.tolist(),
    }


def draw_varied_set(
    folder: str | Path,
    pages: int,
    seed: int = 0,
    jobs: int = 1,
    recordings: Sequence[np.ndarray] | None = None,
) -> None:
    """Draw pages in all layouts and situations in turn.

    Writes `00000.png` and so on, each with a `.json` of the same name that holds its truth. A page
    depends only on the seed, its number and the recordings. Existing pages are kept.

    Args:
        folder: where the pages are written; created if it does not exist.
        pages: how many.
        seed: an integer from 0; another seed gives other pages.
        jobs: number of processes.
        recordings: arrays `(12, samples)` in mV at `ecg_lib.drawing.simulation.RATE`, drawn in
            turn; by default hearts are simulated.

    Raises:
        InputError: if no page is requested, or a recording is too short.
    """
    if pages < 1:
        raise InputError(f"{pages} pages cannot be drawn: expected at least 1")
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    Parallel(n_jobs=jobs)(
        delayed(_draw_one)(
            folder / f"{number:05d}.png",
            seed,
            number,
            None if recordings is None else recordings[number % len(recordings)],
        )
        for number in range(pages)
    )


def draw_varied_example(seed: int, number: int, signals: np.ndarray | None = None) -> VariedPage:
    """Draw one page of a set.

    Args:
        seed: the set's seed.
        number: the page's number, from 0. Layouts alternate with it, then situations.
        signals: array `(12, samples)` in mV at `ecg_lib.drawing.simulation.RATE`; by default
            a heart is simulated.
    """
    rng = np.random.default_rng([seed, number])
    turn, place = divmod(number, len(ARRANGEMENTS))
    situation = list(SITUATIONS)[turn % len(SITUATIONS)]
    if signals is None:
        signals = simulate(str(rng.choice(list(RECIPES))), rng)
    return draw_varied(signals, RATE, ARRANGEMENTS[place], situation, rng)


def _draw_one(path, seed, number, signals):
    truth_path = path.with_suffix(".json")
    if path.exists() and truth_path.exists():
        return
    drawn = draw_varied_example(seed, number, signals)
    # The truth comes last: a page counts as drawn once its truth is there.
    with replacing(path) as part:
        Image.fromarray(drawn.image).save(part, "PNG", compress_level=1)
    with replacing(truth_path) as part:
        part.write_text(json.dumps(drawn.truth), encoding="utf-8")


def _scale(homography, box):
    """Return the number of picture pixels per page pixel in the middle of a box."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    square = moved([Box(x - 0.5, y - 0.5, x + 0.5, y + 0.5)], homography)[0]
    across, down = square[1] - square[0], square[3] - square[0]
    return float(np.sqrt(abs(across[0] * down[1] - across[1] * down[0])))


def _listed(points):
    return np.round(points, 2).tolist()
