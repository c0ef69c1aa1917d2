"""The test on recordings from elsewhere: its scoring, on recordings and weights made up here."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import change_record, write_recording
from scipy.special import softmax

from benchmarks import external
from benchmarks.renderers import EXPORTS, STYLED
from ecg_lib.data.classes import CLASSES
from ecg_lib.errors import InputError
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.models import STATEMENTS
from ecg_lib.runs.record import read_record
from ecg_lib.runs.teachers import SUPERCLASSES, teachers_hash

ROOT = Path(__file__).parents[1]

BY = external.BY_STATEMENTS
LOGITS = [f"logit_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Five labelled recordings of four patients, the last one without its samples."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = []
    for number in range(5):
        name, infarction = f"{number:05d}_hr", number % 2
        recipe = "myocardial_infarction" if infarction else "normal"
        write_recording(folder, name, number, recipe)
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


def test_recordings_go_through_drawing_reading_and_the_network(
    run_copy, recordings, tmp_path, monkeypatch
):
    run = run_copy
    monkeypatch.setattr(external, "installed_renderers", lambda: [EXPORTS, STYLED])
    control = shutil.copytree(run, tmp_path / "control")
    external.write_external_test(recordings, [run, control], tmp_path / "external")
    predictions = external.read_scored(tmp_path / "external")
    assert list(predictions) == ["run", "drawn", "record", "patient", "stage", "label", BY, *LOGITS]
    by_run = dict(list(predictions.drop(columns="run").groupby(predictions["run"])))
    assert set(by_run) == {run.name, "control"}
    same = [by_run[name].reset_index(drop=True) for name in by_run]
    pd.testing.assert_frame_equal(*same)
    exports = same[0][same[0]["drawn"] == EXPORTS].sort_values("record")
    assert list(exports["record"]) == [f"{number:05d}_hr" for number in range(4)]
    assert list(exports["label"]) == ["normal", "myocardial_infarction"] * 2
    assert list(exports["patient"]) == [0, 1, 2, 3]
    assert exports[LOGITS].to_numpy().std() > 0

    text = (tmp_path / "external" / "table.md").read_text(encoding="utf-8")
    table = pd.read_csv(tmp_path / "external" / "table.csv", keep_default_na=False)
    assert markdown(table.astype(str)) in text
    of_recordings = table[table["pages"] == f"recordings drawn {EXPORTS}"]
    assert list(of_recordings["run"]) == [run.name, "control"]
    assert of_recordings["infarction"].astype(int).tolist() == [2, 2]
    gain = of_recordings[external.GAIN].tolist()
    assert gain == ["", "0.000 (0.000 to 0.000)"]
    own = pd.read_csv(run / "external.csv")
    assert list(own["AUROC"]) == list(table.loc[table["run"] == run.name, "AUROC"])
    assert "4 recordings of 4 patients" in text
    assert "2 unknown" in text and "CC BY 4.0" in text


def test_the_statements_tell_infarction_as_well(run_copy):
    labels = ["normal", "normal", "myocardial_infarction", "myocardial_infarction"]
    predictions = made_up(labels, [0.0, 1.0, 0.5, 2.0]).assign(
        run=run_copy.name, drawn=EXPORTS, patient=range(4), **{BY: [-3.0, -2.0, 1.0, 4.0]}
    )
    table, _ = external.external_table(predictions.drop(columns="group"), run_copy)
    assert table[external.AUROC_BY_STATEMENTS].tolist()[:2] == ["", ""]
    assert table["AUROC"].iloc[2].startswith("0.750")
    assert table[external.AUROC_BY_STATEMENTS].iloc[2].startswith("1.000")


def test_the_odds_of_statements_are_of_infarction_to_normal():
    chances = np.full((2, len(SUPERCLASSES)), 0.3)
    chances[:, SUPERCLASSES.index("MI")] = [0.6, 0.1]
    odds = external._odds_by_statements({STATEMENTS: chances})
    np.testing.assert_allclose(odds, np.log([2, 1 / 3]))
    assert np.isnan(external._odds_by_statements({}))


def test_runs_of_one_name_are_refused(run_copy, recordings, tmp_path):
    twin = shutil.copytree(run_copy, tmp_path / "elsewhere" / run_copy.name)
    with pytest.raises(InputError, match="have the same name, by which tables tell runs apart"):
        external.score_recordings(recordings, [run_copy, twin])


def test_patients_who_taught_are_left_out(run_copy, recordings, tmp_path, monkeypatch):
    monkeypatch.setattr(external, "installed_renderers", lambda: [EXPORTS])
    teachers = shutil.copytree(recordings, tmp_path / "teachers")
    labels = pd.read_csv(teachers / "labels.csv").assign(superclasses="NORM", scp_statements="NORM")
    labels.to_csv(teachers / "labels.csv", index=False)
    record = read_record(run_copy)
    digest = teachers_hash(teachers, record.config.crop_options)
    change_record(run_copy, {"teachers": digest})
    with pytest.raises(
        InputError, match="had other recordings as teachers than none: expected --teachers"
    ):
        external.score_recordings(recordings, [run_copy])
    with pytest.raises(InputError, match="had other recordings as teachers than"):
        change_record(run_copy, {"teachers": "0" * 12})
        external.score_recordings(recordings, [run_copy], [recordings, teachers])
    change_record(run_copy, {"teachers": digest})
    parts = {0: "train", 1: "choice", 2: "test", 3: "train"}
    monkeypatch.setattr("ecg_lib.runs.teachers.part_of", parts.get)
    predictions, _ = external.score_recordings(recordings, [run_copy], [recordings, teachers])
    assert set(predictions["patient"]) == {2}


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
        external.write_external_test(tmp_path, [finished_run.run_path], tmp_path / "external")
    assert "labels.csv" in str(refused.value)


def test_boxes_that_depend_on_the_label_are_refused(run_copy, recordings, tmp_path):
    change_record(run_copy, {"protocol": "published"})
    with pytest.raises(InputError, match="boxes depend on the label"):
        external.write_external_test(recordings, [run_copy], tmp_path / "external")


def test_the_committed_table_follows_from_the_committed_predictions():
    results = ROOT / "results"
    run = results / "models" / "lead_attention"
    predictions = external.read_scored(results / "external")
    table, threshold = external.external_table(predictions, run)
    text = external.table_markdown(predictions, run, table, threshold)
    assert (results / "external" / "table.md").read_text(encoding="utf-8") == text
    own = pd.read_csv(run / "external.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(
        own, external.of_run(table, run).astype(str).reset_index(drop=True)
    )
