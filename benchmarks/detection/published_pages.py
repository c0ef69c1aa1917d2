"""Read the published pages: as they are, distorted, cut and turned.

Two files hold what is compared with. marks.csv holds, for 60 pages, where each crop's name tag and
a point of its trace lie, in page pixels: proposed by machine, each checked by eye and corrected.
boxes_of_pulse_reader.csv holds, for each page, a digest of its layout and boxes as the reader by
calibration pulses found them before there was another.
"""

import csv
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from importlib import resources
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from joblib import Parallel, delayed
from PIL import Image

from benchmarks.detection.distortions import DISTORTIONS
from benchmarks.detection.readings import overlap
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.drawing.photographs import moved
from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import CROPS, Box

MARKS = Path(__file__).with_name("marks.csv")
BOXES_BEFORE = Path(__file__).with_name("boxes_of_pulse_reader.csv")

PULSES = 0.04
"""Width of the column of pulses left of the leads, as a share of the leads' width."""

SMALL = {"portrait_3x4_with_rhythm", "landscape_3x4_with_rhythm"}
"""Layouts that differ only in the sheet's shape, which pasting changes."""

GRAYSCALE = "grayscale"
"""The one distortion that needs the page's colours: see `copied`."""

SEED = 2021


def distinct_pages():
    """Return rows of the catalogue, one for each distinct image."""
    with (resources.files("ecg_lib.data") / "khan2021.csv").open(encoding="utf-8") as file:
        return list({row["page_id"]: row for row in reversed(list(csv.DictReader(file)))}.values())


def decoded(path):
    with Image.open(path) as image:
        image.draft("L", image.size)
        return np.asarray(image.convert("L"))


def copied(path):
    """Read a page in grey as a plain mean of its colours, however bright they look."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).mean(axis=2).round().astype(np.uint8)


def read(folder, row):
    """Read a page: the reading, its layout or reason, whether all crops show ink, and seconds."""
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
    """Say whether the layout is right under a distortion, and how far the leads overlap."""
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
    before, after = moved(flat.boxes, to_distorted), moved(found.boxes, found.homography)
    return right, float(np.mean([overlap(*pair) for pair in zip(before, after, strict=True)]))


def read_cut(folder, row, cut):
    """Say whether a page that is cut is refused as such, and with exactly the missing leads."""
    cv2.setNumThreads(1)
    luma = decoded(folder / row["file"])
    boxes = dict(zip(CROPS, detect(luma).boxes, strict=True))
    part, missing = CUTS[cut](luma, boxes, LAYOUTS[row["layout"]])
    try:
        detect(np.ascontiguousarray(part))
    except PageRefused as refused:
        named = str(refused).partition(" places of ")[2].partition(", which")[0]
        names = set(named.replace(" and ", ", ").split(", "))
        return refused.reason == "partial", refused.reason == "partial" and names == missing
    return False, False


def turned(folder, row, turn):
    """Say by how many degrees a turned page is righted, or why it is refused."""
    cv2.setNumThreads(1)
    try:
        return detect(np.ascontiguousarray(turn(decoded(folder / row["file"])))).turned
    except PageRefused as refused:
        return refused.reason


def cut_left(luma, boxes, layout):
    first = {row[0] for row in layout.rows}
    box = boxes[layout.rows[0][0]]
    return luma[:, (box.left + box.right) // 2 :], first


def cut_right(luma, boxes, layout):
    last = {row[-1] for row in layout.rows}
    box = boxes[layout.rows[0][-1]]
    return luma[:, : (box.left + box.right) // 2], last


def cut_top(luma, boxes, layout):
    return luma[boxes[layout.rows[0][0]].bottom :], set(layout.rows[0])


def cut_bottom(luma, boxes, layout):
    last = layout.rows[-1]
    return luma[: boxes[last[0]].top], set(last)


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


def original_boxes(row):
    """Return the original experiment's boxes of a page, in canonical order."""
    with (resources.files("ecg_lib.data") / "published_boxes.json").open(encoding="utf-8") as file:
        *leads, strip = (Box(*box) for box in json.load(file)[row["published_boxes"]])
    columns = 4 if "3x4" in row["layout"] else 2
    return [*(lead for column in range(columns) for lead in leads[column::columns]), strip]


def marks_inside(folder):
    """Return the share of the marked tags and traces that lie in their boxes, and their number."""
    with MARKS.open(encoding="utf-8") as file:
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
            truth = json.loads(truth_path.read_text(encoding="utf-8"))
            found = detect(decoded(truth_path.with_suffix(".jpg")))
            boxes = [Box(*box) for box in truth["boxes"]]
            yield mean_overlap(found.boxes, boxes)


def mean_overlap(boxes, others):
    pairs = zip(boxes, others, strict=True)
    return float(np.mean([one.intersection_over_union(other) for one, other in pairs]))


def digest_of_boxes(found):
    """Digest a reading's layout and boxes, as boxes_of_pulse_reader.csv holds them."""
    described = json.dumps([found.layout, *map(list, found.boxes)])
    return hashlib.sha256(described.encode()).hexdigest()[:12]


def measure(folder: Path, changed: int, jobs: int) -> Iterator[tuple[str, str, str]]:
    """Read the published pages.

    Args:
        folder: holds v1/ and v2/ of the published pages.
        changed: pages for each distortion, cut and turn.
        jobs: number of processes.

    Yields:
        What was measured, its target ("-" without one), and what was reached.
    """
    rows = distinct_pages()
    parallel = Parallel(jobs)
    readings = parallel(delayed(read)(folder, row) for row in rows)
    pairs = list(zip(rows, readings, strict=True))
    whole = [pair for pair in pairs if pair[0]["layout"] != "three_lead_strip"]
    yield from _as_they_are(pairs, whole)
    yield from _overlaps(whole, folder, jobs)
    whole_rows = [row for row, _ in whole]
    rng = np.random.default_rng(SEED)
    for name in (GRAYSCALE, *DISTORTIONS):
        chosen = rng.choice(len(whole_rows), changed, replace=False)
        results = parallel(
            delayed(read_distorted)(folder, whole_rows[k], name, number)
            for number, k in enumerate(chosen)
        )
        right, overlaps = np.mean(results, axis=0)
        yield f"{name}: layout, {changed} pages", ">= 98 %", f"{right:.1%}"
        yield f"{name}: overlap", ">= 0.90", f"{overlaps:.3f}"
    some = whole_rows[:: max(len(whole_rows) // changed, 1)]
    for cut in CUTS:
        results = parallel(delayed(read_cut)(folder, row, cut) for row in some)
        refused_as_cut, named = np.mean(results, axis=0)
        yield f"{cut}: {len(some)} pages refused as cut off", "-", f"{refused_as_cut:.1%}"
        yield f"{cut}: missing leads named exactly", "-", f"{named:.1%}"
    for name, (turn, answer) in TURNED.items():
        answers = parallel(delayed(turned)(folder, row, turn) for row in some)
        righted = np.mean([one == answer for one in answers])
        yield f"{name}: {len(some)} pages righted, or refused as such", "-", f"{righted:.1%}"


def _as_they_are(pairs, whole):
    """Yield what follows from reading each page once."""
    right = [
        layout == {"three_lead_strip": "no_names"}.get(row["layout"], row["layout"])
        for row, (_, layout, _, _) in pairs
    ]
    yield f"layout, {len(pairs)} published pages", ">= 99.8 %", f"{np.mean(right):.2%}"
    with BOXES_BEFORE.open(encoding="utf-8") as file:
        before = {row["file"]: row["boxes"] for row in csv.DictReader(file)}
    same = sum(
        found is not None and digest_of_boxes(found) == before[row["file"]]
        for row, (found, *_) in whole
    )
    yield "pages with the same boxes to the pixel", f"{len(whole)}", f"{same}"
    milliseconds = 1e3 * np.array([seconds for _, (*_, seconds) in pairs])
    yield "median time, one core", "<= 15 ms", f"{np.median(milliseconds):.1f} ms"
    refused = np.mean([found is None for _, (found, *_) in whole])
    yield "published pages refused", "<= 0.5 %", f"{refused:.2%}"
    yield "pages with a blank crop", "0", f"{sum(not inked for _, (_, _, inked, _) in whole)}"


def _overlaps(whole, folder, jobs):
    """Yield how boxes overlap with those of others."""
    overlaps = {
        layout: [
            mean_overlap(found.boxes, original_boxes(row))
            for row, (found, *_) in whole
            if found is not None and found.layout == row["layout"] == layout
        ]
        for layout in ("standard_3x4_with_rhythm", "standard_6x2_with_rhythm")
    }
    together = np.mean([*chain.from_iterable(overlaps.values())])
    yield "overlap with the original's boxes, 3x4 and 6x2 exports", ">= 0.85", f"{together:.3f}"
    for layout, of_layout in overlaps.items():
        yield f"overlap with the original's boxes, {layout}", "-", f"{np.mean(of_layout):.3f}"
    share, number = marks_inside(folder)
    yield f"{number} marked tags and traces in their boxes", "100 %", f"{share:.2%}"
    drawn = np.mean(list(synthetic_overlaps(jobs)))
    yield "overlap with the true boxes, 200 pages of the demo set", ">= 0.92", f"{drawn:.3f}"
