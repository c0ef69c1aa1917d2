"""Make the pictures of README.md and docs/: `python docs/make_pictures.py`.

They show drawn pages and committed predictions alone, never a real page.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap

import cv2
import numpy as np
from matplotlib.figure import Figure

from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.drawing.demo_set import draw_example
from ecg_lib.drawing.photographs import moved
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.styles import Style
from ecg_lib.drawing.varied_pages import draw_varied
from ecg_lib.errors import PageRefused
from ecg_lib.evaluation.plots import page_figure
from ecg_lib.evaluation.summary import summary_figure
from ecg_lib.files import replacing
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.serving.predictor import Predictor

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
EXAMPLE = ("abnormal_heartbeat", 0, 2)
"""Class, random seed and number of the drawn page on the front page."""


SHOWN = (
    ("standard_3x4_with_rhythm", "photograph", {}),
    ("cabrera_3x4", "untouched", {"grid_colours": ((220, 232, 246), (170, 195, 230))}),
    ("standard_6x2", "photograph", {"pulses": "right"}),
    ("standard_12x1", "untouched", {"pulses": "none", "row_mm": 17.0}),
    ("standard_3x4_with_three_rhythm_strips", "lying", {"separators": "bars"}),
    ("standard_3x4_with_rhythm", "cut", {}),
    ("standard_3x4_with_rhythm", "untouched", {"pulses": "none", "names": "none"}),
    ("standard_3x4_with_rhythm", "mirrored", {}),
)
"""Pages that are read and that are not: layout, how the page is held, and its style."""

ALTERED = {
    "lying": lambda luma: np.rot90(luma),
    "cut": lambda luma: luma[:, : round(0.7 * luma.shape[1])],
    "mirrored": lambda luma: luma[:, ::-1],
}


def main() -> None:
    """Write every picture anew."""
    PICTURES.mkdir(exist_ok=True)
    for name, figure, dots_per_inch in (
        ("protocols.png", summary_figure(ROOT / "results" / "khan2021"), 110),
        ("answer.png", answer_figure(), 80),
        ("reading.png", reading_figure(), 80),
    ):
        with replacing(PICTURES / name) as part:
            figure.savefig(part, dpi=dots_per_inch)


def answer_figure() -> Figure:
    """Draw a page, find its leads, and write the network's answer above it."""
    picture, _, quality = draw_example(*EXAMPLE)
    with TemporaryDirectory() as folder:
        page = Path(folder, "page.jpg")
        picture.save(page, quality=quality)
        answer = Predictor().answer(page)
        luma = rectify(read_luma(page), answer.detection)
    shares = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:3]
    title = ", ".join(f"{DISPLAY_NAMES[name]} {share:.2f}" for name, share in shares)
    return page_figure(luma, answer.detection.boxes, title)


def reading_figure() -> Figure:
    """Draw pages, read them, and show the leads found, or why there are none."""
    figure = Figure(figsize=(14, 6.5), layout="constrained")
    places = figure.subplots(2, len(SHOWN) // 2).ravel()
    for axes, (layout, held, style) in zip(places, SHOWN, strict=True):
        luma = _held(layout, held, style)
        axes.axis("off")
        axes.imshow(luma, cmap="gray", vmin=0, vmax=255)
        axes.set_title("\n".join(wrap(_read_on(axes, luma), 40)), fontsize=9)
    return figure


def _held(layout, held, style):
    """Draw a page as it is held: grey levels."""
    columns = LAYOUTS[layout].columns
    style = Style(**{"px_per_mm": 5.0, "column_seconds": 10.0 / columns, "row_mm": 28.0} | style)
    rng = np.random.default_rng(7)
    signals = simulate("normal", rng, seconds=12.0)
    situation = "untouched" if held in ALTERED else held
    picture = draw_varied(signals, RATE, layout, situation, rng, style).image
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(ALTERED.get(held, np.asarray)(luma))


def _read_on(axes, luma):
    """Draw the leads that are found on a picture; return what was read, or the refusal."""
    try:
        found = detect(luma)
    except PageRefused as refused:
        return f"refused: {refused}".partition(". Layouts that are read")[0]
    for corners in moved(found.boxes, found.homography):
        axes.fill(*corners.T, fill=False, edgecolor="tab:blue", linewidth=1)
    turned = f", turned by {found.turned} degrees" if found.turned else ""
    speed = f", {found.mm_per_second:g} mm/s" if found.mm_per_second else ""
    gain = f", {found.mm_per_mv:g} mm/mV" if found.mm_per_mv else ""
    return f"{found.layout}{turned}{speed}{gain}"


if __name__ == "__main__":
    main()
