"""Other versions of the training pages, by which a network learns that they are the same page."""

import json
from pathlib import Path

import numpy as np

from ecg_lib.data.prepared import PreparedSet
from ecg_lib.drawing.page_versions import VERSIONS
from ecg_lib.errors import InputError, PageRefused
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import find_boxes, rectify
from ecg_lib.pages.image import read_exchanged_grey, read_luma
from ecg_lib.runs.drawn import drawn_crops

VERSIONS_VERSION = 1
"""Increased whenever a version of some page changes, so that all are drawn anew."""


def open_versions(
    prepared: PreparedSet, pages_folder: Path, rows: np.ndarray, boxes: str, options: dict
) -> np.ndarray:
    """Draw the other versions of some pages, unless they are drawn already.

    They are kept in a folder beside the prepared set, whose name holds the set's fingerprint.

    Args:
        prepared: the prepared pages.
        pages_folder: the folder of their files.
        rows: rows of the prepared set.
        boxes: where the boxes come from, see `ecg_lib.data.prepared.BOXES`.
        options: keyword arguments of `crop_leads`.

    Returns:
        uint8 array `(versions, rows, 13, height, width)`, in the order of `VERSIONS`.

    Raises:
        InputError: if a page cannot be read or the folder cannot be written to.
    """
    pages = prepared.pages.loc[rows]
    published = boxes == "published"
    arguments = {
        f"{row:05d}": (
            pages_folder.absolute() / page["source"],
            json.loads(page["boxes"]) if published else None,
            int(page["sha256"][:16], 16),
            options,
        )
        for row, page in pages.iterrows()
    }
    cache = prepared.folder.with_name(f"{prepared.folder.name}-versions{VERSIONS_VERSION}")
    crops = drawn_crops(cache, page_versions, arguments, "drawing versions of pages")
    return np.stack(list(crops.values()), axis=1)


def page_versions(path: Path, boxes: list | None, seed: int, options: dict) -> np.ndarray:
    """Draw the versions of one page.

    Args:
        path: the page's file.
        boxes: the published boxes; None to find the leads.
        seed: random seed.
        options: keyword arguments of `crop_leads`.

    Returns:
        uint8 array `(versions, 13, height, width)`.

    Raises:
        InputError: if the page cannot be read.
    """
    if boxes is None:
        luma = read_luma(path)
        try:
            found = find_boxes(luma)
        except PageRefused as refused:  # Which a worker process cannot hand over.
            raise InputError(f"{path}: {refused}") from None
        luma, boxes = rectify(luma, found), list(found.boxes)
        options = options | {"inverted": found.inverted}
    else:
        luma = read_exchanged_grey(path)
    versions = [
        version(luma, boxes, np.random.default_rng([seed, number]))
        for number, version in enumerate(VERSIONS)
    ]
    return np.stack([crop_leads(changed, moved, **options) for changed, moved in versions])
