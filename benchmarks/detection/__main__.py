"""Measure how well pages are read: real pictures, pages of other packages, every layout, others.

    python -m benchmarks.detection PAGES [--wild PICTURES] [--distorted 100]

PAGES holds v1/ and v2/ of the published pages; PICTURES holds real pictures with `annotations.json`
and `score.py`, which says what counts as read right, and is left out where it is missing. Packages
that draw pages, and scikit-image for its photographs, are used where they are installed:

    pip install pmecg "ecg_plot[matplotlib]" scikit-image

The tables go to detection.md and detection.csv in the results folder. With 100 distorted pictures
for each layout it takes about twenty minutes on two free cores.

Nothing here was used for training the reader's network, and no threshold was fitted to it.
"""

import argparse
import hashlib
import os
import platform
from pathlib import Path

import cv2
import pandas as pd
from joblib import Parallel, delayed

from benchmarks.detection import elsewhere, own_pages, published_pages
from benchmarks.detection.cost import time_and_memory
from benchmarks.detection.readings import Picture, read, summarised
from benchmarks.detection.report import GRIDDED, WITHOUT, report, targets
from benchmarks.without_ecg import gridded_pictures, pictures
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.files import code_version, write_csv, write_text
from ecg_lib.pages.detection.general.marks import WEIGHTS


def main(arguments: list[str] | None = None) -> None:
    """Read all pictures, then print and write the tables."""
    options = _options(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    readings = _readings(options)
    groups = summarised(readings, ["part", "kind", "layout", "pulses"])
    write_csv(options.results / "detection.csv", groups, index=False, float_format="%.3f")
    met = targets(readings, *time_and_memory(), options.distorted)
    print(markdown(met), flush=True)
    published = pd.DataFrame(
        published_pages.measure(options.pages, options.changed, options.jobs),
        columns=["what", "target", "reached"],
    )
    text = report(readings, met, published, measured_with())
    write_text(options.results / "detection.md", text)
    print(text)


def _options(arguments):
    parser = argparse.ArgumentParser("python -m benchmarks.detection", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pages", type=Path, help="folder with v1/ and v2/ of the published pages")
    parser.add_argument("--wild", type=Path, help="folder with annotated real pictures")
    parser.add_argument("--undistorted", type=int, default=5, help="per layout and place of pulses")
    parser.add_argument("--distorted", type=int, default=100, help="pictures for each layout")
    parser.add_argument("--changed", type=int, default=100, help="published pages per distortion")
    parser.add_argument("--results", type=Path, default=Path("results/detection"))
    parser.add_argument("--jobs", type=int, default=2, help="number of processes")
    return parser.parse_args(arguments)


def _readings(options):
    """Read everything but the published pages: a DataFrame with one row per picture."""
    cv2.setNumThreads(1)
    rows = list(elsewhere.real_pictures(options.wild)) if options.wild else []
    rows += elsewhere.pages_of_packages()
    drawn = own_pages.own_pages(options.undistorted, options.distorted)
    others = [(WITHOUT, *one) for one in pictures()] + [
        (GRIDDED, *one) for one in gridded_pictures()
    ]
    without = (delayed(_read_without_ecg)(*one) for one in others)
    parallel = Parallel(options.jobs)
    return pd.DataFrame([*rows, *parallel(drawn), *parallel(without)])


def _read_without_ecg(part, name, luma):
    kind = name.rsplit(" ", 1)[0].split(".")[0]
    shows = "a single lead" if kind == "single-lead ECG" else "no leads"
    return read(Picture(part, kind, shows=shows), luma)


def measured_with() -> str:
    """Say with which code, weights and processor something was measured."""
    weights = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]
    load, cores = os.getloadavg()[0], os.cpu_count()
    return (
        f"Measured with ecg_lib {code_version()}, the reader's network {weights}, on one core of "
        f"{_processor()}, with a load of {load:.0f} on {cores} cores: other work makes times "
        "longer. A page is read right if its layout is right, and the box of each of its twelve "
        "leads. Of a picture without an ECG every answer is wrong. A reason of a refusal is false "
        "if it claims of the picture what is not so, such as that it is mirrored or cut off."
    )


def _processor():
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
