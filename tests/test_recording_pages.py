"""Recordings as pages, and as a class folder of pages."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import SIGNALS, recording
from PIL import Image
from traces import pixels_per_mm, square_wave

from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.page_signals import page_signals
from ecg_lib.drawing.recording_pages import describe, draw_recording, draw_recordings
from ecg_lib.drawing.recordings import Hints, find_recordings, read_recordings
from ecg_lib.drawing.simulation import INDEPENDENT_LEADS, RATE
from ecg_lib.errors import InputError
from ecg_lib.pages.detection import detect
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import CROPS, LEADS

LAYOUT = "standard_3x4_with_rhythm"
GIVEN = Hints(RATE, "mV")

every_layout = pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)


def read_one(path, given=GIVEN):
    (found,), faults = read_recordings(path, given)
    assert not faults
    return found


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
    square = read_one(tmp_path / "square.npy", Hints(RATE, "uV", LEADS))
    page, boxes = draw_recording(square, layout)
    scale = pixels_per_mm(page, layout)
    height, width = square_wave(page, boxes[CROPS.index("II")], layout)
    assert (height, width) == pytest.approx((10 * scale, 25 * scale), abs=2)


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
    statuses = sorted(outcome.status for outcome in outcomes)
    assert statuses == ["drawn", "drawn", "left out", "left out"]
    left_out = " ".join(texts(outcomes, "left out"))
    assert "broken.mat" in left_out and "two.npz, recording b," in left_out

    prepared = prepare(pages, tmp_path / "prepared", height=16, width=16, jobs=1)
    assert prepared.bad.empty
    assert list(prepared.pages["file"]) == ["covid_19/good.jpg", "covid_19/ward_two_a.jpg"]
    assert set(prepared.pages["class"]) == {"covid_19"}
    assert set(prepared.pages["layout"]) == {LAYOUT}


def texts(outcomes, status):
    return [outcome.text for outcome in outcomes if outcome.status == status]


def pages_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_that_is_no_drawn_page_is_left_alone(recordings, tmp_path):
    folder = tmp_path / "covid_19"
    folder.mkdir()
    (folder / "good.jpg").write_text("a page of somebody's", encoding="utf-8")
    outcomes = draw_recordings([recordings / "good.npy"], folder, LAYOUT, GIVEN)
    (text,) = texts(outcomes, "left out")
    assert "good.jpg was not drawn from a recording, and is not replaced" in text
    assert (folder / "good.jpg").read_text(encoding="utf-8") == "a page of somebody's"


def test_the_same_page_is_kept(recordings, tmp_path):
    files, folder = [recordings / "good.npy"], tmp_path / "pages"
    draw_recordings(files, folder, LAYOUT, GIVEN)
    before = pages_in(folder)
    outcomes = draw_recordings(files, folder, LAYOUT, GIVEN)
    assert len(texts(outcomes, "kept")) == 1
    assert pages_in(folder) == before


@pytest.mark.parametrize(
    ("layout", "hints"), [("standard_6x2", GIVEN), (LAYOUT, Hints(RATE / 2, "mV"))]
)
def test_other_options_draw_a_page_again(recordings, tmp_path, layout, hints):
    files, folder = [recordings / "good.npy"], tmp_path / "pages"
    draw_recordings(files, folder, LAYOUT, GIVEN)
    before = pages_in(folder)
    outcomes = draw_recordings(files, folder, layout, hints)
    assert len(texts(outcomes, "drawn")) == 1
    assert list(pages_in(folder)) == ["good.jpg"]
    assert pages_in(folder) != before


def test_other_samples_draw_a_page_again(recordings, tmp_path):
    files, folder = [recordings / "good.npy"], tmp_path / "pages"
    draw_recordings(files, folder, LAYOUT, GIVEN)
    np.save(recordings / "good.npy", 2 * SIGNALS)
    assert len(texts(draw_recordings(files, folder, LAYOUT, GIVEN), "drawn")) == 1


def test_names_that_become_the_same_are_told_apart(recordings, tmp_path):
    np.savetxt(recordings / "good.csv", SIGNALS.T[:4000], delimiter=",")
    np.savez(recordings / "x.npz", a=SIGNALS, A=2 * SIGNALS, fs=RATE)
    np.save(recordings / "x_a.npy", SIGNALS / 2)
    files = [recordings / name for name in ("good.csv", "good.npy", "x.npz", "x_a.npy")]
    first = draw_recordings(files, tmp_path / "pages", LAYOUT, GIVEN)
    pages = pages_in(tmp_path / "pages")
    assert len(texts(first, "drawn")) == 5
    assert sorted(pages) == ["good-2.jpg", "good.jpg", "x_A-2.jpg", "x_a-3.jpg", "x_a.jpg"]
    assert len(set(pages.values())) == 5
    again = draw_recordings(files, tmp_path / "pages", LAYOUT, GIVEN)
    assert len(texts(again, "kept")) == 5
    assert pages_in(tmp_path / "pages") == pages


def test_names_that_no_file_system_takes_are_shortened(recordings, tmp_path):
    np.savez(recordings / "x.npz", **{"a" * 300: SIGNALS, "a" * 299 + "b": 2 * SIGNALS})
    outcomes = draw_recordings([recordings / "x.npz"], tmp_path / "pages", LAYOUT, GIVEN)
    assert len(texts(outcomes, "drawn")) == 2
    assert all(name.startswith("x_aaa") for name in pages_in(tmp_path / "pages"))


def test_names_that_are_no_characters(recordings, tmp_path):
    name = os.fsdecode(b"caf\xe9.npy")
    np.save(recordings / name, SIGNALS)
    outcomes = draw_recordings([recordings / name], tmp_path / "pages", LAYOUT, GIVEN)
    assert len(texts(outcomes, "drawn")) == 1
    assert list(pages_in(tmp_path / "pages")) == [name.replace(".npy", ".jpg")]


def test_two_that_draw_into_one_folder_at_once(recordings, tmp_path):
    np.save(recordings / "ward" / "good.npy", 2 * SIGNALS)
    files = [[folder / "good.npy"] for folder in (recordings, recordings / "ward")]
    with ThreadPoolExecutor() as pool:
        draw = partial(draw_recordings, folder=tmp_path / "pages", layout=LAYOUT, hints=GIVEN)
        first, second = pool.map(draw, files)
    assert [len(texts(outcomes, "drawn")) for outcomes in (first, second)] == [1, 1]
    assert sorted(pages_in(tmp_path / "pages")) == ["good-2.jpg", "good.jpg"]


def test_a_full_disk_is_one_sentence(recordings, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match=r"good\.jpg cannot be written: No space left"):
        draw_recordings([recordings / "good.npy"], tmp_path / "pages", LAYOUT, GIVEN)
    assert list((tmp_path / "pages").iterdir()) == []


def test_recordings_of_another_folder_do_not_replace_pages(recordings, tmp_path):
    np.save(recordings / "ward" / "good.npy", 2 * SIGNALS)
    for folder in (recordings, recordings / "ward"):
        draw_recordings([folder / "good.npy"], tmp_path / "pages", LAYOUT, GIVEN)
    assert sorted(pages_in(tmp_path / "pages")) == ["good-2.jpg", "good.jpg"]


def digitised():
    """A recording as it is read from a page: each lead where that shows it, II throughout."""
    signals = SIGNALS.copy()
    for row, lead in enumerate(LEADS):
        hidden = np.ones(10 * RATE, bool)
        hidden[row // 3 * 2500 // 2 : (row // 3 + 1) * 2500 // 2] = False
        signals[row, hidden & (lead != "II")] = np.nan
    return signals


def test_a_digitised_page_is_drawn_where_it_shows_its_leads(tmp_path):
    np.save(tmp_path / "a.npy", digitised())
    found = read_one(tmp_path / "a.npy", Hints(RATE, "mV", LEADS))
    shown = page_signals(found)
    assert shown.recorded.mean() == pytest.approx((11 / 4 + 1) / 12)
    assert (
        "recorded in part: I from 0 to 2.5 s, III from 0 to 2.5 s, aVR from 2.5" in shown.notes[0]
    )
    page, _ = draw_recording(found, LAYOUT)
    assert detect(np.asarray(page.convert("L"))).layout == LAYOUT
    with pytest.raises(InputError, match="does not have lead I from 0 to 5 s, where the layout"):
        draw_recording(found, "standard_6x2")


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
    with pytest.raises(InputError, match="cannot be written"):
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
