"""The prepared set: the crops of all pages, built once, in parallel, and used again.

A set lies in a folder of its own, named by a fingerprint of everything that its bytes depend on:
the preprocessing version, the options, and the pages. Anything else than before is another set.

    crops.npy       uint8 (rows, 13, height, width), memory-mapped; 13 crops in canonical order
                    (the published boxes: in the published order)
    pages.csv       a row a page: row (in crops.npy), file, source, class, page_id, group, layout,
                    sha256, boxes (JSON), width and height (in pixels), rhythm_lead (the lead of
                    the rhythm strip; empty where there is none, so that the thirteenth crop is
                    lead II again, or where its name could not be read) and, for the published
                    boxes, published_split
    bad_pages.csv   a row a page that was left out: file, reason
    journal.jsonl   a line a finished file, so that an interrupted building goes on where it was
    lock            held by the process that builds the set; others wait for it
"""

import hashlib
import json
import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from ecg_lib.data.catalogue import UNKNOWN, find_pages
from ecg_lib.data.identity import identify
from ecg_lib.data.khan2021 import (
    PUBLISHED_CROP_ORDER,
    PUBLISHED_PREPROCESSING_VERSION,
    published_pages,
)
from ecg_lib.errors import InputError, one_of
from ecg_lib.files import locked
from ecg_lib.pages.crops import PREPROCESSING_VERSION, crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_exchanged_grey, read_luma
from ecg_lib.pages.leads import CROPS

BOXES = ("detected", "published")
"""Where boxes come from: found from the page itself, or those of the published experiment."""


@dataclass(frozen=True)
class PreparedSet:
    """A prepared set, opened.

    Attributes:
        folder: where it lies.
        crops: uint8 memory map `(rows, 13, height, width)`.
        pages: DataFrame, a row a page; its index is the page's row in `crops`.
        bad: DataFrame of the pages left out: file, reason.
        fingerprint: hexadecimal digest of what the set was made from.
    """

    folder: Path
    crops: np.ndarray
    pages: pd.DataFrame
    bad: pd.DataFrame
    fingerprint: str

    @property
    def summary(self):
        """One sentence that counts the pages, and those left out."""
        counted = f"{len(self.pages):,} pages prepared in {self.folder}"
        if self.bad.empty:
            return f"{counted}, none left out"
        return (
            f"{counted}, {len(self.bad):,} left out, with reasons in "
            f"{self.folder / 'bad_pages.csv'}; the first: "
            f"{self.bad['file'].iloc[0]}: {self.bad['reason'].iloc[0]}"
        )


def prepare(
    pages_folder,
    prepared_folder,
    *,
    boxes="detected",
    height=64,
    width=64,
    ink_only=False,
    jobs=-1,
):
    """Build the prepared set of a folder of pages, or open it if it is there.

    Args:
        pages_folder: a folder of pages, one folder a class.
        prepared_folder: where prepared sets are kept.
        boxes: `"detected"` or `"published"`. The published boxes exist only for the 2,746 files of
            the published experiment, which are then taken in its order. Version 2 of the
            published data is copies of version 1, so version 1 alone holds all of them.
        height: height of a crop, in pixels.
        width: width of a crop, in pixels.
        ink_only: whether paper and grid are removed, see `crop_leads`.
        jobs: number of processes, -1 for one a core, or one a worker of the cluster where
            `joblib.parallel_config(backend="dask")` chose it.

    Returns:
        A `PreparedSet`.

    Raises:
        InputError: if there are no pages, if no page can be read, if published pages are missing,
            if the folder cannot be written to, or if the set that is there is damaged.
    """
    one_of("source of boxes", boxes, BOXES)
    if min(height, width) < 1:
        raise InputError(f"image size {height}x{width}: expected a positive number of pixels")
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
    if (folder / "pages.csv").exists():
        _update_bad(folder, pages, bad)
    else:
        with _only_process_in(folder):
            if not (folder / "pages.csv").exists():
                # Absolute: worker processes may have been started in another current folder.
                _build(folder, Path(pages_folder).absolute(), pages, bad, options, jobs)
    return open_prepared(folder, fingerprint)


def crop_names(boxes):
    """What the 13 crops of a prepared set are called, in their order.

    The published boxes have numbers, since box k is another lead on another layout.

    Args:
        boxes: one of `BOXES`.
    """
    if boxes == "published":
        return tuple(f"box {place + 1}" for place in PUBLISHED_CROP_ORDER)
    return CROPS


def open_prepared(folder, fingerprint):
    """Open a finished prepared set; see `PreparedSet`."""
    text = {"group": str, "page_id": str, "file": str, "source": str}
    with _reading(folder):
        return PreparedSet(
            folder=folder,
            crops=_read_crops(folder),
            pages=pd.read_csv(folder / "pages.csv", index_col="row", dtype=text),
            bad=pd.read_csv(folder / "bad_pages.csv"),
            fingerprint=fingerprint,
        )


@contextmanager
def _reading(folder):
    """Say what to do about a prepared set that cannot be read."""
    try:
        yield
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"the prepared set {folder} cannot be read, it may be damaged "
            f"({str(error).strip()}): remove this folder, and it is made again"
        ) from None


def _read_crops(folder):
    return np.load(folder / "crops.npy", mmap_mode="r", allow_pickle=False)


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


@contextmanager
def _only_process_in(folder):
    """Let others that need the same set wait until it is built, so that it is built once."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / "lock", math.inf))
        except OSError as error:
            raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
        yield


def _build(folder, pages_folder, pages, bad, options, jobs):
    try:
        _make_crops(folder / "crops.npy", len(pages), options["height"], options["width"])
        journal = (folder / "journal.jsonl").open("ab+")
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
    with journal:
        with _reading(folder):
            _read_crops(folder)
        done = _read_journal(journal)
        rows_of = pages.groupby("source", sort=False).indices
        todo = [source for source in rows_of if source not in done]
        results = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(_prepare_page)(
                pages_folder,
                source,
                pages["boxes"].iloc[rows_of[source]].tolist(),
                options,
                not pages["page_id"].iloc[rows_of[source][0]].startswith(UNKNOWN),
            )
            for source in todo
        )
        counts = {"total": len(rows_of), "initial": len(done), "unit": "page"}
        for page_crops, entry in tqdm(results, desc="preparing", mininterval=1, **counts):
            if page_crops is not None:
                # Opened for each page: what is written stays in memory as long as it is open.
                _open_crops(folder / "crops.npy")[rows_of[entry["source"]]] = page_crops
            done[entry["source"]] = entry
            journal.write(json.dumps(entry).encode() + b"\n")
            journal.flush()
    _open_crops(folder / "crops.npy").flush()
    _write_tables(folder, pages, bad, done)


def _update_bad(folder, pages, bad):
    """List files that are no pages as they are now: they come and go without another set."""
    with _reading(folder):
        before = pd.read_csv(folder / "bad_pages.csv")
    now = pd.concat([bad, before[before["file"].isin(pages["file"])]], ignore_index=True)
    if not now.equals(before):
        now.to_csv(folder / "bad_pages.csv", index=False)


def _make_crops(path, rows, height, width):
    if not path.exists():
        # What was noted down as done went with the crops.
        path.with_name("journal.jsonl").unlink(missing_ok=True)
        shape = (rows, len(CROPS), height, width)
        np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def _open_crops(path):
    return np.lib.format.open_memmap(path, "r+")


def _read_journal(journal):
    """What an interrupted building has finished, by source, as far as its lines are whole."""
    journal.seek(0)
    done = {}
    whole = 0
    for line in journal:
        if not line.endswith(b"\n"):
            break
        try:
            entry = json.loads(line)
        except ValueError:
            break
        done[entry["source"]] = entry
        whole += len(line)
    journal.truncate(whole)
    return done


def _prepare_page(folder, source, box_sets, options, known=True):
    """Crops of one page, and the journal's entry about it.

    Args:
        folder: the folder of pages.
        source: the page's file in it.
        box_sets: for each row that shows this page its 13 boxes, or None to detect them.
        options: keyword arguments of `crop_leads`.
        known: whether the file's bytes tell which page it is; else its pixels are asked.

    Returns:
        `(crops, entry)`: uint8 `(rows, 13, size, size)`, or `(1, 13, size, size)` for all rows
        where the boxes were detected; None where the page cannot be used.
    """
    entry = {"source": source}
    try:
        detected = None in box_sets
        luma = (read_luma if detected else read_exchanged_grey)(folder / source)
        if not known:
            entry |= identify(luma)
        entry |= {"width": luma.shape[1], "height": luma.shape[0]}
        if detected:
            found = detect(luma)
            luma = rectify(luma, found)
            box_sets = [found.boxes]
            entry |= {"layout": found.layout, "rhythm_lead": found.rhythm_lead}
            # As text, which takes a tenth of the memory.
            entry["boxes"] = json.dumps(found.boxes)
        return np.stack([crop_leads(luma, boxes, **options) for boxes in box_sets]), entry
    except InputError as error:
        return None, entry | {"reason": str(error)}


def _as_text(boxes):
    """The published boxes are lists; those that were found are text already."""
    return boxes if isinstance(boxes, str) else json.dumps(boxes)


def _write_tables(folder, pages, bad, done):
    entries = pages["source"].map(done)
    for column in ("width", "height"):
        pages[column] = entries.map(lambda entry, column=column: entry.get(column)).astype("Int64")
    pages["rhythm_lead"] = entries.map(lambda entry: entry.get("rhythm_lead"))
    for column in ("page_id", "group", "layout", "boxes"):
        found = entries.map(lambda entry, column=column: entry.get(column))
        pages[column] = found.where(found.notna(), pages[column])
    reason = entries.map(lambda entry: entry.get("reason"))
    refused = pd.DataFrame({"file": pages["file"], "reason": reason})[reason.notna()]
    pages = pages[reason.isna()].assign(boxes=lambda rows: rows["boxes"].map(_as_text))
    pd.concat([bad, refused]).to_csv(folder / "bad_pages.csv", index=False)
    if pages.empty:
        raise InputError(f"no page could be read; the first: {refused['reason'].iloc[0]}")
    # pages.csv says that the set is finished, so it appears last and whole.
    pages.to_csv(folder / "pages.csv.part", index_label="row")
    (folder / "pages.csv.part").rename(folder / "pages.csv")
