"""Draw digital recordings as ECG pages, with the renderer that draws the synthetic ones.

So recordings go through the same pipeline as pages, and can lie among pages as one more class
folder.
"""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from PIL import Image
from tqdm import tqdm

from ecg_lib.drawing.page import SECONDS, draw_page
from ecg_lib.drawing.page_signals import page_signals
from ecg_lib.drawing.recordings import Hints, Recording, read_recordings
from ecg_lib.drawing.simulation import RATE
from ecg_lib.errors import InputError, one_of, workers_alive
from ecg_lib.files import only_process_in, replacing
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import LEADS, Box

JPEG_QUALITY = 75
"""Of the drawn pages; that of the synthetic ones varies from 55 to 85."""

PAGES_VERSION = 1
"""Raised whenever the page of some recording changes, so that it is drawn again."""

MAX_NAME_BYTES = 200
"""Of a page's name; file systems take 255, of which the suffix and a number are some."""

MIN_RECORDED = 0.95
"""Share of a lead's place on the page in which it must have been recorded, if it was in part."""


def describe(recording: Recording) -> str:
    """Say in one line what in a recording was taken for what, and what a page shows of it."""
    sources = recording.sources
    parts = [
        f"{recording.name}: {len(recording.leads)} x {recording.signals.shape[1]:,} samples",
        f"{recording.rate:g} Hz ({sources['rate']}), {recording.seconds:.4g} s",
        f"{recording.unit} ({sources['unit']})",
        f"{' '.join(recording.leads)} ({sources['leads']})",
        f"not used: {', '.join(recording.left_out)}" if recording.left_out else "",
        *recording.notes,
        *page_signals(recording).notes,
    ]
    return "; ".join(filter(None, parts))


def draw_recording(recording: Recording, layout: str) -> tuple[Image.Image, list[Box]]:
    """Draw a recording as a page.

    What the page's header says (number, age, sex, date) is made up, and the same each time that a
    recording of this name is drawn.

    Args:
        recording: what is drawn.
        layout: a key of `ecg_lib.pages.layouts.PUBLISHED_LAYOUTS`.

    Returns:
        The page and its 13 boxes, as `ecg_lib.drawing.page.draw_page` returns them.

    Raises:
        InputError: if the layout shows a lead where it was not recorded.
    """
    shown = page_signals(recording)
    _refuse_unrecorded(shown.recorded, layout)
    name = _digest(recording.name)
    rng = np.random.default_rng(int(name, 16))
    return draw_page(shown.signals, RATE, layout, rng)


def _refuse_unrecorded(recorded, layout):
    """A digitised page has most leads for a quarter of the time: only some layouts show those."""
    arrangement = PUBLISHED_LAYOUTS[layout]
    places = [
        (lead, column, arrangement.columns)
        for row in arrangement.rows
        for column, lead in enumerate(row)
    ]
    places += [(lead, 0, 1) for lead in arrangement.rhythm_strips]
    for lead, column, columns in places:
        part = np.array_split(recorded[LEADS.index(lead)], columns)[column]
        if part.mean() < MIN_RECORDED:
            start, end = (SECONDS * (column + edge) / columns for edge in (0, 1))
            raise InputError(
                f"does not have lead {lead} from {start:g} to {end:g} s, where the layout {layout} "
                "shows it: expected another --layout"
            )


class Outcome(NamedTuple):
    """What became of one recording, or of a file that could not be read.

    Attributes:
        status: "drawn", "kept" (its page was there before) or "left out".
        text: one sentence.
        page: the file of its page, or None where it was left out.
    """

    status: str
    text: str
    page: Path | None = None


class _Page(NamedTuple):
    """A drawn recording on its way into the folder.

    Attributes:
        name: of its file, without the suffix.
        stamp: the comment in its file, by which it is known again.
        text: what it shows.
        jpeg: the file's contents, or None if that file is there already.
    """

    name: str
    stamp: "_Stamp"
    text: str
    jpeg: bytes | None


class _Stamp(NamedTuple):
    """What a page was drawn from.

    Attributes:
        source: digest of the recording's place: its file's path, and its name in the file.
        contents: digest of what decides how the page looks.
    """

    source: str
    contents: str


def draw_recordings(
    files: Sequence[str | Path],
    folder: str | Path,
    layout: str,
    hints: Hints | None = None,
    jobs: int = 1,
) -> list[Outcome]:
    """Draw the recordings of files as pages of a folder.

    A page is called as its recording, after the folders of its file in which the files differ, and
    numbered where that name is taken. A page that was drawn before from the same signals in the
    same layout is kept, so that an interrupted drawing is completed by calling this again; one that
    was drawn from them with other options is replaced; a file that is no such page is left alone.

    Args:
        files: paths, as `ecg_lib.drawing.recordings.find_recordings` returns them.
        folder: where the pages go, JPEG files; made if it is not there.
        layout: a key of `ecg_lib.pages.layouts.PUBLISHED_LAYOUTS`.
        hints: what is known of recordings that do not say it themselves.
        jobs: number of processes.

    Returns:
        At least one outcome for each file.

    Raises:
        InputError: if the layout is unknown, `hints` are of no use, or the folder cannot be
            written to.
    """
    one_of("layout", layout, PUBLISHED_LAYOUTS)
    hints = (hints or Hints()).checked()
    # Absolute: worker processes may have been started in another current folder.
    files = [Path(file).absolute() for file in files]
    folder = Path(folder).absolute()
    outcomes: list[Outcome] = []
    taken: set[str] = set()
    # Another command that draws into the folder is waited for: both number their pages.
    with only_process_in(folder), workers_alive("draws recordings"):
        drawn = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(_draw_file)(file, stem, folder, layout, hints)
            for file, stem in zip(files, _stems(files), strict=True)
        )
        for of_file in tqdm(drawn, "drawing", len(files), unit="file", disable=len(files) < 2):
            for page in of_file:
                outcomes.append(page if isinstance(page, Outcome) else _keep(page, folder, taken))
    return outcomes


def _stems(files):
    """Each file's name without its suffix, after the folders in which the files differ."""
    root = os.path.commonpath([file.parent for file in files])
    return ["_".join(file.relative_to(root).with_suffix("").parts) for file in files]


def _draw_file(file, stem, folder, layout, hints):
    """Draw all recordings of a file, but for pages that are there. Runs in a worker process."""
    recordings, faults = read_recordings(file, hints)
    results = [Outcome("left out", fault) for fault in faults]
    for recording in recordings:
        name = _short(stem + recording.name.removeprefix(file.stem))
        stamp = _stamp(file, recording, layout)
        there = _find(folder, name, stamp)
        try:
            jpeg = None if there else _as_jpeg(draw_recording(recording, layout)[0], stamp)
        except InputError as error:
            results.append(Outcome("left out", f"{file}, recording {recording.name}, {error}"))
        else:
            results.append(_Page(there or name, stamp, describe(recording), jpeg))
    return results


def _stamp(file, recording, layout):
    place = f"{file}\n{recording.name}"
    facts = [PAGES_VERSION, recording.name, layout, recording.leads, recording.rate]
    samples = hashlib.sha256(np.ascontiguousarray(recording.signals).tobytes()).hexdigest()
    contents = json.dumps([*facts, recording.signals.shape, samples])
    return _Stamp(_digest(place), _digest(contents))


def _digest(text):
    """16 hexadecimal digits; names of files may hold bytes that are no characters."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _short(name):
    """A name that any file system takes: a column of a table may give a recording a longer one."""
    if len(os.fsencode(name)) <= MAX_NAME_BYTES:
        return name
    return f"{name[: MAX_NAME_BYTES // 8]}-{_digest(name)}"


def _as_jpeg(page, stamp):
    buffer = io.BytesIO()
    comment = " ".join(("ecg_lib", *stamp)).encode()
    page.save(buffer, "JPEG", quality=JPEG_QUALITY, dpi=page.info["dpi"], comment=comment)
    return buffer.getvalue()


def _numbered(name):
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def _find(folder, name, stamp):
    """The name of the page that shows the same, or None."""
    for numbered in _numbered(name):
        path = folder / f"{numbered}.jpg"
        if not path.exists():
            return None
        there = _stamp_of(path)
        if there and there.contents == stamp.contents:
            return numbered
    return None


def _stamp_of(path):
    """The stamp of a page that was drawn here, or None of any other file."""
    try:
        with Image.open(path) as page:
            words = page.info.get("comment", b"").decode("ascii", errors="replace").split()
    except (OSError, ValueError):
        return None
    return _Stamp(*words[1:]) if len(words) == 3 and words[0] == "ecg_lib" else None


def _keep(page, folder, taken):
    """Put a page into the folder, under a name that no other recording has."""
    if page.jpeg is None:
        return _kept(page, folder, page.name, taken)
    for name in _numbered(page.name):
        path = folder / f"{name}.jpg"
        there = _stamp_of(path) if path.exists() else None
        if there and there.contents == page.stamp.contents and name.casefold() not in taken:
            return _kept(page, folder, name, taken)
        if path.exists() and there is None:
            reason = "was not drawn from a recording, and is not replaced: move or rename it"
            return Outcome("left out", f"{path} {reason}")
        if name.casefold() in taken or (there and there.source != page.stamp.source):
            continue
        taken.add(name.casefold())
        with replacing(path) as part:
            part.write_bytes(page.jpeg)
        return Outcome("drawn", page.text, path)


def _kept(page, folder, name, taken):
    taken.add(name.casefold())
    path = folder / f"{name}.jpg"
    return Outcome("kept", f"{page.text}; {path.name} shows it already", path)
