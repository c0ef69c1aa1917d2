"""Full disks: an error at the places of writing of every command that writes files.

Each command runs as from a terminal, in this process, on a disk that fails at one place after the
other. It has to end in one sentence that names a file; what was there is as it was, or whole and
new; and the same command on a disk with space writes what it would have written.
"""

import json
import re
import shutil
from functools import cache
from itertools import count

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from conftest import change_record
from full_disk import FullDisk
from matplotlib.figure import Figure
from PIL import Image

from ecg_lib import cli
from ecg_lib.data import building
from ecg_lib.drawing import demo_set
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.evaluation import audit, plots
from ecg_lib.pages import reading
from ecg_lib.pages.leads import LEADS
from ecg_lib.pages.reading import find_leads
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import HISTORY, MODEL
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.record import RECORD
from ecg_lib.serving import export
from ecg_lib.serving.markup import Html
from ecg_lib.serving.predictor import Predictor
from ecg_lib.training import headless
from ecg_lib.training.train import train

pytestmark = pytest.mark.slow

FULL = "No space left on device"

NEVER_THE_SAME = {"wall_seconds", "model_sha256", "resumed", "resumed_after"}
"""Fields in which the records of two trainings of one run may differ."""

TINY = ("--height", "16", "--width", "16", "--epochs", "2", "--batch-size", "4")


def contents(folder):
    """What files hold, by their names, as far as it is the same each time that they are written."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): _content(path)
        for path in paths
        if path.name != MODEL and path.suffix != ".lock"
    }


def _content(path):
    if path.name == HISTORY:
        return pd.read_csv(path).drop(columns="seconds").to_csv()
    if path.name == RECORD:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: value for name, value in record.items() if name not in NEVER_THE_SAME}
    content = path.read_bytes()
    if path.stem == "accuracy":  # Minutes, and whether the training was resumed.
        return re.sub(rb"[\d.]+ *[|,] *(yes|no|True|False)", b"", content)
    return content


@pytest.fixture
def here(tmp_path):
    """A folder for all that a test writes."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def sweep(here, tmp_path, capfd):
    """A function that runs a command with an error at every n-th place; returns the last."""
    kept = tmp_path / "kept"

    def begin():
        shutil.rmtree(here)
        shutil.copytree(kept, here)

    def main(arguments, disk):
        capfd.readouterr()
        # In this process: others have another disk.
        with disk.inserted(), joblib.parallel_config(backend="sequential"):
            status = cli.main(list(map(str, arguments)))
        return status, "".join(capfd.readouterr())

    def run(*arguments, every=1):
        shutil.copytree(here, kept)
        before = contents(here)
        assert main(arguments, FullDisk(here, None))[0] == 0
        whole = contents(here)
        for place in count(step=every):
            begin()
            disk = FullDisk(here, place)
            status, printed = main(arguments, disk)
            if not disk.was_reached:
                return place
            where, after = disk.places[place], contents(here)
            assert "Traceback" not in printed and "Exception ignored" not in printed, where
            sentences = [line for line in printed.splitlines() if FULL in line]
            if status == 0 and after == whole:  # Such as a folder that was there already.
                continue
            (sentence,) = sentences
            assert str(here) in sentence or "temporary files" in sentence, where
            if status == 0:  # All is done, but something stays that is not needed any more.
                assert after.items() >= whole.items(), where
            else:
                assert status == 2, where
                assert all(after[name] in (before[name], whole[name]) for name in before), where
            assert main(arguments, FullDisk(here, None))[0] == 0, where
            assert contents(here) == whole, where

    return run


@pytest.fixture
def runs(here, folder):
    """A folder of two finished runs that differ by their seed."""
    copy = shutil.copytree(folder, here / "runs" / "drawn" / "plain")
    (first,) = (path.parent for path in copy.glob(f"*/{RECORD}"))
    second = shutil.copytree(first, first.with_name(first.name.replace("-s1", "-s2")))
    change_record(second, {"seed": 2})
    return [first, second]


def test_draw(sweep, here, monkeypatch):
    def draw(class_name, seed, number):
        page = Image.new("RGB", (300, 200), (0, 0, number))
        page.info["dpi"] = (100, 100)
        return page, {"class": class_name}, 70

    monkeypatch.setattr(demo_set, "draw_example", draw)
    assert sweep("draw", here / "set", "--pages-per-class", 1) > 50


def test_signals_draw(sweep, here):
    signals = simulate("normal", np.random.default_rng(0))
    pd.DataFrame(signals.T, columns=LEADS).to_csv(here / "a.csv", index=False)
    arguments = ("--class", "normal", "--rate", RATE, "--unit", "mV")
    assert sweep("signals", "draw", here / "a.csv", here / "pages", *arguments) > 5


def test_prepare(sweep, here, monkeypatch, pages_folder):
    prepared = {}
    prepare_page = building._prepare_page

    def prepare_once(folder, source, *rest):
        if source not in prepared:
            prepared[source] = prepare_page(folder, source, *rest)
        crops, entry = prepared[source]
        return crops, dict(entry)

    monkeypatch.setattr(building, "_prepare_page", prepare_once)
    options = ("--data", pages_folder, "--prepared", here / "prepared")
    assert sweep("prepare", *options, every=13) > 90


@pytest.fixture
def no_kernel(monkeypatch):
    """Let notebooks train in this process, and training cost nothing."""

    def run_notebook(source, output, parameters):
        config = RunConfig.from_parameters(parameters)
        train(config, open_inputs(config))

    def fit(self, pages, *, initial_epoch, epochs, callbacks, **options):
        for callback in callbacks:
            callback.set_model(self)
        for epoch in range(initial_epoch, epochs):
            for callback in callbacks:
                callback.on_epoch_begin(epoch)
            for weight in self.trainable_variables:
                weight.assign_add(0.01 * keras.ops.ones_like(weight))
            logs = {"loss": 1.0, "val_loss": 1 / (epoch + 1), "accuracy": 0.5, "val_accuracy": 0.5}
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs)

    monkeypatch.setattr(headless, "run_notebook", run_notebook)
    monkeypatch.setattr(keras.Model, "fit", fit)


def test_run(sweep, here, configure, prepared_set, no_kernel):
    options = ("--data", configure().data, "--prepared", configure().prepared)
    arguments = ("--models", "testing", *TINY, *options, "--results", here / "runs")
    assert sweep("run", *arguments, every=11) > 60


def test_audit(sweep, here, configure, prepared_set, monkeypatch):
    findings = [audit.Finding("Copies", pd.DataFrame({"class": ["all"]}), "None.")]
    monkeypatch.setattr(audit, "audit", lambda config: findings)
    cheap = {name: audit.BASELINES[name] for name in ("majority", "layout_only")}
    monkeypatch.setattr(audit, "BASELINES", cheap)
    options = ("--data", configure().data, "--prepared", configure().prepared)
    arguments = ("--height", 16, "--width", 16, *options, "--results", here / "runs")
    assert sweep("audit", *arguments, every=6) > 20


def test_table(sweep, here, runs):
    document = here / "README.md"
    document.write_text(
        "# Runs\n\n<!-- table: runs/drawn/plain -->\n<!-- end of table -->\n", encoding="utf-8"
    )
    assert sweep("table", "--results", here / "runs", "--documents", document) > 10


def test_card(sweep, runs):
    (runs[0] / "MODEL_CARD.md").write_text("an older one", encoding="utf-8")
    assert sweep("card", runs[0]) > 3


def test_ensemble(sweep, here, runs):
    assert sweep("ensemble", *runs, "--to", here / "runs" / "both", every=3) > 15


def test_export(sweep, here, runs, monkeypatch):
    """What is slow in it is done once, or not at all."""
    predictor, converted = Predictor(runs[0], "keras"), here.with_name("model.onnx")
    network = export.served_network(runs[0], predictor.record)
    export._convert(network, converted, "onnx")
    content = converted.read_bytes()
    monkeypatch.setattr("tempfile.tempdir", str(here))
    monkeypatch.setattr(export, "Predictor", lambda *options: predictor)
    monkeypatch.setattr(export, "served_network", lambda *options: network)
    monkeypatch.setattr(export, "_convert", lambda model, path, _: path.write_bytes(content))
    monkeypatch.setattr(export, "drawn_crops", lambda config: None)
    monkeypatch.setattr(export, "largest_difference", lambda *compared: 0.0)
    assert sweep("export", runs[0], "--format", "onnx") > 10


def test_look(sweep, here, pages_folder, monkeypatch):
    page = pages_folder / "normal" / "normal_0001.jpg"
    picture = here / "leads.png"
    picture.write_text("an older one", encoding="utf-8")
    found = find_leads(page)
    monkeypatch.setattr(reading, "find_leads", lambda page: found)
    monkeypatch.setattr(plots, "page_figure", lambda *shown: Figure((1, 1)))
    assert sweep("look", page, "--picture", picture) > 5


@pytest.fixture
def answers_at_once(runs, monkeypatch):
    """Let `predict` answer without a network, and reports hold little."""
    predictor = Predictor(runs[0], "keras")
    monkeypatch.setattr(predictor, "answer_file", cache(predictor.answer_file))
    monkeypatch.setattr("ecg_lib.serving.predictor.Predictor", lambda *options: predictor)
    monkeypatch.setattr("ecg_lib.serving.report.limits", lambda run: Html("<p>Limits.</p>"))
    monkeypatch.setattr("ecg_lib.serving.report.section", lambda answer, _: Html("<p>A page.</p>"))


def test_predict(sweep, here, runs, pages_folder, answers_at_once):
    pages = [pages_folder / "normal" / f"normal_000{number}.jpg" for number in (1, 2)]
    outputs = ("--csv", here / "answers.csv", "--report", here / "answers.html")
    assert sweep("predict", *pages, "--model", runs[0], *outputs) > 9


@pytest.mark.parametrize("option", ["--csv", "--report"])
def test_an_output_on_a_full_disk_keeps_its_beginning_and_leaves_the_others_alone(
    here, runs, pages_folder, answers_at_once, capsys, option
):
    page, output = pages_folder / "normal" / "normal_0001.jpg", here / "output"
    broken = here / "broken.jpg"
    broken.write_bytes(b"no page")
    command = ["predict", page, broken, "--json", "--model", runs[0], option, output]
    assert cli.main(list(map(str, command))) == 0
    whole = output.read_bytes()
    # Opened, emptied, the beginning, the first answer: the second is not written.
    disk = FullDisk(here, 4, stays=True)
    with disk.inserted():
        assert cli.main(list(map(str, command))) == 2
    printed = capsys.readouterr()
    assert f"{output} cannot be written: {FULL}" in printed.err
    pages = json.loads(printed.out.splitlines()[-1])["pages"]
    assert [page["answered"] for page in pages] == [True, False]
    assert whole.startswith(output.read_bytes()) and len(output.read_bytes()) > 100
