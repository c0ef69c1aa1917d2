"""Read pages from elsewhere: real pictures, and pages as other packages draw them.

Nothing here is trained on. Packages that are not installed are left out.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from benchmarks.detection.image_kit import draw_like_image_kit
from benchmarks.detection.readings import Picture, judged, read
from ecg_lib.drawing.photographs import IN_PLACE, moved
from ecg_lib.drawing.simulation import RATE, RECIPES, simulate
from ecg_lib.pages.image import read_luma
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes
from ecg_lib.pages.leads import LEADS

REAL, PACKAGES = "real pictures", "drawn by other packages"

DPI = 150
DOTS_PER_MM = DPI / 25.4

SEED = 2021

PMECG = {
    "4x3": "3x4",
    "4x3+1": "3x4_with_rhythm",
    "4x3+3": "3x4_with_three_rhythm_strips",
    "2x6": "6x2",
    "2x6+1": "6x2_with_rhythm",
    "1x12": "12x1",
}
"""Templates of pmecg, columns first, and what they are called here."""

ECG_PLOT = {
    "standard_3x4": {"layout": "12lead", "time_mode": "sequential"},
    "standard_3x4_with_rhythm": {
        "layout": "12lead",
        "time_mode": "sequential",
        "rhythm_lead": "II",
    },
    "standard_6x2": {"layout": "columns", "columns": 2, "time_mode": "sequential"},
    "standard_12x1": {"layout": "columns", "columns": 1},
}
"""Options of ecg_plot for each layout that it draws."""


def real_pictures(folder: Path) -> Iterator[dict]:
    """Read annotated pictures.

    Args:
        folder: holds the pictures, `annotations.json`, and `score.py`, which says what is right.
    """
    sys.path.insert(0, str(folder))
    score = importlib.import_module("score")
    for one in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):

        def judge(found, one=one):
            scores = score.score(one, found.boxes, found.homography)
            overlaps = [scores[lead]["iou"] for lead in LEADS if lead in scores]
            return one["complete"] and score.read_right(scores), float(np.mean(overlaps or [0]))

        shows = "all leads" if one["complete"] else "some leads"
        strips = f" with {', '.join(one['strips'])}" if one["strips"] else ""
        cut = " cut" if one["cut_pulses"] else ""
        picture = Picture(REAL, one["kind"], one["layout"] + strips, one["pulses"] + cut, shows)
        yield read(picture, read_luma(folder / one["file"]), judge)


def pages_of_packages() -> Iterator[dict]:
    """Read a page of every layout that other packages draw, with and without pulses."""
    rng = np.random.default_rng(SEED)
    for package, draw in (("pmecg", _pmecg), ("ecg_plot", _ecg_plot)):
        if find_spec(package) is not None:
            yield from draw(rng)
    for layout, pulses in product(("3x4", "3x4_with_rhythm", "6x2", "12x1"), ("left", "none")):
        layout = f"standard_{layout}"
        signals = _simulated(rng)
        figure, edges, baselines = draw_like_image_kit(signals, RATE, layout, pulses, rng)
        edges, baselines = edges * DOTS_PER_MM, baselines * DOTS_PER_MM
        yield _read("ecg-image-kit, rebuilt", layout, pulses, figure, edges, baselines)


def _simulated(rng):
    return simulate(str(rng.choice(list(RECIPES))), rng)


def _pmecg(rng):
    import pmecg

    for (template, arrangement), order, pulses in product(
        PMECG.items(), ("standard", "cabrera"), ("left", "none")
    ):
        data = pd.DataFrame(_simulated(rng).T, columns=list(LEADS))
        if order == "cabrera":
            data, configuration = pmecg.cabrera_factory(template, data)
        else:
            configuration = pmecg.template_factory(template, data, None)
        plotter = pmecg.ECGPlotter(show_calibration=pulses == "left")
        figure = plotter.plot(data, configuration, RATE, show=False)
        layout = f"{order}_{arrangement}"
        edges, baselines = _from_lines(figure, LAYOUTS[layout])
        yield _read("pmecg", layout, pulses, figure, edges, baselines)
        pyplot.close(figure)


def _from_lines(figure, layout):
    """Column edges and baselines, in dots, from the long lines on a figure's axes."""
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    traces = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) > 1000]
    middles = np.array([np.nanmedian(trace, axis=0) for trace in traces])
    x = np.concatenate([trace[:, 0] for trace in traces])
    on_figure = axes.transData.transform
    left, right = on_figure([(np.nanmin(x), 0), (np.nanmax(x), 0)])[:, 0]
    baselines = figure.bbox.height - on_figure(middles)[:, 1]
    return np.linspace(left, right, layout.columns + 1), sorted(baselines)[: layout.lines]


def _ecg_plot(rng):
    import ecg_plot

    for (layout, options), pulses in product(ECG_PLOT.items(), ("left", "none")):
        chart = ecg_plot.plot(
            _simulated(rng),
            sample_rate=RATE,
            lead_names=LEADS,
            style=ecg_plot.Style(calibration=pulses == "left"),
            **options,
        )
        figure, _ = chart.to_matplotlib()
        panels = sorted({panel.x for panel in chart.panels})
        right = max(panel.x + panel.width for panel in chart.panels)
        edges = np.array([*panels, right]) * DOTS_PER_MM
        baselines = np.array(sorted({panel.baseline for panel in chart.panels})) * DOTS_PER_MM
        yield _read("ecg_plot", layout, pulses, figure, edges, baselines)


def _read(package, layout, pulses, figure, edges, baselines):
    """Read a figure whose column edges and baselines are known, in dots."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    luma = np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L"))
    boxes = lead_boxes(LAYOUTS[layout], list(edges), list(baselines), len(luma))
    picture = Picture(PACKAGES, package, layout, pulses)
    return read(picture, luma, judged(layout, moved(boxes, IN_PLACE)))
