"""The commands `signals inspect` and `signals draw`."""

import numpy as np
import pytest

from ecg_lib import cli
from ecg_lib.drawing.simulation import RATE, simulate

KNOWN = ["--rate", str(RATE), "--unit", "mV"]


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    signals = simulate("covid_19", np.random.default_rng(2))
    np.save(folder / "one.npy", signals)
    np.save(folder / "two.npy", signals[:5])
    return folder


def run(capsys, *arguments):
    status = cli.main(["signals", *map(str, arguments)])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_inspect_says_what_was_taken_for_what(recordings, capsys):
    status, out, _ = run(capsys, "inspect", recordings, *KNOWN)
    first, second, last = out.splitlines()
    assert status == 0
    assert first.startswith("one: 12 x 5,000 samples; 500 Hz (argument), 10 s; mV (argument); I II")
    assert second.startswith("left out: ") and "two.npy has 5 x 5,000 numbers" in second
    assert last == "1 recordings can be drawn, 1 left out"


def test_leads_may_be_named(recordings, capsys):
    leads = ["--leads", "V1", "V2", "V3", "V4", "V5"]
    _, out, _ = run(capsys, "inspect", recordings / "two.npy", *KNOWN, *leads)
    assert "V1 V2 V3 V4 V5 (argument); I, II, III, aVR, aVL, aVF, V6 left empty" in out


def test_draw_makes_a_class_folder(recordings, tmp_path, capsys):
    # One of the names that class folders may have.
    arguments = [recordings, tmp_path / "pages", "--class", "COVID", *KNOWN]
    status, out, _ = run(capsys, "draw", *arguments, "--layout", "standard_6x2")
    drawn, left_out, last = out.splitlines()
    assert status == 0
    assert drawn.startswith("drawn: one: 12 x 5,000 samples")
    assert "two.npy" in left_out
    assert last.endswith("covid_19, 0 were there, 1 left out") and last.startswith("1 recordings")
    assert [path.name for path in tmp_path.glob("pages/covid_19/*")] == ["one.jpg"]

    _, out, _ = run(capsys, "draw", *arguments, "--layout", "standard_6x2")
    assert "0 recordings drawn" in out and "1 were there" in out


def test_the_drawn_page_goes_through_the_pipeline(recordings, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(capsys, "draw", recordings, "pages", "--class", "covid_19", *KNOWN)
    assert cli.main(["look", "pages/covid_19/one.jpg"]) == 0
    assert capsys.readouterr().out.startswith("standard_3x4_with_rhythm, rhythm strip: II")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "missing"], "missing is not there"),
        (["inspect", "recordings/two.npy", *KNOWN], "two.npy has 5 x 5,000 numbers"),
        (["inspect", "recordings"], "no sampling rate"),
        (["inspect", "recordings", "--rate", "0"], "rate is 0"),
        (["inspect", "recordings", "--unit", "kV"], "unknown unit 'kV'"),
        (["inspect", "recordings", "--leads", "V9"], "unknown lead 'V9'"),
        (["draw", "recordings", "pages", "--class", "flu", *KNOWN], "unknown class 'flu'"),
        (["draw", "recordings", "pages", "--class", "covid_19", "--layout", "a4"], "'a4'"),
        (["draw", "recordings", "recordings/one.npy", "--class", "normal"], "cannot be written"),
    ],
)
def test_what_cannot_be_used_gets_one_line(recordings, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(recordings.parent)
    status, _, err = run(capsys, *arguments)
    (line,) = err.strip().splitlines()
    assert status == 2
    assert line.startswith("ecg_lib: ") and words in line


@pytest.mark.parametrize("arguments", [[], ["draw", "recordings"], ["inspect"]])
def test_missing_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["signals", *arguments])
    assert end.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
