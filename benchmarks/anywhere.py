"""How well pages from anywhere are read: real pictures, other packages' pages, every layout.

    python -m benchmarks.anywhere [--wild FOLDER] [--photographs 2] [--results results/detection]

FOLDER holds pictures with `annotations.json` and `score.py`, which says what counts as right. Pages
are drawn by the package pmecg where it is installed, and by ours in every layout with pulses left,
right, in each column and nowhere. The table goes to anywhere.csv and anywhere.md in the results
folder. Nothing here was used for training the reader's network; the pictures and the drawn pages
were looked at while the rules around it were written, so other pages may come out lower.
"""

import argparse
import importlib
import json
import sys
import time
from collections import defaultdict
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from benchmarks.not_ecgs import pictures
from ecg_lib.drawing.photographs import SITUATIONS, moved
from ecg_lib.drawing.simulation import RATE, RECIPES, simulate
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import PULSES, random_style
from ecg_lib.drawing.varied_pages import ARRANGEMENTS, draw_varied
from ecg_lib.errors import PageRefused
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import read_luma
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes
from ecg_lib.pages.leads import LEADS

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


class Table:
    """Pages by part and kind: read right, read wrong, refused, and how well they overlap."""

    def __init__(self):
        self.rows = defaultdict(list)
        self.seconds = []

    def read(self, part, kind, luma, judge):
        begun = time.process_time()
        try:
            found = detect(luma)
        except PageRefused as refused:
            outcome, overlap = "refused", np.nan
            print(f"{part}, {kind}: {refused.reason}", flush=True)
        else:
            right, overlap = judge(found)
            outcome = "right" if right else "wrong"
            if not right:
                print(f"{part}, {kind}: read as {found.layout}, {overlap:.2f}", flush=True)
        self.seconds.append(time.process_time() - begun)
        self.rows[part, kind].append((outcome, overlap))

    def frame(self):
        def row(part, kind, pages):
            outcomes, overlaps = zip(*pages, strict=True)
            counts = {key: outcomes.count(key) for key in ("right", "wrong", "refused")}
            overlap = np.nanmean(overlaps) if counts["refused"] < len(pages) else np.nan
            return {"part": part, "kind": kind, "pages": len(pages), **counts, "overlap": overlap}

        return pd.DataFrame([row(*key, pages) for key, pages in self.rows.items()])


def wild(table, folder):
    sys.path.insert(0, str(folder))
    score = importlib.import_module("score")
    for one in json.loads((folder / "annotations.json").read_text()):

        def judge(found, one=one):
            scores = score.score(one, found.boxes, found.homography)
            overlaps = [scores[lead]["iou"] for lead in LEADS if lead in scores]
            return one["complete"] and score.read_right(scores), float(np.mean(overlaps or [0]))

        complete = "" if one["complete"] else ", not all twelve leads"
        table.read("real pictures", one["kind"] + complete, read_luma(folder / one["file"]), judge)


def judged(layout, truth):
    """A function that compares a reading with true boxes.

    Args:
        layout: name of the true layout.
        truth: float array (13, 4, 2), the corners of the true boxes on the picture.
    """

    def judge(found):
        pairs = zip(moved(found.boxes, found.homography), truth, strict=True)
        overlap = float(np.mean([_overlap(one, other) for one, other in pairs]))
        return _same(found.layout, layout) and overlap > 0.5, overlap

    return judge


def _same(name, other):
    one, other = LAYOUTS[name], LAYOUTS[other]
    return one.rows == other.rows and one.lines == other.lines


def _overlap(one, other):
    one, other = np.float32(one), np.float32(other)
    shared = cv2.intersectConvexConvex(one, other)[0]
    return shared / (cv2.contourArea(one) + cv2.contourArea(other) - shared)


def other_packages(table, rng):
    if find_spec("pmecg") is None:
        return
    import pmecg

    for template, arrangement in PMECG.items():
        for order in ("standard", "cabrera"):
            for calibration in (True, False):
                signals = simulate(str(rng.choice(list(RECIPES))), rng)
                data = pd.DataFrame(signals.T, columns=list(LEADS))
                if order == "cabrera":
                    data, configuration = pmecg.cabrera_factory(template, data)
                else:
                    configuration = pmecg.template_factory(template, data, None)
                figure = pmecg.ECGPlotter(show_calibration=calibration).plot(
                    data, configuration, RATE, show=False
                )
                layout = f"{order}_{arrangement}"
                luma, truth = _drawn(figure, LAYOUTS[layout])
                table.read("pmecg", layout, luma, judged(layout, moved(truth, np.eye(3))))


def _drawn(figure, layout):
    """A figure as grey levels, and its boxes from the long lines on its axes."""
    figure.set_dpi(150)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    luma = np.asarray(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("L"))
    axes = figure.axes[0]
    traces = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) > 1000]
    ends = np.array([np.nanmedian(trace, axis=0) for trace in traces])
    x = np.concatenate([trace[:, 0] for trace in traces])
    flat = axes.transData.transform
    y = len(luma) - flat(ends)[:, 1]
    left, right = flat([(np.nanmin(x), 0), (np.nanmax(x), 0)])[:, 0]
    edges = np.linspace(left, right, layout.columns + 1)
    return luma, lead_boxes(layout, edges, sorted(y)[: layout.lines], len(luma))


def every_layout(table, rng, photographs):
    for layout in ARRANGEMENTS:
        for pulses in PULSES:
            style = replace(random_style(rng, layout), pulses=pulses)
            if style.names == "none":
                style = replace(style, names="above")
            signals = simulate(str(rng.choice(list(RECIPES))), rng, seconds=12.0)
            page = draw_styled(signals, RATE, layout, style)
            luma = np.asarray(page.image.convert("L"))
            kind = f"{layout}, pulses {pulses}"
            table.read("drawn", kind, luma, judged(layout, moved(page.boxes, np.eye(3))))
            for _ in range(photographs):
                situation = str(rng.choice(list(SITUATIONS)))
                picture = draw_varied(signals, RATE, layout, situation, rng, style)
                luma = cv2.cvtColor(picture.image, cv2.COLOR_RGB2GRAY)
                table.read("drawn, photographed", kind, luma, judged(layout, picture.corners))


def no_ecgs(table):
    for name, luma in pictures():
        table.read("no ECGs", name.rsplit(" ", 1)[0].split(".")[0], luma, lambda found: (False, 0))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--wild", type=Path, help="folder with annotated pictures")
    parser.add_argument("--photographs", type=int, default=2, help="of each drawn page")
    parser.add_argument("--results", type=Path, default=Path("results/detection"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table, rng = Table(), np.random.default_rng(SEED)
    if options.wild:
        wild(table, options.wild)
    other_packages(table, rng)
    every_layout(table, rng, options.photographs)
    no_ecgs(table)
    frame = table.frame()
    print(frame.groupby("part", sort=False)[["pages", "right", "wrong", "refused"]].sum())
    milliseconds = 1e3 * np.array(table.seconds)
    print(f"{np.median(milliseconds):.0f} ms in the median, {milliseconds.max():.0f} ms at most")
    options.results.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.results / "anywhere.csv", index=False, float_format="%.3f")
    (options.results / "anywhere.md").write_text(markdown(frame.round(3).astype(str)))


if __name__ == "__main__":
    main()
