"""The test on recordings from elsewhere: its scoring, on recordings and weights made up here."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from conftest import change_record
from scipy.special import softmax

from benchmarks import external
from ecg_lib.data.classes import CLASSES
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.errors import InputError
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.pages.leads import LEADS
from ecg_lib.runs.predictions import PREDICTIONS

ROOT = Path(__file__).parents[1]

LOGITS = [f"logit_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Five labelled recordings of four patients, the last one without its samples."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for number in range(5):
        name, infarction = f"{number:05d}_hr", number % 2
        recipe = "myocardial_infarction" if infarction else "normal"
        signals = simulate(recipe, np.random.default_rng(number))
        leads = {"sig_name": list(LEADS), "units": ["mV"] * 12, "fmt": ["16"] * 12}
        wfdb.wrsamp(name, fs=RATE, p_signal=signals.T, write_dir=str(folder), **leads)
        stage = "unknown" if infarction else None
        rows.append((name, float(number % 4), "MI" if infarction else "NORM", stage))
    (folder / f"{name}.dat").unlink()
    columns = ["record", "patient_id", "label", "infarction_stadium1"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "labels.csv", index=False)
    return folder


def made_up(labels, scores):
    """Predictions whose log odds of infarction are `scores`."""
    predictions = pd.DataFrame(0.0, index=range(len(labels)), columns=LOGITS)
    # Two infarction classes and three others: without this the odds of equal logits are 2 to 3.
    predictions[LOGITS[2]] = predictions[LOGITS[3]] = np.asarray(scores) + np.log(3 / 2)
    return predictions.assign(label=labels, group=[f"exam {row}" for row in range(len(labels))])


def test_a_score_is_the_odds_of_both_infarction_classes():
    logits = np.random.default_rng(0).normal(0, 3, (20, 5))
    scores = external.infarction_scores(pd.DataFrame(logits, columns=LOGITS))
    p = softmax(logits, axis=1)[:, 2:4].sum(axis=1)
    np.testing.assert_allclose(scores, np.log(p / (1 - p)))


def test_the_threshold_weighs_both_sides_alike():
    scores = np.array([0.0, 1, 2, 3, 4, 5])
    assert external.best_threshold(scores, scores > 3.5) == 3.5
    positive = np.array([False, False, True, False, False, True])
    assert external.best_threshold(scores, positive) == 1.5
    assert external.best_threshold(scores[::-1], positive[::-1]) == 1.5


def test_figures_at_a_threshold():
    labels = ["normal"] * 4 + ["myocardial_infarction", "history_of_mi"] + ["covid_19"] * 3
    scores = [-3, -2, -1, 2, 1, 3, 9, 9, 9]
    found = external.judge(made_up(labels, scores), 0)["value"]
    assert found["auroc_infarction"] == pytest.approx(7 / 8)
    assert found["sensitivity_infarction"] == 1
    assert found["specificity_infarction"] == 3 / 4
    found = external.judge(made_up(labels, scores), 2.5)["value"]
    assert found["auroc_infarction"] == pytest.approx(7 / 8)
    assert found["sensitivity_infarction"] == 1 / 2
    assert found["specificity_infarction"] == 1


def test_the_bootstrap_draws_patients():
    """Five copies of each recording of a patient tell no more than one."""
    labels = ["normal", "myocardial_infarction"] * 20
    once = made_up(labels, np.random.default_rng(1).normal(0, 1, 40))
    ends = [
        external.judge(pages, 0).loc["auroc_infarction", ["low", "high"]]
        for pages in (once, pd.concat([once] * 5))
    ]
    np.testing.assert_allclose(*ends)


def test_recordings_go_through_drawing_reading_and_the_network(finished_run, recordings, tmp_path):
    run = finished_run.run_path
    external.write_external_test(run, recordings, tmp_path / "external")
    predictions = pd.read_csv(tmp_path / "external" / "predictions.csv", keep_default_na=False)
    assert list(predictions) == ["record", "patient", "stage", "label", *LOGITS]
    assert list(predictions["record"]) == [f"{number:05d}_hr" for number in range(4)]
    assert list(predictions["label"]) == ["normal", "myocardial_infarction"] * 2
    assert list(predictions["patient"]) == [0, 1, 2, 3]
    assert predictions[LOGITS].to_numpy().std() > 0

    text = (tmp_path / "external" / "table.md").read_text(encoding="utf-8")
    table = pd.read_csv(tmp_path / "external" / "table.csv")
    assert markdown(table.astype(str)) in text
    assert list(table["infarction"]) == [2, 2, 2]
    assert "4 recordings of 4 patients" in text and "1 left out" in text
    assert "2 unknown" in text and "CC BY 4.0" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not there"),
        ("record,label\n1,MI\n", "expected the columns record, patient_id"),
        ("record,patient_id,label,infarction_stadium1\n1,1,STTC,\n", "label NORM or MI"),
    ],
)
def test_unusable_labels(tmp_path, finished_run, text, words):
    if text:
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words) as refused:
        external.write_external_test(finished_run.run_path, tmp_path, tmp_path / "external")
    assert "labels.csv" in str(refused.value)


def test_boxes_that_depend_on_the_label_are_refused(run_copy, recordings, tmp_path):
    change_record(run_copy, {"protocol": "published"})
    with pytest.raises(InputError, match="boxes depend on the label"):
        external.write_external_test(run_copy, recordings, tmp_path / "external")


def test_the_committed_table_follows_from_the_committed_predictions():
    results = ROOT / "results"
    predictions = pd.read_csv(results / "external" / PREDICTIONS, keep_default_na=False)
    text = external.table_markdown(predictions, results / "models" / "lead_attention", faults=[])
    assert (results / "external" / "table.md").read_text(encoding="utf-8") == text
