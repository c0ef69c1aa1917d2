"""What of a recording a page shows: twelve leads, one rate, ten seconds."""

import numpy as np
import pytest
from conftest import SIGNALS, recording

from ecg_lib.drawing.page_signals import complete_leads, fit_span, page_signals, resample
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS, RATE
from ecg_lib.pages.leads import LEADS

BY_LEAD = dict(zip(LEADS, SIGNALS, strict=True))


def test_eight_leads_are_completed():
    independent = np.stack([BY_LEAD[lead] for lead in INDEPENDENT_LEADS])
    signals, notes = complete_leads(independent, INDEPENDENT_LEADS)
    one, two = BY_LEAD["I"], BY_LEAD["II"]
    expected = {
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }
    for lead, signal in (BY_LEAD | expected).items():
        np.testing.assert_allclose(signals[LEADS.index(lead)], signal, atol=1e-12)
    assert notes == ("III, aVR, aVL, aVF computed from I and II",)


def test_a_recorded_lead_is_never_replaced():
    other = SIGNALS + np.arange(12)[:, np.newaxis]
    signals, notes = complete_leads(other, LEADS)
    np.testing.assert_array_equal(signals, other)
    assert notes == ()


def test_a_single_lead_is_placed_and_the_rest_is_level():
    signals, recorded, (note,) = page_signals(recording("V3"))
    placed = LEADS.index("V3")
    np.testing.assert_allclose(signals[placed], BY_LEAD["V3"] - np.median(BY_LEAD["V3"]))
    assert recorded.all()
    assert not np.delete(signals, placed, axis=0).any()
    assert note == "I, II, III, aVR, aVL, aVF, V1, V2, V4, V5, V6 left empty"


@pytest.mark.parametrize("rate", [100, 128, 257, 360, 999.9, 1000, 5000])
def test_any_rate_is_resampled(rate):
    def wave(rate):
        time = np.arange(round(4 * rate)) / rate
        return np.sin(2 * np.pi * 5 * time) + 0.5 * time

    signals, note = resample(wave(rate)[np.newaxis], rate)
    expected = wave(RATE)
    assert abs(signals.shape[1] - len(expected)) <= 1
    middle = slice(RATE // 4, -RATE // 4)
    length = min(len(expected), signals.shape[1])
    np.testing.assert_allclose(signals[0, :length][middle], expected[:length][middle], atol=0.02)
    assert f"{rate:g} Hz" in note


def test_the_right_rate_is_left_alone():
    signals, note = resample(SIGNALS, RATE)
    assert signals is SIGNALS
    assert note == ""


@pytest.mark.parametrize(
    ("samples", "note"),
    [
        (5000, ""),
        (15000, "cut to the first 10 of 30 s"),
        (1600, "3.2 s repeated to fill 10 s"),
    ],
)
def test_any_length_is_cut_or_repeated(samples, note):
    signals, said = fit_span(np.arange(samples)[np.newaxis], samples / RATE)
    np.testing.assert_array_equal(signals[0], np.resize(np.arange(samples), 5000))
    assert said == note


def test_electrode_offsets_do_not_move_the_trace():
    offsets = np.linspace(-300, 300, 12)[:, np.newaxis]
    shown = page_signals(recording(signals=SIGNALS + offsets)).signals
    np.testing.assert_allclose(shown, page_signals(recording()).signals, atol=1e-9)
    assert abs(np.median(shown, axis=1)).max() < 1e-12


def test_a_lead_recorded_in_part_stays_in_its_place():
    signals = SIGNALS.copy()
    signals[0, 1250:] = np.nan
    signals[3, :1250] = np.nan
    whole = page_signals(recording(signals=signals))
    np.testing.assert_array_equal(whole.recorded, ~np.isnan(signals))
    assert not whole.signals[~whole.recorded].any()
    assert whole.notes == ("recorded in part: I from 0 to 2.5 s, aVR from 2.5 to 10 s",)
    half = page_signals(recording(signals=signals[:, ::2], rate=RATE / 2))
    np.testing.assert_array_equal(half.recorded, whole.recorded)
    np.testing.assert_allclose(half.signals[1], whole.signals[1], atol=0.15)


def test_only_the_beginning_of_a_long_recording_is_resampled():
    long = page_signals(recording(signals=np.tile(SIGNALS, 7), rate=2 * RATE))
    assert long.signals.shape == (12, 5000)
    assert long.notes == ("resampled from 1000 Hz to 500 Hz", "cut to the first 10 of 35 s")
