"""The benchmark runs, on a few small pages, and compares what it says it compares. What it measured
is no matter here."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from benchmarks.speed import cost, prepare
from benchmarks.speed.__main__ import main, readable
from benchmarks.speed.plot import figure, used_of_target
from benchmarks.speed.timing import COLUMNS, milliseconds, ratio, row, side_by_side, spread, table
from ecg_lib.data.catalogue import page_files
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import read_luma

ARGUMENTS = ("--repetitions", "1", "--sizes", "3", "6")


@pytest.fixture(scope="module")
def few(pages_folder, tmp_path_factory):
    """A folder with one page a class."""
    folder = tmp_path_factory.mktemp("few")
    for page in {page.parent: page for page in page_files(pages_folder)}.values():
        (folder / page.parent.name).mkdir()
        shutil.copy(page, folder / page.parent.name)
    return folder


@pytest.fixture(scope="module")
def files(few):
    return prepare.readable_files(few)


@pytest.fixture
def timings():
    """One function takes 1, 2, 3 seconds, the other 2, 8, 3."""
    return pd.DataFrame(
        {
            "name": ["slow", "quick"] * 3,
            "repetition": [0, 0, 1, 1, 2, 2],
            "seconds": [2.0, 1, 8, 2, 3, 3],
        }
    )


def test_functions_are_called_once_to_warm_up_and_then_in_turn():
    called = []
    functions = {name: lambda name=name: called.append(name) for name in ("one", "other")}
    timings = side_by_side(functions, 3)
    assert called == ["one", "other"] * 4
    assert timings["name"].tolist() == ["one", "other"] * 3
    assert timings["repetition"].tolist() == [0, 0, 1, 1, 2, 2]


def test_ratios_are_of_timings_of_one_repetition(timings):
    assert ratio(timings, "slow", "quick") == {"low": 1.5, "median": 2, "high": 3}
    assert ratio(timings, "quick", "slow")["median"] == 0.5


def test_milliseconds_are_of_one_function_and_of_its_parts(timings):
    assert milliseconds(timings, "quick")["median"] == 2000
    assert milliseconds(timings, "slow", 4)["median"] == 750


def test_a_target_is_met_at_most_or_at_least():
    rows = table(
        [
            row("small", "ms", spread([1, 2, 3]), at_most=2),
            row("too large", "ms", spread([1, 3, 4]), at_most=2),
            row("large", "times", spread([4, 6, 8]), at_least=5),
            row("too small", "times", spread([4]), at_least=5),
            row("any", "ms", spread([9])),
        ]
    )
    assert list(rows) == COLUMNS
    told = readable(rows)
    assert told["met"].tolist() == ["yes", "no", "yes", "no", ""]
    assert told["target"].tolist() == ["at most 2", "at most 2", "at least 5", "at least 5", ""]
    shares = [used_of_target(found) for found in rows.iloc[:4].itertuples()]
    assert [median <= 1 for _, median, _ in shares] == [True, False, True, False]
    assert all(low <= median <= high for low, median, high in shares)


def test_the_plot_shows_what_has_a_target_and_nothing_else():
    part = table(
        [row("timed", "ms", spread([1, 2]), at_most=3), row("told only", "ms", spread([1]))]
    )
    (axes,) = figure({"part": part}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["part: timed"]
    assert figure({"part": part.iloc[1:]}) is None


def test_the_plain_way_makes_the_crops_of_the_package(files):
    """Of pages without colours: of the others, the plain way decodes the colours first."""
    luma = read_luma(files[0])
    found = detect(luma)
    crops = prepare.plain(files[0], found.boxes).astype(int)
    assert np.abs(crops - prepare.ours(files[0])).mean() < 1
    np.testing.assert_array_equal(prepare.luma_alone(files[0]), luma)


def test_copies_differ_in_bytes_and_show_the_same(files, tmp_path):
    prepare._fill(tmp_path, files[:2], 5)
    copies = prepare.readable_files(tmp_path)
    assert len(copies) == 5
    lumas = {read_luma(copy).tobytes() for copy in copies}
    assert len(lumas) == 2


def test_preparing_is_compared_and_grown(few, tmp_path):
    found = prepare.measure(few, tmp_path, 1, (3, 6)).set_index("what")
    for cores in ("1 core", "2 cores"):
        ours, plain, luma = (
            found.loc[f"{name}, {cores}", "median"]
            for name in ("ecg_lib", "plain Pillow", "luma alone")
        )
        to_plain = found.loc[f"ecg_lib to plain Pillow, {cores}"]
        to_luma = found.loc[f"ecg_lib to luma alone, {cores}"]
        assert to_plain["median"] == pytest.approx(ours / plain)
        assert to_luma["median"] == pytest.approx(luma / ours)
        assert (to_plain["at_least"], to_luma["at_most"]) == (5, 2.5)
    more = (
        found.loc["6 pages prepared: memory", "median"]
        - found.loc["3 pages prepared: memory", "median"]
    )
    measured = found.loc["memory per additional page, 6 to 3 pages", "median"]
    assert measured == pytest.approx(1024 * more / 3)


@pytest.mark.slow
def test_one_command_measures_and_writes_parts(few, tmp_path, monkeypatch, capsys):
    # PyTorch is not listed among what the project needs.
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "benchmarks.speed.train", raising=False)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cost, "LARGEST", "cnn_2d")
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    parts = ("train", "answer", "start", "pipeline", "cost")
    main(["--data", str(few), "--results", str(tmp_path), "--parts", *parts, *ARGUMENTS])
    said = capsys.readouterr().out
    assert "train is left out: " in said
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "answer.csv",
        "cost.csv",
        "pipeline.csv",
        "speed.md",
        "speed.png",
        "start.csv",
    ]
    answers = pd.read_csv(tmp_path / "answer.csv").set_index("what")
    assert answers.loc["Keras: one more page", "at_most"] == 60
    starts = pd.read_csv(tmp_path / "start.csv").set_index("what")
    cold = "ONNX: one page, program started for it"
    assert starts.loc[cold, "at_most"] == 1000
    assert starts.loc["ONNX: processor time, to these imports", "median"] > 1
    pipeline = pd.read_csv(tmp_path / "pipeline.csv").set_index("what")
    assert pipeline.loc["input alone, cnn_2d", "at_most"] == 0.03
    assert pipeline.loc["start: python", "median"] > 0
    costs = pd.read_csv(tmp_path / "cost.csv").set_index("what")
    assert costs.loc["step: 3 x Lead attention / CNN 2D", "at_most"] == 0.05
    assert costs.loc["ONNX: one more page, one core", "at_most"] == 25
    assert costs.loc["weights", "median"] < costs.loc["weights", "at_most"] == 4
    told = Path(tmp_path, "speed.md").read_text(encoding="utf-8")
    assert "## Answer" in told and "## Pipeline" in told and "tensorflow" in told
