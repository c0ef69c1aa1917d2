"""Findings on recordings: thresholds from one part of the patients, figures of another."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import write_recording
from sklearn.metrics import roc_auc_score

from benchmarks import findings
from ecg_lib.errors import InputError
from ecg_lib.models import load
from ecg_lib.runs.folder import DEFAULT_RUN, MODEL, STATEMENTS_HEAD
from ecg_lib.runs.names import network_name
from ecg_lib.runs.predictions import PREDICTIONS
from ecg_lib.runs.record import read_record
from ecg_lib.runs.teachers import COLUMNS, STATEMENTS, part_of
from ecg_lib.serving.findings import FINDINGS, read_findings

ROOT = Path(__file__).parents[1]

FIBRILLATION, ECTOPIC, PACING = "atrial fibrillation or flutter", "ectopic beats", "pacing"


def made_up():
    """Predictions where all but the ectopic beats are told apart without an error."""
    rng = np.random.default_rng(0)
    recordings = pd.DataFrame({"part": ["choice"] * 60 + ["test"] * 100, "patient": range(160)})
    said = [["MI", FIBRILLATION] if number % 5 == 0 else [] for number in range(160)]
    for number in range(0, 160, 7):
        said[number] = [*said[number], ECTOPIC]
    for number in (30, 80, 90):
        said[number] = [*said[number], PACING]
    for name in STATEMENTS:
        has = np.array([name in names for names in said])
        chances = rng.uniform(0, 0.5, 160) + 0.5 * has * (name != ECTOPIC)
        recordings[f"p_{name}"] = chances
    return recordings.assign(statements=["; ".join(names) for names in said])


def test_what_is_told_apart_often_enough_is_listed():
    predictions = made_up()
    table = findings.statement_figures(predictions).set_index("statement")
    assert dict(table["recordings"]) == {"MI": 20, FIBRILLATION: 20, ECTOPIC: 14, PACING: 2}
    assert table["auroc"].drop(ECTOPIC).min() == 1 and table.loc[ECTOPIC, "auroc"] < 0.85
    listed = findings.findings_to_list(table.reset_index())
    # Infarction is a superclass, and of pacing there are too few.
    assert list(listed["finding"]) == [FIBRILLATION]
    assert list(listed["output"]) == [STATEMENTS.index(FIBRILLATION)]
    row = table.loc[FIBRILLATION]
    assert row["threshold"] == pytest.approx(0.475, abs=0.03)
    assert row["sensitivity"] == 1 and row["specificity"] == pytest.approx(0.95, abs=0.05)


def test_the_threshold_is_of_the_recordings_to_choose_on_that_lack_the_statement():
    predictions = made_up()
    before = findings.statement_figures(predictions)["threshold"]
    is_test = predictions["part"] == "test"
    has = predictions["statements"].str.contains(FIBRILLATION)
    chances = f"p_{FIBRILLATION}"
    predictions.loc[is_test | has, chances] /= 2
    pd.testing.assert_series_equal(findings.statement_figures(predictions)["threshold"], before)
    predictions.loc[~is_test & ~has, chances] /= 2
    after = findings.statement_figures(predictions)["threshold"]
    assert (after != before).sum() == 1


def test_infarction_is_told_from_normal_where_one_of_the_two_is_said():
    predictions = made_up()
    said = np.resize(["MI", "NORM", "STTC", "MI; NORM"], len(predictions))
    predictions["statements"] = said
    is_test = predictions["part"] == "test"
    one = predictions[is_test & np.isin(said, ["MI", "NORM"])]
    scores = one["p_MI"] - one["p_NORM"]
    found = findings.infarction_against_normal(predictions)
    assert found["value"] == pytest.approx(roc_auc_score(one["statements"] == "MI", scores))
    assert found["low"] < found["value"] < found["high"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two recordings each of a patient to train on, to choose on and to test on."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for part in ("train", "choice", "test"):
        patient = next(number for number in range(100) if part_of(number) == part)
        for superclass, said in (("NORM", "NORM SR"), ("CD", "AFIB")):
            name = f"{part}{len(rows)}"
            write_recording(folder, name, seed=len(rows))
            rows.append((name, patient, superclass, said))
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "labels.csv", index=False)
    return folder


def test_recordings_go_through_drawing_reading_and_the_network(
    finished_run, recordings, tmp_path, monkeypatch
):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    with pytest.raises(InputError, match="has no output for statements"):
        findings.write_findings_test(run, recordings, tmp_path / "findings")
    model = load(run / MODEL)
    features = model.get_layer("logits").input
    head = keras.layers.Dense(len(STATEMENTS), name="statements")(features)
    keras.Model(model.input, head).save(run / STATEMENTS_HEAD)
    monkeypatch.setattr(findings, "MIN_RECORDINGS", 1)
    monkeypatch.setattr(findings, "MIN_AUROC", 0)
    results = tmp_path / "findings"
    findings.write_findings_test(run, recordings, results)
    predictions = pd.read_csv(results / "predictions.csv", keep_default_na=False)
    assert list(predictions["record"]) == ["choice2", "choice3", "test4", "test5"]
    assert list(predictions["statements"]) == ["NORM", f"CD; {FIBRILLATION}"] * 2
    assert predictions.filter(like="p_").shape == (4, len(STATEMENTS))
    (known,) = read_findings(run)
    assert (known.finding, known.recordings) == (FIBRILLATION, 1)
    assert known.output == STATEMENTS.index(FIBRILLATION)
    text = (results / "table.md").read_text(encoding="utf-8")
    assert f"| {FIBRILLATION} | 1 | " in text and "2 recordings of 1 patients" in text


def test_the_committed_findings_follow_from_the_committed_predictions():
    folder, run = ROOT / "results" / "external" / "findings", ROOT / DEFAULT_RUN
    if not folder.is_dir():
        pytest.skip("the committed network was not trained with teachers")
    predictions = pd.read_csv(folder / PREDICTIONS, keep_default_na=False)
    text = findings.table_markdown(predictions, network_name(read_record(run)))
    assert (folder / "table.md").read_text(encoding="utf-8") == text
    chosen = findings.findings_to_list(findings.statement_figures(predictions))
    listed = pd.read_csv(run / FINDINGS)
    pd.testing.assert_frame_equal(listed, chosen.reset_index(drop=True), rtol=1e-3)
