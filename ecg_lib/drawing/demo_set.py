"""Draw the default set of synthetic pages."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from PIL import Image
from tqdm import tqdm

from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.simulation import RATE, RECIPES, simulate
from ecg_lib.errors import InputError, workers_alive
from ecg_lib.files import (
    only_process_in,
    refuse_other_files,
    replacing,
    write_text,
    writing,
)

SYNTHETIC_VERSION = 1
"""Increased whenever a page of a set changes, so that no set mixes pages of two versions."""

MAX_PAGES_PER_CLASS = 100_000
"""More would take weeks, and fill the memory with their names first."""

DESCRIPTION = "set.json"
"""The file that says how a set was drawn."""

LAYOUT_SHARES = {
    "standard_3x4_with_rhythm": 0.4,
    "standard_6x2_with_rhythm": 0.15,
    "standard_6x2": 0.15,
    "portrait_3x4_with_rhythm": 0.15,
    "landscape_3x4_with_rhythm": 0.15,
}
"""Share of the pages drawn in each layout, the same for every class."""


def draw_set(folder: str | Path, pages_per_class: int, seed: int = 0, jobs: int = 1) -> int:
    """Draw a set of pages, with the truth beside each.

    Writes `folder/<class>/<class>_0001.jpg` and so on, each with a `.json` of the same name that
    holds its `class`, `layout` and `boxes` (13 times left, top, right, bottom in page pixels, in
    canonical order), and `folder/set.json`, which records how the set was drawn. A page depends
    only on the seed, its class and its number. Existing pages are kept, so that another call
    completes an interrupted set or enlarges a finished one.

    Args:
        folder: where the set is written; created if it does not exist.
        pages_per_class: number of pages of each class.
        seed: an integer from 0; another seed gives other pages.
        jobs: number of processes.

    Returns:
        Number of pages that this call drew.

    Raises:
        InputError: if no page is requested, the seed is negative, or the folder cannot be written
            to or holds a set of another seed or version, or anything else.
    """
    if not 1 <= pages_per_class <= MAX_PAGES_PER_CLASS:
        raise InputError(
            f"{pages_per_class} pages per class cannot be drawn: expected 1 to "
            f"{MAX_PAGES_PER_CLASS:,}"
        )
    if seed < 0:
        raise InputError(f"seed is {seed}: expected at least 0")
    # Absolute: worker processes may have been started in another current folder.
    folder = Path(folder).absolute()
    wanted = [
        (class_name, number, folder / class_name / f"{class_name}_{number:04d}.jpg")
        for number in range(1, pages_per_class + 1)
        for class_name in RECIPES
    ]
    refuse_other_files(folder, DESCRIPTION, "a drawn set")
    # Another command that draws into the folder is waited for.
    with only_process_in(folder):
        with writing(folder):
            _claim(folder, seed)
        missing = [page for page in wanted if not _is_drawn(page[2])]
        drawn = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(_draw_one)(seed, *page) for page in missing
        )
        progress = tqdm(drawn, "drawing", len(missing), unit="page", disable=not missing)
        with workers_alive("draws pages"):
            for _ in progress:
                pass
    return len(missing)


def _claim(folder, seed):
    """Record in the folder how its set is drawn, or check that it was drawn in this way."""
    description = json.dumps({"seed": seed, "version": SYNTHETIC_VERSION})
    path = folder / DESCRIPTION
    if not path.is_file():
        write_text(path, description)
    found = path.read_bytes().decode(errors="replace")
    if found != description:
        raise InputError(
            f"{folder} holds a set drawn with {found}, not with {description}: "
            "name another folder, or remove this one"
        )
    for class_name in RECIPES:
        (folder / class_name).mkdir(exist_ok=True)


def _draw_one(seed, class_name, number, path):
    page, truth, quality = draw_example(class_name, seed, number)
    # The truth comes last: a page counts as drawn once its truth is there.
    with replacing(path) as part:
        page.save(part, "JPEG", quality=quality, dpi=page.info["dpi"])
    write_text(_truth_path(path), json.dumps(truth))


def _is_drawn(path):
    return path.exists() and _truth_path(path).exists()


def draw_example(
    class_name: str, seed: int, number: int
) -> tuple[Image.Image, dict[str, Any], int]:
    """Draw one page of a set.

    The layout depends on the seed and the number alone, so that it is independent of the class.

    Args:
        class_name: a key of `RECIPES`.
        seed: the set's seed.
        number: the page's number within its class, from 1.

    Returns:
        The page (an RGB `PIL.Image`), its truth (a dict with `class`, `layout` and `boxes`), and
        the JPEG quality at which it is saved.
    """
    layout_rng = np.random.default_rng([seed, number])
    layout = str(layout_rng.choice(list(LAYOUT_SHARES), p=list(LAYOUT_SHARES.values())))
    key = int.from_bytes(hashlib.sha256(class_name.encode()).digest()[:8], "big")
    rng = np.random.default_rng(np.random.SeedSequence([seed, key, number]))
    page, boxes = draw_page(simulate(class_name, rng), RATE, layout, rng)
    truth = {"class": class_name, "layout": layout, "boxes": [list(box) for box in boxes]}
    return page, truth, int(rng.integers(55, 86))


def _truth_path(path):
    return path.with_suffix(".json")
