import numpy as np
import pytest
from PIL import Image

from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.recording_pages import (
    complete_leads,
    describe,
    draw_recording,
    draw_recordings,
    fit_span,
    page_signals,
    resample,
)
from ecg_lib.drawing.recordings import Hints, Recording, find_recordings, read_recordings
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS, RATE, simulate
from ecg_lib.errors import InputError
from ecg_lib.pages.detection import detect
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import CROPS, LEADS

LAYOUT = "standard_3x4_with_rhythm"
SIGNALS = simulate("normal", np.random.default_rng(7))
BY_LEAD = dict(zip(LEADS, SIGNALS, strict=True))
GIVEN = Hints(RATE, "mV")

every_layout = pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)


def recording(*leads, signals=None, rate=RATE):
    """A recording of some leads of `SIGNALS`, or of all."""
    leads = leads or LEADS
    signals = np.stack([BY_LEAD[lead] for lead in leads]) if signals is None else signals
    sources = dict.fromkeys(("rate", "unit", "leads"), "file")
    return Recording("one", signals, leads, rate, "mV", sources, ())


def read_one(path, given=GIVEN):
    (found,), faults = read_recordings(path, given)
    assert not faults
    return found


# --- Twelve leads, one rate, ten seconds ---


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
    assert notes == ["III, aVR, aVL, aVF computed from I and II"]


def test_a_recorded_lead_is_never_replaced():
    other = SIGNALS + np.arange(12)[:, np.newaxis]
    signals, notes = complete_leads(other, LEADS)
    np.testing.assert_array_equal(signals, other)
    assert notes == []


def test_a_single_lead_is_placed_and_the_rest_is_level():
    signals, (note,) = complete_leads(BY_LEAD["V3"][np.newaxis], ["V3"])
    placed = LEADS.index("V3")
    np.testing.assert_array_equal(signals[placed], BY_LEAD["V3"])
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
    signals, said = fit_span(np.arange(samples)[np.newaxis])
    np.testing.assert_array_equal(signals[0], np.resize(np.arange(samples), 5000))
    assert said == note


def test_electrode_offsets_do_not_move_the_trace():
    offsets = np.linspace(-300, 300, 12)[:, np.newaxis]
    shown = page_signals(recording(signals=SIGNALS + offsets)).signals
    np.testing.assert_allclose(shown, page_signals(recording()).signals, atol=1e-9)
    assert abs(np.median(shown, axis=1)).max() < 1e-12


def test_a_line_says_what_was_taken_for_what(tmp_path):
    np.save(tmp_path / "a.npy", 1000 * SIGNALS[:2, :1000])
    text = describe(read_one(tmp_path / "a.npy", Hints(250, "uV", ("I", "II"))))
    assert text == (
        "a: 2 x 1,000 samples; 250 Hz (argument), 4 s; uV (argument); I II (argument); "
        "III, aVR, aVL, aVF computed from I and II; V1, V2, V3, V4, V5, V6 left empty; "
        "resampled from 250 Hz to 500 Hz; 4 s repeated to fill 10 s"
    )


# --- On the page ---


@every_layout
def test_a_known_square_wave_has_its_size_on_the_page(tmp_path, layout):
    wave = np.zeros((12, 10 * RATE))
    wave[:, RATE : 2 * RATE] = 1000  # uV, for one second
    wave[:, -1] = -1  # no lead is flat
    np.save(tmp_path / "square.npy", wave)
    page, boxes = draw_recording(read_one(tmp_path / "square.npy", Hints(RATE, "uV")), layout)
    px_per_mm = page.info["dpi"][0] / 25.4 * (0.635 if layout.startswith("portrait") else 1)
    box = boxes[CROPS.index("II")]
    ink = np.asarray(page.convert("L"))[box.top : box.bottom, box.left + 3 : box.right - 3] < 80
    ink = ink[:, round(15 * px_per_mm) :]  # right of the lead's name
    rows = np.flatnonzero(ink.any(axis=1))
    sides = np.flatnonzero(ink.sum(axis=0) > 4 * px_per_mm)
    pen = 3 if layout.startswith("standard") else 1
    assert rows[-1] - rows[0] + 1 - pen == pytest.approx(10 * px_per_mm, abs=2)
    assert sides[-1] - sides[0] + 1 - pen == pytest.approx(25 * px_per_mm, abs=2)


@every_layout
@pytest.mark.parametrize("leads", [LEADS, INDEPENDENT_LEADS, ("II",)])
def test_a_drawn_page_is_read(layout, leads):
    page, boxes = draw_recording(recording(*leads), layout)
    found = detect(np.asarray(page.convert("L")))
    assert found.layout == layout
    for box, truth in zip(found.boxes, boxes, strict=True):
        assert box.intersection_over_union(truth) > 0.9


def test_a_recording_is_drawn_alike_each_time():
    first, second = (draw_recording(recording(), LAYOUT)[0] for _ in range(2))
    assert first.tobytes() == second.tobytes()


# --- A class folder of pages ---


@pytest.fixture
def recordings(tmp_path):
    """A folder with good recordings, one of them deep down, and bad ones."""
    folder = tmp_path / "recordings"
    (folder / "ward").mkdir(parents=True)
    np.save(folder / "good.npy", SIGNALS)
    np.savez(folder / "ward" / "two.npz", a=SIGNALS[:, :2000], b=np.full_like(SIGNALS, np.nan))
    (folder / "broken.mat").write_bytes(b"MATLAB")
    return folder


def test_recordings_become_a_class_folder(recordings, tmp_path):
    pages = tmp_path / "pages"
    files = find_recordings(recordings)
    outcomes = draw_recordings(files, pages / "covid_19", LAYOUT, GIVEN)
    assert sorted(status for status, _ in outcomes) == ["drawn", "drawn", "left out", "left out"]
    left_out = " ".join(text for status, text in outcomes if status == "left out")
    assert "broken.mat" in left_out and "two.npz, recording b," in left_out

    prepared = prepare(pages, tmp_path / "prepared", height=16, width=16, jobs=1)
    assert prepared.bad.empty
    assert list(prepared.pages["file"]) == ["covid_19/good.jpg", "covid_19/ward_two_a.jpg"]
    assert set(prepared.pages["class"]) == {"covid_19"}
    assert set(prepared.pages["layout"]) == {LAYOUT}


def test_pages_that_are_there_are_kept(recordings, tmp_path):
    folder = tmp_path / "covid_19"
    folder.mkdir()
    (folder / "good.jpg").write_text("a page of somebody's")
    outcomes = draw_recordings([recordings / "good.npy"], folder, LAYOUT, GIVEN)
    assert [status for status, _ in outcomes] == ["kept"]
    assert (folder / "good.jpg").read_text() == "a page of somebody's"


def test_two_files_never_become_one_page(recordings, tmp_path):
    np.savetxt(recordings / "good.csv", SIGNALS.T, delimiter=",")
    files = [recordings / "good.csv", recordings / "good.npy"]
    outcomes = draw_recordings(files, tmp_path / "pages", LAYOUT, GIVEN)
    assert sorted(status for status, _ in outcomes) == ["drawn", "left out"]
    assert any("good.npy would become the same page as good.csv" in text for _, text in outcomes)


def test_a_page_file_knows_its_resolution(recordings, tmp_path):
    draw_recordings([recordings / "good.npy"], tmp_path / "pages", LAYOUT, GIVEN)
    (path,) = (tmp_path / "pages").iterdir()
    with Image.open(path) as page:
        assert page.size == (2213, 1572)
        assert round(page.info["dpi"][0]) == 200


def test_unusable_arguments(recordings, tmp_path):
    files = [recordings / "good.npy"]
    with pytest.raises(InputError, match="unknown layout '3x4'"):
        draw_recordings(files, tmp_path / "pages", "3x4", GIVEN)
    with pytest.raises(InputError, match="unknown unit 'kV'"):
        draw_recordings(files, tmp_path / "pages", LAYOUT, Hints(unit="kV"))
    with pytest.raises(InputError, match="cannot be written to"):
        draw_recordings(files, recordings / "good.npy" / "pages", LAYOUT, GIVEN)


# --- Real recordings ---


@pytest.mark.real
def test_all_recordings_of_the_sample_are_read(ptbxl_sample):
    files = [file for file in find_recordings(ptbxl_sample) if file.suffix == ".hea"]
    assert len(files) == 146
    for file in files:
        found = read_one(file, None)
        assert (found.leads, found.rate, found.unit) == (LEADS, 500, "mV")
        assert set(found.sources.values()) == {"file"}
        assert page_signals(found).notes == ()


@pytest.mark.real
@every_layout
def test_pages_of_real_recordings_are_read(ptbxl_sample, layout):
    for file in find_recordings(ptbxl_sample)[:100:50]:
        page, _ = draw_recording(read_one(file, None), layout)
        assert detect(np.asarray(page.convert("L"))).layout == layout
