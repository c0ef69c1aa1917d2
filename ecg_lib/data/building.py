"""Build a prepared set: page by page, in parallel, and resumable after any interruption.

Nothing is written through a memory map: on a full disk that would kill the process, while a write
raises an error that becomes one sentence. What was finished before such an error stays valid.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from ecg_lib.data.catalogue import UNKNOWN
from ecg_lib.data.identity import identify, number_pages
from ecg_lib.errors import InputError, workers_alive
from ecg_lib.files import replacing, sha256, write_csv, write_text, writing
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import find_boxes, rectify
from ecg_lib.pages.image import is_out_of_memory, read_exchanged_grey, read_luma
from ecg_lib.pages.leads import CROPS
from ecg_lib.pages.reading import CANNOT_COMPUTE

CROPS_FILE = "crops.npy"
PAGES_FILE = "pages.csv"
BAD_FILE = "bad_pages.csv"
DIGESTS_FILE = "digests.json"
JOURNAL_FILE = "journal.jsonl"

_DIGEST = "crops_sha256"
"""Key, in an entry of the journal, of the digest of the crops of its rows."""

_OUT_OF_MEMORY = "out_of_memory"
"""Key of an entry that is not noted in the journal: with more memory, the page may be read."""


def build_set(
    folder: Path,
    pages_folder: Path,
    pages: pd.DataFrame,
    bad: pd.DataFrame,
    options: dict[str, Any],
    jobs: int,
) -> None:
    """Write the files of a prepared set, see `ecg_lib.data.prepared`.

    Args:
        folder: folder of the set, which exists.
        pages_folder: absolute path of the folder of pages: worker processes may have been started
            in another current folder.
        pages: the catalogue's pages, with columns source and boxes.
        bad: the catalogue's files that are not pages.
        options: keyword arguments of `crop_leads`.
        jobs: number of processes.

    Raises:
        InputError: if no page can be read, if memory ran out on a page, or if the folder cannot be
            written to.
    """
    starved: list[str] = []
    crops = _begin_crops(folder, (len(pages), len(CROPS), options["height"], options["width"]))
    rows_of = pages.groupby("source", sort=False).indices
    with _journal(folder / JOURNAL_FILE) as (done, journal):
        # A line may have reached the disk before its crops did.
        done = {
            source: entry
            for source, entry in done.items()
            if source in rows_of
            and ("reason" in entry or entry.get(_DIGEST) == _digest(crops[rows_of[source]]))
        }
        results = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(_prepare_page)(
                pages_folder,
                source,
                pages["boxes"].iloc[rows].tolist(),
                options,
                not pages["page_id"].iloc[rows[0]].startswith(UNKNOWN),
            )
            for source, rows in rows_of.items()
            if source not in done
        )
        counts = {"total": len(rows_of), "initial": len(done), "unit": "page"}
        with closing(results), workers_alive("prepares pages"):
            for page_crops, entry in tqdm(results, desc="preparing", mininterval=1, **counts):
                if entry.get(_OUT_OF_MEMORY):
                    starved.append(entry["source"])
                    continue
                with writing(folder):
                    if page_crops is not None:
                        rows = rows_of[entry["source"]]
                        page_crops = np.broadcast_to(page_crops, (len(rows), *page_crops.shape[1:]))
                        _write_crops(folder / CROPS_FILE, crops.offset, rows, page_crops)
                        entry[_DIGEST] = _digest(page_crops)
                    _note(journal, entry)
                done[entry["source"]] = entry
    if starved:
        raise InputError(
            f"memory ran out on {len(starved):,} pages, the first of them {starved[0]}: the others "
            "are prepared and kept, start again with more free memory to resume"
        )
    _write_tables(folder, pages, bad, done)


def _begin_crops(folder, shape):
    """Open the crops of an interrupted building, or reserve the space for those of a new one.

    Returns:
        The crops, a memory map to read.
    """
    path = folder / CROPS_FILE
    if not _is_begun(path, shape):
        with writing(folder):
            # What was noted as finished went with the crops.
            (folder / JOURNAL_FILE).unlink(missing_ok=True)
            with replacing(path) as part, part.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                _reserve(file, int(np.prod(shape, dtype=np.int64)))
    return np.load(path, mmap_mode="r")


def _is_begun(path, shape):
    try:
        crops = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return crops.shape == shape and crops.dtype == np.uint8


def _reserve(file, size):
    """Append zeros, and fail now if there is no space for them on the disk."""
    end = file.tell() + size
    file.flush()
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, end)
    else:
        file.truncate(end)


def _write_crops(path, offset, rows, page_crops):
    with path.open("r+b") as file:
        for row, row_crops in zip(rows, page_crops, strict=True):
            file.seek(offset + int(row) * row_crops.nbytes)
            file.write(row_crops.tobytes())


def _digest(crops):
    return hashlib.sha256(crops.tobytes()).hexdigest()


@contextmanager
def _journal(path: Path) -> Iterator[tuple[dict[str, dict[str, Any]], FileIO]]:
    """Open the journal.

    Yields:
        The entries of an interrupted building by their source, and the file to append to.
    """
    with writing(path):
        content = path.read_bytes() if path.exists() else b""
        done, whole = _read_journal(content)
        # Unbuffered: what cannot be written is not tried again when the file is closed.
        file = path.open("ab", buffering=0)
        try:
            file.truncate(whole)
        except OSError:
            file.close()
            raise
    try:
        yield done, file
    finally:
        with writing(path):
            file.close()


def _read_journal(content):
    """Read what is whole.

    Returns:
        The entries by source, and how many bytes their lines have.
    """
    done, whole = {}, 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            entry = json.loads(line)
            done[entry["source"]] = entry
        except (ValueError, KeyError, TypeError):
            break
        whole += len(line)
    return done, whole


def _note(journal, entry):
    line = json.dumps(entry).encode() + b"\n"
    if journal.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _prepare_page(folder, source, box_sets, options, known=True):
    """Prepare one page.

    Args:
        folder: the folder of pages.
        source: the page's name in it.
        box_sets: for each row that shows this page its 13 boxes, or None to detect them.
        options: keyword arguments of `crop_leads`.
        known: whether the file's bytes tell which page it is; else what it shows is compared.

    Returns:
        `(crops, entry)`: uint8 `(rows, 13, height, width)`, or `(1, 13, height, width)` for all
        rows where the boxes were detected, None where the page cannot be used; and the journal's
        entry about it.
    """
    entry = {"source": source}
    try:
        detected = None in box_sets
        luma = (read_luma if detected else read_exchanged_grey)(folder / source)
        entry |= {"width": luma.shape[1], "height": luma.shape[0]}
        if detected:
            found = find_boxes(luma)
            rectified = rectify(luma, found)
            if not known:
                entry |= identify(luma, rectified, found.boxes)
            luma, box_sets = rectified, [found.boxes]
            options = options | {"inverted": found.inverted}
            entry |= {"layout": found.layout, "rhythm_lead": found.rhythm_lead}
            # As text, which takes a tenth of the memory.
            entry["boxes"] = json.dumps(found.boxes)
        return np.stack([crop_leads(luma, boxes, **options) for boxes in box_sets]), entry
    except InputError as error:
        return None, entry | {"reason": str(error)}
    except CANNOT_COMPUTE as error:
        if is_out_of_memory(error):
            return None, {"source": source, _OUT_OF_MEMORY: True}
        return None, entry | {"reason": f"the page cannot be read: {' '.join(str(error).split())}"}


def _write_tables(folder, pages, bad, done):
    entries = pages["source"].map(done)
    for column in ("width", "height"):
        pages[column] = entries.map(lambda entry, column=column: entry.get(column)).astype("Int64")
    pages["rhythm_lead"] = entries.map(lambda entry: entry.get("rhythm_lead"))
    for column in ("page_id", "group", "layout", "boxes"):
        found = entries.map(lambda entry, column=column: entry.get(column))
        pages[column] = found.where(found.notna(), pages[column])
    _join_copies(pages, entries)
    reason = entries.map(lambda entry: entry.get("reason"))
    refused = pd.DataFrame({"file": pages["file"], "reason": reason})[reason.notna()]
    pages = pages[reason.isna()].assign(boxes=lambda rows: rows["boxes"].map(_as_text))
    write_csv(folder / BAD_FILE, pd.concat([bad, refused]), index=False)
    if pages.empty:
        file, reason = refused.iloc[0]
        raise InputError(f"no page could be read; the first: {file}: {reason}")
    # The table of pages says that the set is finished, so it appears last and whole.
    with replacing(folder / PAGES_FILE) as part:
        pages.to_csv(part, index_label="row")
        digests = {PAGES_FILE: sha256(part), CROPS_FILE: sha256(folder / CROPS_FILE)}
        write_text(folder / DIGESTS_FILE, json.dumps(digests, indent=1))


def _join_copies(pages, entries):
    """Give the copies of a page that is not a published one a common page_id and group."""
    hashes = entries.map(lambda entry: entry.get("hash")).dropna()
    if hashes.empty:
        return
    compared = pages.loc[hashes.index, "page_id"]
    # The first in the order of names of pixels, so that the names of files do not matter.
    common = compared.groupby(number_pages(hashes.tolist())).transform("min")
    pages.loc[hashes.index, "page_id"] = pages.loc[hashes.index, "group"] = common


def _as_text(boxes):
    """Return boxes as JSON: the published ones are lists, those that were found are text."""
    return boxes if isinstance(boxes, str) else json.dumps(boxes)
