"""Measure preparing pages: beside a plain pipeline, beside decoding alone, and in large sets."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image, ImageFilter, ImageOps
from threadpoolctl import threadpool_limits

from benchmarks.speed.timing import (
    milliseconds,
    ratio,
    row,
    seconds_of,
    side_by_side,
    spread,
    table,
)
from ecg_lib.data.catalogue import find_pages
from ecg_lib.data.prepared import prepare
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import find_boxes, rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.pages.resize import resize

SIDE = 64
PAGES_A_TIMING = 48
CORES = (1, 2)

NOT_MORE = 1.2
"""Largest growth of the time per page, from one number of pages to the next."""

MOST_KILOBYTES = 5.3
"""Memory that each additional page may take: a tenth of its crops, for its rows in tables."""

OURS, PLAIN, LUMA = "ecg_lib", "plain Pillow", "luma alone"


def measure(pages_folder: Path, work: Path, repetitions: int, sizes: Sequence[int]) -> pd.DataFrame:
    """Measure times and memory of preparing.

    Args:
        pages_folder: real pages, one folder per class.
        work: a `Path` where copies of pages and prepared sets may be put.
        repetitions: how often each is timed.
        sizes: numbers of pages to prepare; if there are fewer, they are copied.

    Returns:
        The part's table, see `benchmarks.speed.timing.COLUMNS`.
    """
    files, sample = readable_files(pages_folder), some_files(pages_folder)
    rows = []
    for cores in CORES:
        rows += _compared(sample, cores, repetitions)
    rows += _resizing(sample, repetitions)
    return table(rows + _growth(files, work, sizes))


def readable_files(pages_folder):
    """List the distinct pages of a folder that have thirteen leads, sorted by name."""
    pages, _ = find_pages(pages_folder)
    pages = pages.drop_duplicates("sha256")
    pages = pages[pages["layout"] != "three_lead_strip"]
    return [Path(pages_folder, file) for file in pages["file"]]


def some_files(pages_folder):
    """Choose at most `PAGES_A_TIMING` of them at random, in random order."""
    files = readable_files(pages_folder)
    return random.Random(0).sample(files, min(len(files), PAGES_A_TIMING))


def ours(file, boxes=None):
    """Do what `ecg_lib.data.prepared` does with a page."""
    luma = read_luma(file)
    found = find_boxes(luma)
    return crop_leads(rectify(luma, found), found.boxes, SIDE, SIDE)


def plain(file, boxes):
    """Do the published experiment's steps, one after the other, in Pillow, with known boxes."""
    with Image.open(file) as page:
        crops = [ImageOps.invert(page.crop(box).convert("L")) for box in boxes]
    grown = [crop.filter(ImageFilter.MaxFilter(3)) for crop in crops]
    return np.stack([np.asarray(crop.resize((SIDE, SIDE))) for crop in grown])


def luma_alone(file, boxes=None):
    """Decode the luma of a page, the minimum that any way to read a page has to do."""
    with Image.open(file) as page:
        page.draft("L", page.size)
        return np.asarray(page.convert("L") if page.mode != "L" else page)


WAYS = {OURS: ours, PLAIN: plain, LUMA: luma_alone}


def _compared(files, cores, repetitions):
    """Make the rows of the three ways on some cores; workers are started before the timing."""
    boxes = [find_boxes(read_luma(file)).boxes for file in files]
    parallel = Parallel(n_jobs=cores)

    def over_pages(way):
        return lambda: parallel(
            delayed(_on_one_core)(way, file, of_page)
            for file, of_page in zip(files, boxes, strict=True)
        )

    with threadpool_limits(1):  # The workers have it already.
        timings = side_by_side({name: over_pages(way) for name, way in WAYS.items()}, repetitions)
    named = f"{cores} core{'s' if cores > 1 else ''}"
    rates = [row(f"{name}, {named}", "pages/s", _rate(timings, name, len(files))) for name in WAYS]
    return [
        row(
            f"{OURS} to {PLAIN}, {named}", "times as fast", ratio(timings, PLAIN, OURS), at_least=5
        ),
        row(f"{OURS} to {LUMA}, {named}", "times as long", ratio(timings, OURS, LUMA), at_most=2.5),
        *rates,
    ]


def _resizing(files, repetitions):
    """Rows of what resizing by matrix products saves, the one step that Pillow could do as well."""
    crops = [page for file in files for page in _leads(file)]
    size = (SIDE, SIDE)

    def by_pillow():
        return [np.asarray(Image.fromarray(crop).resize(size, Image.BICUBIC)) for crop in crops]

    with threadpool_limits(1):
        ways = {OURS: lambda: resize(crops, *size), PLAIN: by_pillow}
        timings = side_by_side(ways, repetitions)
    named = "resizing the crops of a page"
    return [
        row(f"{named}: {name}", "ms", milliseconds(timings, name, len(files))) for name in ways
    ] + [row(f"{named}: {OURS} to {PLAIN}", "times as fast", ratio(timings, PLAIN, OURS))]


def _leads(file):
    """The leads of a page as they lie on it, before they are resized."""
    luma = read_luma(file)
    found = find_boxes(luma)
    flat = rectify(luma, found)
    return [
        np.ascontiguousarray(flat[max(top, 0) : bottom, max(left, 0) : right])
        for left, top, right, bottom in found.boxes
    ]


def _rate(timings, name, pages):
    return spread(pages / timings.loc[timings["name"] == name, "seconds"])


def _on_one_core(way, file, boxes):
    cv2.setNumThreads(1)
    way(file, boxes)


def _growth(files, work, sizes):
    """Make the rows of whole preparations, catalogue and start of the workers included."""
    rows, before = [], None
    for size in sizes:
        folder = work / f"{size} pages"
        _fill(folder, files, size)
        printed = subprocess.run(
            [sys.executable, "-m", __name__, folder, work / "prepared"],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        used = json.loads(printed) | {"pages": size}
        used["milliseconds"] = 1000 * used["seconds"] / size
        named = f"{size:,} pages prepared"
        rows += [
            row(f"{named}: time per page, {CORES[-1]} cores", "ms", spread([used["milliseconds"]])),
            row(f"{named}: memory", "MB", spread([used["memory"]])),
            row(f"{named}: memory of a worker", "MB", spread([used["worker_memory"]])),
        ]
        if before:
            named = f"{size:,} to {before['pages']:,} pages"
            growth = spread([used["milliseconds"] / before["milliseconds"]])
            more = 1024 * (used["memory"] - before["memory"]) / (size - before["pages"])
            rows += [
                row(f"time per page, {named}", "times as much", growth, NOT_MORE),
                row(f"memory per additional page, {named}", "kB", spread([more]), MOST_KILOBYTES),
            ]
        before = used
    return rows


def _fill(folder, files, size):
    """Fill a folder with copies that differ in their bytes: a JPEG may be followed by anything.

    Pages with the same bytes would be read only once. The copies are recognised by their pixels,
    which takes some milliseconds more than for the published files.
    """
    for number, file in enumerate(islice(cycle(files), size)):
        copy = folder / file.parent.name / f"{number}{file.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes() + str(number).encode())


def _prepare_once(folder, prepared_folder):
    """Print time and memory of preparing a folder; the memory is right only in a new process."""
    jobs = CORES[-1]
    seconds = seconds_of(lambda: prepare(folder, prepared_folder, jobs=jobs))
    # The workers that prepared still wait for more to do.
    of_workers = Parallel(n_jobs=jobs)(delayed(_peak_memory)() for _ in range(4 * jobs))
    measured = {"seconds": seconds, "memory": _peak_memory(), "worker_memory": max(of_workers)}
    print(json.dumps(measured))


def _peak_memory():
    """Return the peak memory of this process in MB, as Linux reports it.

    `resource.getrusage` also counts that of the process that started this one.
    """
    (line,) = re.findall(
        r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8")
    )
    return int(line) / 1024


if __name__ == "__main__":
    _prepare_once(*sys.argv[1:])
