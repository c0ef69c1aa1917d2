"""What is drawn is what was recorded."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt
from traces import recover_traces

from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.page_signals import page_signals
from ecg_lib.drawing.recordings import find_recordings, read_recordings
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import CROPS, LEADS

# As the published exports are filtered: what is faster is thinner than a column of a small page.
FILTER = butter(2, 25, fs=RATE, output="sos")


def filtered(signals):
    return sosfiltfilt(FILTER, signals, axis=1)


def correlations(signals, layout):
    """Correlation of what was recorded and what is recovered from the page, one a crop."""
    page, boxes = draw_page(signals, RATE, layout, np.random.default_rng(1))
    traces = recover_traces(np.asarray(page.convert("L")), boxes)
    return {
        crop: correlation(shown_in(crop, signals, PUBLISHED_LAYOUTS[layout]), trace)
        for crop, trace in zip(CROPS, traces, strict=True)
    }


def shown_in(crop, signals, layout):
    """The part of the recording that a crop shows."""
    if crop not in LEADS and layout.rhythm_strip:
        return signals[LEADS.index(layout.rhythm_strip)]
    lead = crop if crop in LEADS else "II"
    (column,) = (row.index(lead) for row in layout.rows if lead in row)
    return np.array_split(signals[LEADS.index(lead)], layout.columns)[column]


def correlation(signal, trace):
    """The best one at a shift of up to a pixel: a box begins on a whole pixel, a trace between."""
    seen = ~np.isnan(trace)
    shifts = np.arange(-1, 1.25, 0.25)
    return max(
        np.corrcoef(by_column(signal, len(trace), shift)[seen], trace[seen])[0, 1]
        for shift in shifts
    )


def by_column(signal, columns, shift):
    """In each column the sample that is furthest from the median, as the recovery has it."""
    column = np.floor(np.arange(len(signal)) * columns / len(signal) + shift).astype(int)
    furthest_last = np.argsort(abs(signal - np.median(signal)), kind="stable")
    values = np.zeros(columns)
    values[column.clip(0, columns - 1)[furthest_last]] = signal[furthest_last]
    return values


@pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)
def test_what_is_drawn_is_what_was_recorded(layout):
    signals = filtered(simulate("history_of_mi", np.random.default_rng(0)))
    found = correlations(signals, layout)
    assert min(found.values()) >= 0.98, found


def test_other_signals_do_not_pass_for_what_was_drawn():
    signals = filtered(simulate("normal", np.random.default_rng(0)))
    page, boxes = draw_page(signals, RATE, "standard_6x2", np.random.default_rng(1))
    traces = recover_traces(np.asarray(page.convert("L")), boxes)
    mirrored = [shown_in(crop, -signals, PUBLISHED_LAYOUTS["standard_6x2"]) for crop in CROPS]
    assert max(map(correlation, mirrored, traces)) < 0.5


def test_amplitudes_are_in_mv():
    signals = np.zeros((12, 10 * RATE))
    signals[:, 1000:1100] = np.hanning(100)
    signals[:, 1500:2000] = -0.6 * np.hanning(500)
    page, boxes = draw_page(signals, RATE, "standard_6x2_with_rhythm", np.random.default_rng(1))
    traces = recover_traces(np.asarray(page.convert("L")), boxes)
    lead_two = traces[CROPS.index("II")]
    assert np.nanmin(lead_two) == pytest.approx(-0.6, abs=0.03)
    assert np.nanmax(lead_two) == pytest.approx(1.0, abs=0.03)


def test_where_names_and_separators_stand_nothing_is_read():
    signals = np.zeros((12, 10 * RATE))
    page, boxes = draw_page(signals, RATE, "standard_3x4_with_rhythm", np.random.default_rng(1))
    for trace, box in zip(recover_traces(np.asarray(page.convert("L")), boxes), boxes, strict=True):
        assert len(trace) == box.width
        hidden = np.isnan(trace)
        assert hidden[0] and hidden[-1]
        assert not trace[~hidden].any()


@pytest.mark.real
def test_real_recordings_are_drawn_as_recorded(ptbxl_sample):
    for file in find_recordings(ptbxl_sample)[:140:20]:
        (recording,), _ = read_recordings(file)
        signals = filtered(page_signals(recording).signals)
        found = correlations(signals, "standard_3x4_with_rhythm")
        assert min(found.values()) >= 0.98, (file.stem, found)
