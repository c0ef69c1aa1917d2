"""Make of a recording the twelve leads that a page shows."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy.signal import resample_poly

from ecg_lib.drawing.page import SECONDS
from ecg_lib.drawing.recordings import Recording
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS, RATE, twelve_leads
from ecg_lib.pages.leads import LEADS

MARGIN_SECONDS = 1.0
"""What is resampled beyond the page's end, where the filter still reaches."""


class PageSignals(NamedTuple):
    """What of a recording a page shows.

    Attributes:
        signals: float64 array `(12, samples)` in mV, ten seconds at `RATE`, leads in the order of
            `ecg_lib.pages.leads.LEADS`; 0 where a lead was not recorded.
        recorded: boolean array of the same shape, false where a lead that the recording has was
            not recorded, as on a digitised page outside the lead's column.
        notes: what was done to the recording, in the order in which it was done.
    """

    signals: np.ndarray
    recorded: np.ndarray
    notes: tuple[str, ...]


def page_signals(recording: Recording) -> PageSignals:
    """Make of a recording the twelve leads that a page shows.

    Leads that follow from others are computed, others stay empty; the rate is brought to `RATE`,
    the length to the page's time span, and each lead's median to 0 mV, where the page has its
    baseline.
    """
    needed = round((SECONDS + MARGIN_SECONDS) * recording.rate)
    signals, of_leads = complete_leads(recording.signals[:, :needed], recording.leads)
    empty = np.isnan(signals).all(axis=1, keepdims=True)
    signals, of_rate = resample(signals, recording.rate)
    signals, of_length = fit_span(signals, recording.seconds)
    recorded = ~np.isnan(signals) | empty
    signals = np.where(np.isnan(signals), 0.0, signals - _medians(signals))
    notes = (*of_leads, of_rate, of_length, _partial_leads(recorded))
    return PageSignals(signals, recorded, tuple(filter(None, notes)))


def _medians(signals):
    """Each lead's median over what was recorded, 0 where nothing was."""
    filled = np.where(np.isnan(signals).all(axis=1, keepdims=True), 0.0, signals)
    return np.nanmedian(filled, axis=1, keepdims=True)


def _partial_leads(recorded):
    parts = []
    for lead, samples in zip(LEADS, recorded, strict=True):
        at = np.flatnonzero(samples)
        if len(at) < len(samples):
            parts.append(f"{lead} from {at[0] / RATE:.3g} to {(at[-1] + 1) / RATE:.3g} s")
    return f"recorded in part: {', '.join(parts)}" if parts else ""


def complete_leads(signals: np.ndarray, leads: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Put leads in their order, compute those that follow from others, and leave the rest empty.

    Where I and II are there, III, aVR, aVL and aVF follow by Einthoven's and Goldberger's
    relations. An empty lead is drawn at 0 mV throughout: an electrocardiograph prints a level line
    where no electrode is connected, and a page is read by its lines.

    Args:
        signals: array `(leads, samples)`, NaN where a lead was not recorded.
        leads: the rows' names.

    Returns:
        `(signals, notes)`: an array `(12, samples)` in the order of `LEADS`, NaN where a lead is
        empty, and what was computed and what is empty.
    """
    recorded = dict(zip(leads, signals, strict=True))
    missing = np.full(signals.shape[1], np.nan)
    computed = twelve_leads(np.stack([recorded.get(lead, missing) for lead in INDEPENDENT_LEADS]))
    complete = dict(zip(LEADS, computed, strict=True)) | recorded
    empty = [lead for lead in LEADS if np.isnan(complete[lead]).all()]
    made = [lead for lead in LEADS if lead not in empty and lead not in recorded]
    notes = [f"{', '.join(made)} computed from I and II"] if made else []
    notes += [f"{', '.join(empty)} left empty"] if empty else []
    return np.stack([complete[lead] for lead in LEADS]), tuple(notes)


def resample(signals: np.ndarray, rate: float) -> tuple[np.ndarray, str]:
    """Bring signals to `RATE` by a polyphase filter, which keeps what is slower than both rates.

    Args:
        signals: array `(leads, samples)`, NaN where a lead was not recorded.
        rate: samples per second; taken as the nearest fraction of `RATE` with at most 1,000 in
            its denominator, which is off by at most 0.1 %.

    Returns:
        `(signals, note)`; the note is empty where the rate is `RATE`.
    """
    factor = Fraction(RATE / rate).limit_denominator(1000)
    if factor == 1:
        return signals, ""
    # Beyond the ends the signal continues as a line, so that the filter finds no step there.
    filled = np.stack([_held(signal) for signal in signals])
    resampled = resample_poly(filled, *factor.as_integer_ratio(), axis=1, padtype="line")
    nearest = np.arange(resampled.shape[1]) * signals.shape[1] // resampled.shape[1]
    resampled[np.isnan(signals)[:, nearest]] = np.nan
    return resampled, f"resampled from {rate:g} Hz to {RATE} Hz"


def _held(signal):
    """A signal that keeps its first and last value where it was not recorded."""
    at = np.flatnonzero(~np.isnan(signal))
    if len(at) in (0, len(signal)):
        return np.nan_to_num(signal)
    return signal[np.clip(np.arange(len(signal)), at[0], at[-1])]


def fit_span(signals: np.ndarray, seconds: float) -> tuple[np.ndarray, str]:
    """Cut signals at `RATE` to a page's time span, or repeat them until they fill it.

    Args:
        signals: array `(leads, samples)`.
        seconds: the recording's length, of which the signals may be only the beginning.

    Returns:
        `(signals, note)`; the note is empty where the length is right.
    """
    samples, wanted = signals.shape[1], round(SECONDS * RATE)
    note = ""
    if samples > wanted:
        note = f"cut to the first {SECONDS:g} of {seconds:.4g} s"
    elif samples < wanted:
        note = f"{seconds:.4g} s repeated to fill {SECONDS:g} s"
    return signals[:, np.arange(wanted) % samples], note
