"""How well pages are read: the table of every target, on the real pages and on drawn ones.

    python -m benchmarks.detection PAGES_FOLDER [--distorted 300] [--results results/detection]

PAGES_FOLDER holds v1/ and v2/ of the published pages. It takes about ten minutes on two free cores.
The table is also written to detection.csv and detection.md in the results folder.

detection_marks.csv holds, for 60 pages, where each crop's name tag and a point of its trace lie, in
page pixels: proposed by machine, and each looked at, and mended where wrong, by eye.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import resources
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image

from benchmarks.distortions import DISTORTIONS
from benchmarks.not_ecgs import pictures
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.errors import PageRefused
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import CROPS, RHYTHM_STRIP, Box

MARKS = Path(__file__).with_name("detection_marks.csv")

PULSES = 0.04
"""Width of the column of pulses left of the leads, as a share of the leads' width."""

SMALL = {"portrait_3x4_with_rhythm", "landscape_3x4_with_rhythm"}
"""Layouts that differ only in the sheet's shape, which pasting changes."""

GRAYSCALE = "grayscale"
"""The one distortion that needs the page's colours: see `copied`."""

SEED = 2021


def distinct_pages():
    """Rows of the catalogue, one for each distinct image."""
    with (resources.files("ecg_lib.data") / "khan2021.csv").open() as file:
        return list({row["page_id"]: row for row in reversed(list(csv.DictReader(file)))}.values())


def decoded(path):
    with Image.open(path) as image:
        image.draft("L", image.size)
        return np.asarray(image.convert("L"))


def copied(path):
    """A page in grey as a plain mean of its colours, whatever the eye makes of them."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).mean(axis=2).round().astype(np.uint8)


def read(folder, row):
    """What a page is read as, whether all crops show ink, and the seconds of one core it took."""
    cv2.setNumThreads(1)
    luma = decoded(folder / row["file"])
    begun = time.process_time()
    try:
        found = detect(luma)
    except PageRefused as refused:
        return None, refused.reason, False, time.process_time() - begun
    seconds = time.process_time() - begun
    flat = rectify(luma, found)
    inked = [
        np.ptp(flat[max(top, 0) : bottom, max(left, 0) : right].astype(int)) > 60
        for left, top, right, bottom in found.boxes
    ]
    return found, found.layout, all(inked), seconds


def read_distorted(folder, row, name, number):
    """Whether the layout is right under a distortion, and the mean overlap of the leads."""
    cv2.setNumThreads(1)
    luma = decoded(folder / row["file"])
    flat = detect(luma)
    edges = np.array(flat.boxes)
    width = np.ptp(edges[:, [0, 2]])
    left = edges[:, 0].min() - PULSES * width
    keep = (left, edges[:, 1].min(), edges[:, 2].max(), edges[:, 3].max())
    rng = np.random.default_rng([SEED, number])
    if name == GRAYSCALE:
        distorted, to_distorted = copied(folder / row["file"]), np.eye(3)
    else:
        distorted, to_distorted = DISTORTIONS[name](luma, keep, rng)
    try:
        found = detect(distorted)
    except PageRefused:
        return False, 0.0
    right = found.layout == flat.layout or {found.layout, flat.layout} == SMALL
    before, after = corners(flat.boxes, to_distorted), corners(found.boxes, found.homography)
    return right, float(np.mean([overlap(*pair) for pair in zip(before, after, strict=True)]))


def read_cut(folder, row, cut):
    """Whether a page with its first or last column or row of leads cut through is refused as cut
    off, and whether exactly what is missing is named."""
    cv2.setNumThreads(1)
    luma = decoded(folder / row["file"])
    boxes = dict(zip(CROPS, detect(luma).boxes, strict=True))
    part, missing = CUTS[cut](luma, boxes, LAYOUTS[row["layout"]])
    try:
        detect(np.ascontiguousarray(part))
    except PageRefused as refused:
        said = str(refused).rpartition(": ")[2].rsplit(" ", 2)[0].replace(" and ", ", ")
        names = set(said.split(", ")) - {"calibration pulses"}
        return refused.reason == "partial", refused.reason == "partial" and names == missing
    return False, False


def turned(folder, row, turn):
    """By how many degrees a turned page is righted, or why it is refused."""
    cv2.setNumThreads(1)
    try:
        return detect(np.ascontiguousarray(turn(decoded(folder / row["file"])))).turned
    except PageRefused as refused:
        return refused.reason


def strip_of(layout):
    return {RHYTHM_STRIP} if layout.rhythm_strip else set()


def cut_left(luma, boxes, layout):
    first = {row[0] for row in layout.rows}
    box = boxes[layout.rows[0][0]]
    return luma[:, (box.left + box.right) // 2 :], first | strip_of(layout)


def cut_right(luma, boxes, layout):
    last = {row[-1] for row in layout.rows}
    box = boxes[layout.rows[0][-1]]
    return luma[:, : (box.left + box.right) // 2], last | strip_of(layout)


def cut_top(luma, boxes, layout):
    return luma[boxes[layout.rows[0][0]].bottom :], set(layout.rows[0])


def cut_bottom(luma, boxes, layout):
    last = layout.rows[-1]
    return luma[: boxes[last[0]].top], set(last) | strip_of(layout)


CUTS = {
    "left half of the first column cut off": cut_left,
    "right half of the last column cut off": cut_right,
    "top row cut off": cut_top,
    "bottom row and strip cut off": cut_bottom,
}

TURNED = {
    "upside down": (lambda luma: luma[::-1, ::-1], 180),
    "on the left side": (np.rot90, 90),
    "on the right side": (lambda luma: np.rot90(luma, 3), 270),
    "mirrored": (lambda luma: luma[:, ::-1], "mirrored"),
}
"""Ways to hold a page wrongly, and how each is answered."""

CUT_EVERY = 10
"""Every so many pages are cut and turned."""


def corners(boxes, homography):
    """Corners of the boxes under a homography: float32 array (boxes, 4, 2)."""
    flat = [
        [(b.left, b.top), (b.right, b.top), (b.right, b.bottom), (b.left, b.bottom)] for b in boxes
    ]
    moved = cv2.perspectiveTransform(np.float64(flat).reshape(1, -1, 2), homography)
    return moved.reshape(-1, 4, 2).astype(np.float32)


def overlap(one, other):
    """Intersection over union of two convex quadrilaterals."""
    shared = cv2.intersectConvexConvex(one, other)[0]
    return shared / (cv2.contourArea(one) + cv2.contourArea(other) - shared)


def original_boxes(row):
    """The original experiment's boxes of a page, in canonical order."""
    with (resources.files("ecg_lib.data") / "published_boxes.json").open() as file:
        *leads, strip = (Box(*box) for box in json.load(file)[row["published_boxes"]])
    columns = 4 if "3x4" in row["layout"] else 2
    return [*(lead for column in range(columns) for lead in leads[column::columns]), strip]


def marks_inside(folder):
    """Share of the marked name tags and trace points that lie in their boxes, and their number."""
    with MARKS.open() as file:
        marks = list(csv.DictReader(file))
    found = {
        name: detect(decoded(folder / name)).boxes for name in {mark["file"] for mark in marks}
    }
    inside = []
    for mark in marks:
        left, top, right, bottom = found[mark["file"]][CROPS.index(mark["crop"])]
        for point in ("tag", "trace"):
            x, y = float(mark[f"{point}_x"]), float(mark[f"{point}_y"])
            inside.append(left <= x < right and top <= y < bottom)
    return float(np.mean(inside)), len(inside)


def synthetic_overlaps(jobs):
    with tempfile.TemporaryDirectory() as folder:
        draw_set(Path(folder), 40, seed=SEED, jobs=jobs)
        for truth_path in sorted(Path(folder).glob("*/*.json")):
            truth = json.loads(truth_path.read_text())
            found = detect(decoded(truth_path.with_suffix(".jpg")))
            boxes = [Box(*box) for box in truth["boxes"]]
            yield mean_overlap(found.boxes, boxes)


def mean_overlap(boxes, others):
    pairs = zip(boxes, others, strict=True)
    return float(np.mean([one.intersection_over_union(other) for one, other in pairs]))


def refused(luma):
    try:
        detect(luma)
    except PageRefused:
        return True
    return False


def memory_of_reading(paths):
    """Most memory, in MB, of a fresh process that reads these pages and does nothing else."""
    code = """
import resource, sys
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import read_luma
for path in sys.argv[1:]:
    detect(read_luma(path))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True
    )
    return float(ran.stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--distorted", type=int, default=300, help="pages for each distortion")
    parser.add_argument("--results", type=Path, help="folder that the table is written to")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    folder, parallel = options.folder, Parallel(options.jobs)

    table = []

    def report(what, target, value):
        table.append({"what": what, "target": target, "reached": str(value)})
        print(f"| {what} | {target} | {value} |", flush=True)

    rows = distinct_pages()
    readings = parallel(delayed(read)(folder, row) for row in rows)
    told = [reading[1] for reading in readings]
    wrong = [
        f"{row['file']}: {row['layout']} read as {said}"
        for row, said in zip(rows, told, strict=True)
        if said != {"three_lead_strip": "no_names"}.get(row["layout"], row["layout"])
    ]
    report(f"layout, {len(rows)} real pages", ">= 99.8 %", f"{1 - len(wrong) / len(rows):.2%}")
    whole = [k for k, row in enumerate(rows) if row["layout"] != "three_lead_strip"]
    report("real pages refused", "<= 0.5 %", f"{np.mean([not readings[k][0] for k in whole]):.2%}")
    report("pages with a blank crop", "0", sum(not readings[k][2] for k in whole))
    bare = [told[k] for k in whole if rows[k]["layout"] == "standard_6x2"]
    report("pages without rhythm strip read", f"{len(bare)}", bare.count("standard_6x2"))
    flat = np.mean([readings[k][0] is not None and readings[k][0].flat for k in whole])
    report("exports read as flat", "-", f"{flat:.2%}")
    report(
        "median time, one core", "<= 15 ms", f"{1e3 * np.median([r[3] for r in readings]):.1f} ms"
    )
    for layout in sorted({rows[k]["layout"] for k in whole}):
        leads = Counter(readings[k][0].rhythm_lead for k in whole if told[k] == layout)
        report(f"lead of the strip, {layout}", "-", dict(leads.most_common()))
    overlaps = {
        layout: [
            mean_overlap(readings[k][0].boxes, original_boxes(rows[k]))
            for k in whole
            if told[k] == rows[k]["layout"] == layout
        ]
        for layout in ("standard_3x4_with_rhythm", "standard_6x2_with_rhythm")
    }
    together = np.mean([*chain.from_iterable(overlaps.values())])
    report("overlap with the original's boxes, 3x4 and 6x2 exports", ">= 0.85", f"{together:.3f}")
    for layout, of_layout in overlaps.items():
        report(f"overlap with the original's boxes, {layout}", "-", f"{np.mean(of_layout):.3f}")
    share, number = marks_inside(folder)
    report(f"{number} marked tags and traces in their boxes", "100 %", f"{share:.2%}")
    synthetic = list(synthetic_overlaps(options.jobs))
    report("overlap with the true boxes, 200 drawn pages", ">= 0.92", f"{np.mean(synthetic):.3f}")
    rng = np.random.default_rng(SEED)
    for name in (GRAYSCALE, *DISTORTIONS):
        chosen = [rows[whole[k]] for k in rng.choice(len(whole), options.distorted, replace=False)]
        results = parallel(
            delayed(read_distorted)(folder, row, name, number) for number, row in enumerate(chosen)
        )
        right, overlaps = np.mean(results, axis=0)
        report(f"{name}: layout", ">= 98 %", f"{right:.1%}")
        report(f"{name}: overlap", ">= 0.90", f"{overlaps:.3f}")
    for cut in CUTS:
        results = parallel(delayed(read_cut)(folder, rows[k], cut) for k in whole[::CUT_EVERY])
        refused_as_cut, named = np.mean(results, axis=0)
        report(f"{cut}: {len(results)} pages refused as cut off", "-", f"{refused_as_cut:.1%}")
        report(f"{cut}: missing leads named exactly", "-", f"{named:.1%}")
    for name, (turn, answer) in TURNED.items():
        told = parallel(delayed(turned)(folder, rows[k], turn) for k in whole[::CUT_EVERY])
        report(
            f"{name}: {len(told)} pages righted, or refused as such",
            "-",
            f"{np.mean([one == answer for one in told]):.1%}",
        )
    refusals = [refused(luma) for _, luma in pictures()]
    report(
        f"refused of {len(refusals)} pictures that are no ECG",
        ">= 99 %",
        f"{np.mean(refusals):.1%}",
    )
    used = memory_of_reading([folder / rows[k]["file"] for k in whole[::CUT_EVERY]])
    report("memory of a process that reads pages", "<= 400 MB", f"{used:.0f} MB")
    for line in wrong:
        print("\n" + line)
    if options.results:
        options.results.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(table)
        frame.to_csv(options.results / "detection.csv", index=False)
        (options.results / "detection.md").write_text(markdown(frame))


if __name__ == "__main__":
    main()
