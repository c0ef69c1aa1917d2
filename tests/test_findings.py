"""Findings beside the class: listed above their thresholds, in every output, by either runtime."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
from scipy.special import expit

from ecg_lib import cli
from ecg_lib.errors import InputError
from ecg_lib.models import load
from ecg_lib.runs.folder import MODEL, STATEMENTS_HEAD
from ecg_lib.serving import card, export
from ecg_lib.serving.findings import FINDINGS, KnownFinding
from ecg_lib.serving.predictor import Predictor

COLUMNS = list(KnownFinding.__dataclass_fields__)
ALWAYS = ["<b>pacing", 2, 0.912, 0.8, 0.97, 12, -1]
NEVER = ["bradycardia", 0, 0.9, 0.8, 0.95, 9, 1]


def write_findings(run, rows):
    with (run / FINDINGS).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    """A run whose network has a head for three statements, of which two may be findings."""
    run = shutil.copytree(finished_run.run_path, tmp_path_factory.mktemp("findings") / "run")
    model = load(run / MODEL)
    head = keras.layers.Dense(3, name="statements")(model.get_layer("logits").input)
    keras.Model(model.input, head).save(run / STATEMENTS_HEAD)
    write_findings(run, [ALWAYS, NEVER])
    return run


@pytest.fixture
def page(pages_folder):
    return pages_folder / "normal" / "normal_0001.jpg"


def test_what_is_above_its_threshold_is_listed_in_every_output(run, page, tmp_path, capsys):
    answer = Predictor(run, "keras").answer(page)
    (found,) = answer.findings
    logits = load(run / STATEMENTS_HEAD).predict(answer.crops[np.newaxis], verbose=0)
    assert found.probability == pytest.approx(expit(logits[0, 2]), abs=1e-5)
    assert (found.finding, found.auroc) == ("<b>pacing", 0.912)
    text = f"<b>pacing {found.probability:.2f} (AUROC 0.91)"

    command = ["predict", str(page), "--model", str(run), "--runtime", "keras"]
    paths = [tmp_path / name for name in ("table.csv", "report.html")]
    assert cli.main([*command, "--csv", str(paths[0]), "--report", str(paths[1])]) == 0
    assert f"; findings: {text}" in capsys.readouterr().out
    table, report = (path.read_text(encoding="utf-8") for path in paths)
    assert next(csv.DictReader(table.splitlines()))["findings"] == text
    row = f"<td>&lt;b&gt;pacing</td><td>{found.probability:.2f}</td><td>0.91</td>"
    assert row in report and "bradycardia" not in report
    assert cli.main([*command, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)["pages"]
    assert record["findings"] == [
        {"finding": "<b>pacing", "probability": found.probability, "auroc": 0.912}
    ]


def test_an_exported_network_finds_the_same(run, page, tmp_path):
    run = shutil.copytree(run, tmp_path / "run")
    expected = Predictor(run, "keras").answer(page)
    export.export(run, "onnx")
    notes = json.loads((run / export.NOTES).read_text(encoding="utf-8"))
    assert "statements: float32" in notes["output"]
    for name in (MODEL, STATEMENTS_HEAD):
        (run / name).unlink()
    answer = Predictor(run, "onnx").answer(page)
    assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
    assert answer.findings[0].probability == pytest.approx(
        expected.findings[0].probability, abs=1e-4
    )


def test_a_network_may_find_nothing_or_have_nothing_to_find(run, finished_run, page, tmp_path):
    without = Predictor(finished_run.run_path, "keras").answer(page)
    assert without.findings is None
    run = shutil.copytree(run, tmp_path / "run")
    write_findings(run, [NEVER])
    report = tmp_path / "report.html"
    command = ["predict", str(page), "--model", str(run), "--report", str(report)]
    assert cli.main([*command, "--runtime", "keras"]) == 0
    assert "No findings, of these: bradycardia." in report.read_text(encoding="utf-8")


def test_the_card_lists_them(run, finished_run):
    text = card.model_card(run)
    assert "| &lt;b&gt;pacing | 12 | 0.912 (0.800 to 0.970) | -1 |" in text
    assert "Findings beside the class" not in card.model_card(finished_run.run_path)


def test_files_that_do_not_fit_are_named(run, run_copy):
    shutil.copy(run / FINDINGS, run_copy)
    with pytest.raises(InputError, match="has no output for them"):
        Predictor(run_copy, "keras")
    other = load(run / STATEMENTS_HEAD)
    other.set_weights([weights + 1 for weights in other.get_weights()])
    other.save(run_copy / STATEMENTS_HEAD)
    with pytest.raises(InputError, match=r"statements\.keras is of another network"):
        Predictor(run_copy, "keras")
    write_findings(run_copy, [["pacing", 2, "high", 0.8, 0.97, 12, -1]])
    with pytest.raises(InputError, match=r"findings\.csv cannot be read: expected the columns"):
        Predictor(run_copy, "keras")
