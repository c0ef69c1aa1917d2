"""The prepared set: the crops of all pages, built once, in parallel, and used again.

A set lies in a folder of its own, named by a fingerprint of everything that its bytes depend on:
the preprocessing version, the options, and the pages. If any of them changes, it is another set.

    crops.npy       uint8 (rows, 13, height, width), memory-mapped; 13 crops in canonical order
                    (the published boxes: in the published order)
    pages.csv       one row per page: row (in crops.npy), file, source, class, page_id, group,
                    layout, sha256, boxes (JSON), width and height (in pixels), rhythm_lead (the
                    lead of the rhythm strip; empty where there is none, so that the thirteenth crop
                    is lead II again, or where its name could not be read) and, for the published
                    boxes, published_split
    digests.json    SHA-256 of these two files; sets of earlier versions have none
    bad_pages.csv   one row per page that was left out: file, reason
    journal.jsonl   one line per finished page, so that an interrupted building is resumed
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ecg_lib.data.building import (
    BAD_FILE,
    CROPS_FILE,
    DIGESTS_FILE,
    PAGES_FILE,
    build_set,
)
from ecg_lib.data.catalogue import find_pages
from ecg_lib.data.khan2021 import (
    PUBLISHED_CROP_ORDER,
    PUBLISHED_PREPROCESSING_VERSION,
    published_pages,
)
from ecg_lib.errors import InputError, one_of
from ecg_lib.files import only_process_in, sha256, write_csv
from ecg_lib.pages.crops import PREPROCESSING_VERSION
from ecg_lib.pages.leads import CROPS

MAX_CROP_SIDE = 4096
"""Largest height and width of a crop, in pixels: no page has leads of more."""

_logger = logging.getLogger(__name__)

BOXES = ("detected", "published")
"""Where boxes come from: found from the page itself, or those of the published experiment."""


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set, opened.

    Attributes:
        folder: where it lies.
        crops: uint8 memory map `(rows, 13, height, width)`.
        pages: DataFrame, one row per page; its index is the page's row in `crops`.
        bad: DataFrame of the pages left out: file, reason.
        fingerprint: hexadecimal digest of what the set was made from.
    """

    folder: Path
    crops: np.ndarray
    pages: pd.DataFrame
    bad: pd.DataFrame
    fingerprint: str

    @property
    def summary(self) -> str:
        """Sentence that counts the pages, and those left out."""
        counted = f"{len(self.pages):,} pages prepared in {self.folder}"
        if self.bad.empty:
            return f"{counted}, none left out"
        return (
            f"{counted}, {len(self.bad):,} left out, with reasons in "
            f"{self.folder / 'bad_pages.csv'}; the first: "
            f"{self.bad['file'].iloc[0]}: {self.bad['reason'].iloc[0]}"
        )


def prepare(
    pages_folder: str | Path,
    prepared_folder: str | Path,
    *,
    boxes: str = "detected",
    height: int = 64,
    width: int = 64,
    ink_only: bool = False,
    jobs: int = -1,
) -> PreparedSet:
    """Build the prepared set of a folder of pages, or open it if it is there.

    Args:
        pages_folder: a folder of pages, one folder per class.
        prepared_folder: where prepared sets are kept.
        boxes: `"detected"` or `"published"`. The published boxes exist only for the 2,746 files of
            the published experiment, which are then taken in its order. Version 2 of the
            published data is copies of version 1, so version 1 alone holds all of them.
        height: height of a crop, in pixels.
        width: width of a crop, in pixels.
        ink_only: whether paper and grid are removed, see `crop_leads`.
        jobs: number of processes, -1 for one per core, or one per worker of the cluster where
            `joblib.parallel_config(backend="dask")` chose it.

    Returns:
        A `PreparedSet`.

    Raises:
        InputError: if there are no pages, if no page can be read, if published pages are missing,
            if the folder cannot be written to, or if the set that is there is damaged.
    """
    one_of("source of boxes", boxes, BOXES)
    if not 1 <= min(height, width) <= max(height, width) <= MAX_CROP_SIDE:
        raise InputError(f"image size {height}x{width}: expected 1 to {MAX_CROP_SIDE:,} pixels")
    pages, bad = find_pages(pages_folder)
    if boxes == "published":
        pages = published_pages(pages)
    else:
        # Copies are read once, from the first of them.
        first = pages.groupby("sha256")["file"].transform("first")
        pages = pages.assign(source=first, boxes=None)
    options = {"height": height, "width": width, "ink_only": ink_only}
    fingerprint = _fingerprint(pages, boxes, **options)
    size = height if width == height else f"{height}x{width}"
    name = f"{boxes}-{size}px{'-ink' if ink_only else ''}-{fingerprint[:12]}"
    folder = Path(prepared_folder) / name
    if not (folder / PAGES_FILE).exists():
        # Others that need the same set wait until it is built.
        with only_process_in(folder):
            if not (folder / PAGES_FILE).exists():
                build_set(folder, Path(pages_folder).absolute(), pages, bad, options, jobs)
    opened = open_prepared(folder, fingerprint)
    return replace(opened, bad=_update_bad(opened, pages, bad))


def crop_names(boxes: str) -> tuple[str, ...]:
    """Name the 13 crops of a prepared set, in their order.

    The published boxes have numbers, since box k is another lead on another layout.

    Args:
        boxes: one of `BOXES`.
    """
    if boxes == "published":
        return tuple(f"box {place + 1}" for place in PUBLISHED_CROP_ORDER)
    return CROPS


def open_prepared(folder: Path, fingerprint: str) -> PreparedSet:
    """Open a finished prepared set, and check that it is as it was written.

    Args:
        folder: the set's folder.
        fingerprint: its fingerprint, see `PreparedSet`.

    Raises:
        InputError: if a file is missing or damaged.
    """
    text = {"group": str, "page_id": str, "file": str, "source": str}
    with _reading(folder):
        crops = np.load(folder / CROPS_FILE, mmap_mode="r", allow_pickle=False)
        pages = pd.read_csv(folder / PAGES_FILE, index_col="row", dtype=text)
        _check(folder, crops, pages)
        bad = pd.read_csv(folder / BAD_FILE, dtype=str)[["file", "reason"]]
    return PreparedSet(folder, crops, pages, bad, fingerprint)


def _check(folder, crops, pages):
    if (folder / DIGESTS_FILE).exists():
        digests = json.loads((folder / DIGESTS_FILE).read_text(encoding="utf-8"))
        for name in (CROPS_FILE, PAGES_FILE):
            if sha256(folder / name) != digests[name]:
                raise ValueError(f"{name} has changed since it was written")
    if crops.ndim != 4 or crops.shape[1] != len(CROPS) or crops.dtype != np.uint8:
        raise ValueError(f"{CROPS_FILE} holds no crops but {crops.dtype} of shape {crops.shape}")
    if not pages.index.is_unique or not pages.index.isin(range(len(crops))).all():
        raise ValueError(f"{PAGES_FILE} has a row twice, or one that {CROPS_FILE} does not have")


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Say what to do about a prepared set that cannot be read."""
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"the prepared set {folder} cannot be read, it may be damaged "
            f"({' '.join(str(error).split())}): remove this folder, and it is made again"
        ) from None


def _fingerprint(pages, boxes, height, width, ink_only):
    published = boxes == "published"
    # The keys are those of the first sets, whose fingerprints are in the records of their runs.
    made_from = {
        "version": PUBLISHED_PREPROCESSING_VERSION if published else PREPROCESSING_VERSION,
        "boxes": boxes,
        "image_size": height,
        "ink_only": ink_only,
        **({} if width == height else {"image_width": width}),
        "pages": pages.drop(columns="source").to_csv(index=False),
    }
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def _update_bad(opened, pages, bad):
    """List the files that are not pages as they are now: they do not change the set.

    Returns:
        The list, whether or not it can be written: the set may be read-only.
    """
    before = opened.bad
    now = pd.concat([bad, before[before["file"].isin(pages["file"])]], ignore_index=True)
    if not now.equals(before):
        try:
            write_csv(opened.folder / BAD_FILE, now, index=False)
        except InputError as error:
            _logger.warning("%s; so it does not list the files left out by now", error)
    return now
