"""What signals themselves refute: a unit, a rate or an order of leads that cannot be right."""

import numpy as np

from ecg_lib.drawing.formats.times import RATES
from ecg_lib.errors import InputError
from ecg_lib.pages.leads import LEADS

PLAUSIBLE_MV = (0.02, 20.0)
"""Smallest and largest range of the liveliest lead that is believed, in mV. That of real ones is
some tenths to some mV: a unit that is wrong by a factor of 1,000 lies outside either way."""

MIN_SECONDS = 1.0
"""The shortest recording that is drawn: about one beat."""

EINTHOVEN = np.array(
    [[-1, 1, -1, 0, 0, 0], [0.5, 0.5, 0, 1, 0, 0], [-1, 0.5, 0, 0, 1, 0], [0.5, -1, 0, 0, 0, 1]]
)
"""What of I, II, III, aVR, aVL and aVF adds up to zero by Einthoven and Goldberger."""

MAX_EINTHOVEN = 0.05
"""The largest remainder of these relations that is believed, as a share of the limb leads' spread.
On 1,618 recordings of PTB-XL it is at most 0.009; with III and aVF exchanged, which differ the
least, at least 0.098; in the orders of other devices, at least 0.68."""


def refuse_rate(rate: float) -> None:
    """Raise an `InputError`, without a file's name, for a sampling rate that no ECG has."""
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(
            f"rate is {rate:g}: expected samples per second, {RATES[0]:g} to {RATES[1]:,.0f}"
        )


def refuse_order(signals: np.ndarray) -> None:
    """Raise an `InputError` if twelve leads cannot be in the order of `LEADS`.

    Args:
        signals: array `(12, samples)`, in any unit.
    """
    limb = signals[:6]
    spread = max(_mean_deviation(lead) for lead in limb)
    for relation in EINTHOVEN:
        used = relation != 0
        remainder = _mean_deviation(relation[used] @ limb[used])
        if remainder > MAX_EINTHOVEN * spread:
            raise InputError(
                f"does not name its leads, and they are not in the order {', '.join(LEADS)}: "
                "III is not II - I, or aVR not -(I + II) / 2; expected their names as --leads"
            )


def _mean_deviation(signal):
    """Mean distance from the median, over the samples that are numbers; 0 without any."""
    signal = signal[np.isfinite(signal)]
    return np.abs(signal - np.median(signal)).mean() if len(signal) else 0.0


def refuse_signals(signals: np.ndarray, leads: tuple[str, ...], rate: float, unit: str) -> None:
    """Raise an `InputError`, without a file's name, for signals that cannot be an ECG in this unit.

    Args:
        signals: array `(leads, samples)` in mV; a lead may begin late or end early, where it is
            NaN, but have no holes.
        leads: the rows' names.
        rate: samples per second.
        unit: what the file's numbers were taken for.
    """
    if signals.shape[1] < MIN_SECONDS * rate:
        raise InputError(
            f"is {signals.shape[1] / rate:.3g} s long at {rate:g} Hz: expected at least "
            f"{MIN_SECONDS:g} s, about one beat"
        )
    for lead, signal in zip(leads, signals, strict=True):
        _refuse_holes(lead, signal, rate)
        recorded = signal[np.isfinite(signal)]
        if np.ptp(recorded) == 0:
            raise InputError(f"has a flat lead {lead}: all its samples are {recorded[0]:g} mV")
    # Without the outermost samples, which may be a spark.
    low, high = np.nanpercentile(signals, [1, 99], axis=1)
    widest = (high - low).max()
    if not PLAUSIBLE_MV[0] <= widest <= PLAUSIBLE_MV[1]:
        raise InputError(
            f"has signals that range over {widest:,.3g} mV if its unit is {unit}: "
            f"expected {PLAUSIBLE_MV[0]:g} to {PLAUSIBLE_MV[1]:g} mV"
        )


def _refuse_holes(lead, signal, rate):
    """A digitised page has each lead where the page shows it; elsewhere samples must not miss."""
    missing = ~np.isfinite(signal)
    if not missing.any():
        return
    recorded = np.flatnonzero(~missing)
    in_one_piece = len(recorded) and recorded[-1] - recorded[0] + 1 == len(recorded)
    if not in_one_piece or np.isinf(signal).any() or len(recorded) < MIN_SECONDS * rate:
        raise InputError(
            f"has {np.count_nonzero(missing):,} samples of lead {lead} that are no numbers"
        )
