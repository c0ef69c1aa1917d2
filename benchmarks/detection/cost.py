"""Measure the time and the memory that reading takes, on pictures of two megapixels."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.detection import own_pages
from benchmarks.detection.readings import Picture, read
from benchmarks.without_ecg import gridded_pictures, pictures
from ecg_lib.drawing.varied_pages import ARRANGEMENTS

PIXELS = 2_000_000

EVERY = 6
"""Every so many pictures without an ECG are read again at this size."""


def at_two_megapixels(luma: np.ndarray) -> np.ndarray:
    """Resize a picture to two megapixels."""
    height, width = luma.shape
    scale = np.sqrt(PIXELS / (height * width))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(luma, (round(scale * width), round(scale * height)), interpolation=how)


def time_and_memory() -> tuple[pd.DataFrame, float]:
    """Read pages of all layouts and pictures without an ECG, one after the other on one core.

    Returns:
        DataFrame with one row per picture, as `read` returns them; and the peak memory, in MB, of
        a process that reads some of them.
    """
    pages = [_page(layout, number) for number, layout in enumerate(2 * ARRANGEMENTS)]
    others = [luma for _, luma in [*pictures(), *gridded_pictures()][::EVERY]]
    lumas = {"page": pages, "without an ECG": others}
    rows = [
        read(Picture("two megapixels", kind), at_two_megapixels(luma))
        for kind, of_kind in lumas.items()
        for luma in of_kind
    ]
    return pd.DataFrame(rows), _peak_memory(map(at_two_megapixels, [*pages[:8], *others[:8]]))


def _page(layout, number):
    """Draw a page, every second one photographed."""
    situation = ("untouched", "photograph")[number // len(ARRANGEMENTS)]
    page = own_pages.draw(layout, "left", situation, number)
    return cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)


def _peak_memory(lumas: Iterable[np.ndarray]) -> float:
    """Measure a fresh process that reads pictures and does nothing else, on Linux.

    `getrusage` does not serve: a process inherits its parent's peak.
    """
    code = """
import re, sys
from pathlib import Path
from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import read_luma
for path in sys.argv[1:]:
    try:
        detect(read_luma(path))
    except PageRefused:
        pass
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, luma in enumerate(lumas):
            paths.append(str(Path(folder, f"{number}.png")))
            cv2.imwrite(paths[-1], luma)
        command = [sys.executable, "-c", code, *paths]
        ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    return float(ran.stdout)
