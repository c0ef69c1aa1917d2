"""Draw digital recordings as ECG pages, with the renderer that draws the synthetic ones.

So recordings go through the very pipeline that pages go through, and can lie among pages as one
more class folder.
"""

import hashlib
import os
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.signal import resample_poly
from tqdm import tqdm

from ecg_lib.drawing.page import SECONDS, draw_page
from ecg_lib.drawing.recordings import read_recordings
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS, RATE, twelve_leads
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import LEADS

JPEG_QUALITY = 75
"""Of the drawn pages; that of the synthetic ones varies from 55 to 85."""


class PageSignals(NamedTuple):
    """What of a recording a page shows.

    Attributes:
        signals: float64 array `(12, samples)` in mV, ten seconds at `RATE`, leads in the order of
            `ecg_lib.pages.leads.LEADS`.
        notes: what was done to the recording, in the order in which it was done.
    """

    signals: np.ndarray
    notes: tuple[str, ...]


def page_signals(recording):
    """Make of a recording the twelve leads that a page shows.

    Leads that follow from others are computed, others stay empty; the rate is brought to `RATE`,
    the length to the page's time span, and each lead's median to 0 mV, where the page has its
    baseline.

    Args:
        recording: an `ecg_lib.drawing.recordings.Recording`.

    Returns:
        A `PageSignals`.
    """
    signals, of_leads = complete_leads(recording.signals, recording.leads)
    signals, of_rate = resample(signals, recording.rate)
    signals, of_length = fit_span(signals)
    signals -= np.median(signals, axis=1, keepdims=True)
    return PageSignals(signals, tuple(filter(None, (*of_leads, of_rate, of_length))))


def complete_leads(signals, leads):
    """Put leads in their order, compute those that follow from others, and leave the rest empty.

    Where I and II are there, III, aVR, aVL and aVF follow by Einthoven's and Goldberger's
    relations. An empty lead is 0 mV throughout: an electrocardiograph prints a level line where
    no electrode is connected, and a page is read by its lines.

    Args:
        signals: array `(leads, samples)`.
        leads: the rows' names.

    Returns:
        `(signals, notes)`: an array `(12, samples)` in the order of `LEADS`, and a list of what
        was computed and what is empty.
    """
    recorded = dict(zip(leads, signals, strict=True))
    missing = np.full(signals.shape[1], np.nan)
    computed = twelve_leads([recorded.get(lead, missing) for lead in INDEPENDENT_LEADS])
    complete = dict(zip(LEADS, computed, strict=True)) | recorded
    empty = [lead for lead in LEADS if np.isnan(complete[lead]).any()]
    made = [lead for lead in LEADS if lead not in empty and lead not in recorded]
    notes = [f"{', '.join(made)} computed from I and II"] if made else []
    notes += [f"{', '.join(empty)} left empty"] if empty else []
    return np.nan_to_num([complete[lead] for lead in LEADS]), notes


def resample(signals, rate):
    """Bring signals to `RATE` by a polyphase filter, which keeps what is slower than both rates.

    Args:
        signals: array `(leads, samples)`.
        rate: samples a second; taken as the nearest fraction of `RATE` with at most 1,000 in its
            denominator, which is off by 0.1 % at most.

    Returns:
        `(signals, note)`; the note is empty where the rate is `RATE`.
    """
    factor = Fraction(RATE / rate).limit_denominator(1000)
    if factor == 1:
        return signals, ""
    # Beyond the ends the signal goes on as a line, so that the filter finds no step there.
    resampled = resample_poly(signals, *factor.as_integer_ratio(), axis=1, padtype="line")
    return resampled, f"resampled from {rate:g} Hz to {RATE} Hz"


def fit_span(signals):
    """Cut signals at `RATE` to a page's time span, or repeat them until they fill it.

    Returns:
        `(signals, note)`; the note is empty where the length is right.
    """
    samples, wanted = signals.shape[1], round(SECONDS * RATE)
    note = ""
    if samples > wanted:
        note = f"cut to the first {SECONDS:g} of {samples / RATE:.4g} s"
    elif samples < wanted:
        note = f"{samples / RATE:.4g} s repeated to fill {SECONDS:g} s"
    return signals[:, np.arange(wanted) % samples], note


def describe(recording):
    """One line that says what in a recording was taken for what, and what a page shows of it."""
    sources = recording.sources
    parts = [
        f"{recording.name}: {len(recording.leads)} x {recording.signals.shape[1]:,} samples",
        f"{recording.rate:g} Hz ({sources['rate']}), {recording.seconds:.4g} s",
        f"{recording.unit} ({sources['unit']})",
        f"{' '.join(recording.leads)} ({sources['leads']})",
        f"not used: {', '.join(recording.left_out)}" if recording.left_out else "",
        *page_signals(recording).notes,
    ]
    return "; ".join(filter(None, parts))


def draw_recording(recording, layout):
    """Draw a recording as a page.

    What the page's header says (number, age, sex, date) is made up, and the same each time that a
    recording of this name is drawn.

    Args:
        recording: an `ecg_lib.drawing.recordings.Recording`.
        layout: a key of `ecg_lib.pages.layouts.PUBLISHED_LAYOUTS`.

    Returns:
        The page and its 13 boxes, as `ecg_lib.drawing.page.draw_page` returns them.
    """
    name = hashlib.sha256(recording.name.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(name[:8], "big"))
    return draw_page(page_signals(recording).signals, RATE, layout, rng)


class Outcome(NamedTuple):
    """What became of one recording, or of a file that could not be read.

    Attributes:
        status: "drawn", "kept" (its page was there before) or "left out".
        text: one sentence.
    """

    status: str
    text: str


def draw_recordings(files, folder, layout, given=None, jobs=1):
    """Draw the recordings of files as pages of a folder.

    A page is called as its recording, after the folders of its file in which the files differ. A
    page that is there before is kept, so that an interrupted drawing is finished by calling this
    again.

    Args:
        files: paths, as `ecg_lib.drawing.recordings.find_recordings` returns them.
        folder: where the pages go, JPEG files; made if it is not there.
        layout: a key of `ecg_lib.pages.layouts.PUBLISHED_LAYOUTS`.
        given: an `ecg_lib.drawing.recordings.Hints`.
        jobs: number of processes.

    Returns:
        A list of `Outcome`s, at least one a file.

    Raises:
        InputError: if the layout is unknown, `given` is of no use, or the folder cannot be made.
    """
    one_of("layout", layout, PUBLISHED_LAYOUTS)
    # Absolute: worker processes may have been started in another current folder.
    files = [Path(file).absolute() for file in files]
    folder = Path(folder).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
    first, outcomes = {}, []
    for file, stem in zip(files, _stems(files), strict=True):
        if first.setdefault(stem, file) != file:
            text = f"{file} would become the same page as {first[stem].name}: rename one of them"
            outcomes.append(Outcome("left out", text))
    drawn = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_draw_file)(file, folder / stem, layout, given) for stem, file in first.items()
    )
    progress = tqdm(drawn, "drawing", len(first), unit="file", disable=len(first) < 2)
    return [*(outcome for of_file in progress for outcome in of_file), *outcomes]


def _stems(files):
    """Each file's name without its suffix, after the folders in which the files differ."""
    root = os.path.commonpath([file.parent for file in files])
    return ["_".join(file.relative_to(root).with_suffix("").parts) for file in files]


def _draw_file(file, stem, layout, given):
    recordings, faults = read_recordings(file, given)
    outcomes = [Outcome("left out", fault) for fault in faults]
    for recording in recordings:
        path = stem.with_name(f"{stem.name}{recording.name.removeprefix(file.stem)}.jpg")
        if path.exists():
            outcomes.append(Outcome("kept", f"{recording.name}: {path.name} was there before"))
            continue
        page, _ = draw_recording(recording, layout)
        # Written under a temporary name, so that a page is either whole or not there.
        part = path.with_name(f".{path.name}.part")
        page.save(part, "JPEG", quality=JPEG_QUALITY, dpi=page.info["dpi"])
        part.replace(path)
        outcomes.append(Outcome("drawn", describe(recording)))
    return outcomes
