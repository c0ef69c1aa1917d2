"""The audit's counts on planted copies and leaks, and on the published list."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import change_record

from ecg_lib.data.classes import CLASSES
from ecg_lib.data.khan2021 import published_files
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.evaluation import audit, fold_tables
from ecg_lib.evaluation.baselines import (
    BASELINES,
    LOWEST,
    SEE_CROPS,
    grey_features,
    grey_statistics,
    layout_only,
)
from ecg_lib.evaluation.calibration import brier_score, score
from ecg_lib.evaluation.comparison import mean_of_models
from ecg_lib.evaluation.tables import table_markdown, write_table
from ecg_lib.files import only_process_in
from ecg_lib.runs.folder import finish_run, finished_runs, read_runs
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import (
    PREDICTIONS,
    make_predictions,
    read_predictions,
    write_predictions,
)
from ecg_lib.runs.record import (
    BASELINE_NAMES,
    RECORD,
    RecordedConfig,
    RunKey,
    StartedRun,
    write_record,
)


class Prepared:
    """Pages and random crops as a prepared set holds them; covid pages alone are bright."""

    def __init__(self, pages_per_class=14):
        rng = np.random.default_rng(0)
        labels = np.repeat(CLASSES, pages_per_class)
        names = [f"page_{number}" for number in range(len(labels))]
        self.pages = pd.DataFrame(
            {
                "file": names,
                "class": labels,
                "page_id": names,
                "group": names,
                "layout": np.where(labels == "normal", "standard_6x2", "standard_3x4_with_rhythm"),
                "width": np.where(labels == "covid_19", 900, 2213),
                "height": 1572,
            }
        )
        self.crops = rng.integers(0, 100, (len(labels), 13, 8, 8), dtype=np.uint8)
        self.crops[labels == "covid_19"] += 100


@pytest.fixture
def prepared():
    return Prepared()


@pytest.fixture
def splits(prepared):
    place = prepared.pages.groupby("class").cumcount()
    names = np.array(["train"] * 10 + ["validation"] * 2 + ["test"] * 2)
    return pd.Series(names[place], prepared.pages.index)


@pytest.fixture(scope="module")
def published():
    return published_files().dropna(subset="published_order").reset_index(drop=True)


def row(finding, class_name):
    return finding.table.set_index("class").loc[class_name]


def test_the_published_split_leaks_as_it_is_known_to(published):
    finding = audit.leaks(published, published["published_split"])
    expected = {
        "all": (550, 272),
        "myocardial_infarction": (62, 52),
        "history_of_mi": (70, 59),
        "abnormal_heartbeat": (139, 74),
        "normal": (232, 87),
        "covid_19": (47, 0),
    }
    for class_name, (scored, copies) in expected.items():
        found = row(finding, class_name)
        assert (found["scored"], found["copy_in_training"]) == (scored, copies)
    assert row(finding, "all")["share_copy"] == pytest.approx(272 / 550, abs=1e-4)
    assert "490 distinct pages" in finding.meaning


def test_the_published_files_are_copied_as_they_are_known_to_be(published):
    total = row(audit.copies(published), "all")
    assert (total["files"], total["distinct_pages"], total["copies"]) == (2746, 1816, 930)
    conflict = audit.label_conflicts(published_files()).table
    assert set(conflict["page_id"]) == {"P1742"}
    assert "v1/pmi/PMI  (15).jpg" in set(conflict["file"])


def test_a_strangers_file_name_stays_text():
    names = ["a|b.jpg", "<img src=x>.jpg"]
    pages = pd.DataFrame({"page_id": "x", "file": names, "class": ["normal", "covid_19"]})
    text = audit.label_conflicts(pages).markdown
    assert "a\\|b.jpg" in text and "&lt;img src=x&gt;.jpg" in text


def test_planted_leaks_are_found(prepared, splits):
    pages = prepared.pages
    assert row(audit.leaks(pages, splits), "all")["exam_in_training"] == 0
    train, test = (pages.index[splits == name] for name in ("train", "test"))
    pages.loc[test[0], ["page_id", "group"]] = pages.loc[train[0], ["page_id", "group"]]
    pages.loc[test[1], "group"] = pages.loc[train[1], "group"]
    found = row(audit.leaks(pages, splits), "all")
    assert (found["copy_in_training"], found["exam_in_training"]) == (1, 2)
    assert row(audit.copies(pages), "all")["copies"] == 1


def test_shortcuts_are_found_where_they_are(prepared, splits):
    table = audit.shortcuts(prepared, splits).table.set_index("model")
    reached = table["accuracy"].rename({name: key for key, name in BASELINE_NAMES.items()})
    assert reached["majority"] == 0.2
    # Layout tells normal, size tells covid; the other three classes look the same.
    assert reached["layout_only"] == 0.6
    assert reached["grey_statistics"] < 0.6


def test_an_unknown_size_says_what_its_layout_says(prepared, splits):
    test = splits.index[splits == "test"]
    prepared.pages.loc[test, "width"] = 1000
    train = splits.index[splits == "train"]
    said = layout_only(prepared, train, test, list(CLASSES)).argmax(axis=1)
    normal = prepared.pages.loc[test, "class"] == "normal"
    assert (said[normal] == 0).all()
    assert (said[~normal] != 0).all()


def test_one_layout_is_left_out_at_a_time(prepared, splits):
    table = audit.leave_one_layout_out(prepared, splits).table.set_index("layout")
    # Without the 3x4 pages only one class is left, of which nothing can be learned; of a class that
    # was never trained on no page is found.
    assert list(table["pages"]) == [14]
    assert table.loc["standard_6x2", "grey_statistics"] == 0
    assert table.loc["standard_6x2", "majority_of_its_own"] == 1


def test_blank_crops_are_counted(prepared):
    prepared.crops[3, 12] = 255
    prepared.crops[5] = 0
    finding = audit.blank_crops(prepared, "detected")
    found = row(finding, "all")
    assert (found["with_a_blank_crop"], found["all_crops_blank"]) == (2, 1)
    assert row(finding, "covid_19")["with_a_blank_crop"] == 0


def test_grey_features_do_not_see_where_the_ink_is(prepared):
    crops = prepared.crops[:3]
    features = grey_features(crops)
    assert features.shape == (3, 130)
    np.testing.assert_allclose(grey_features(crops[..., ::-1, ::-1]), features)


def test_grey_statistics_call_no_class_impossible(prepared, splits):
    prepared.crops[0] = 255  # Far from all pages that were seen in training.
    train = splits.index[(splits == "train") & (prepared.pages["class"] != "covid_19")]
    logs = grey_statistics(prepared, train.drop(0, errors="ignore"), [0, 1], list(CLASSES))
    assert np.isfinite(logs).all()
    assert (logs[:, -1] == LOWEST).all()


def test_pages_of_one_class_can_be_audited(configure, pages_folder, tmp_path):
    shutil.copytree(pages_folder / "normal", tmp_path / "pages" / "normal")
    config = configure(data=str(tmp_path / "pages"))
    assert "1.0000 of the test files are classified rightly" in audit.write_audit(config)
    audit.write_baseline_runs(config)
    assert len(finished_runs(config.table_path)) == len(BASELINES)


@pytest.fixture(scope="module")
def benchmark_folder(tmp_path_factory):
    """The baseline runs of a clean protocol on all five folds, of random pages."""
    folder = tmp_path_factory.mktemp("khan2021") / "clean"
    prepared = Prepared(pages_per_class=20)
    pages = prepared.pages
    for fold in range(PROTOCOLS["clean"].folds):
        splits = PROTOCOLS["clean"].split(pages, 1, fold)
        rows = {name: splits.index[splits == name].to_numpy() for name in splits.unique()}
        scored = np.concatenate([rows["validation"], rows["test"]])
        for name, model in BASELINES.items():
            run = folder / f"{name}-s1-f{fold}"
            run.mkdir(parents=True)
            logits = model(prepared, rows["train"], scored, list(CLASSES))
            write_predictions(run, make_predictions(pages.loc[scored], splits, CLASSES, logits))
            config = RecordedConfig(model=name, protocol="clean", fold=fold)
            key = RunKey(config, "data", f"split {fold}")
            write_record(run, StartedRun(**vars(key)))
            finish_run(
                run,
                key,
                data="khan2021",
                classes=CLASSES,
                pages={},
                epochs_done=0,
                resumed=False,
                wall_seconds=6.0,
                devices=("CPU",),
                parameters=0,
            )
    return folder


def test_folds_are_pooled_and_each_page_is_tested_once(benchmark_folder):
    table = fold_tables.fold_table(benchmark_folder).set_index("run")
    assert list(table.index) == ["majority-s1", "layout_only-s1", "grey_statistics-s1"]
    assert (table["folds"] == "0 to 4").all()
    assert (table["pages"] == 100).all()
    assert table.loc["layout_only-s1", "accuracy"] == pytest.approx(0.6)
    assert table.loc["layout_only-s1", "sensitivity_covid_19"] == 1
    assert (table["accuracy_low"] <= table["accuracy"]).all()


def test_protocols_stand_side_by_side(benchmark_folder, tmp_path):
    shutil.copytree(benchmark_folder, tmp_path / "clean")
    for run in benchmark_folder.glob("*-f0"):
        shutil.copytree(run, tmp_path / "clean-3x4" / run.name)
    (second,) = benchmark_folder.glob("layout_only-*-f1")
    shutil.copytree(second, tmp_path / "clean-3x4" / second.name)
    text = fold_tables.side_by_side(tmp_path)
    head, _, *rows = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip("| ") for cell in head] == [
        "model",
        "clean: accuracy",
        "clean: macro F1",
        "clean-3x4: accuracy",
        "clean-3x4: macro F1",
    ]
    assert [row[0] for row in rows] == [f"| {name}" for name in BASELINE_NAMES.values()]
    assert rows[1][1].startswith("0.600 (") and "fold" not in rows[1][1]
    assert rows[0][3].endswith(", fold 0")
    assert rows[1][3].endswith(", folds 0 to 1")


def test_the_report_holds_the_table_the_classes_and_the_tests(benchmark_folder):
    text = write_table(benchmark_folder)
    assert text == (benchmark_folder / "accuracy.md").read_text(encoding="utf-8")
    assert text.startswith(table_markdown(benchmark_folder))
    assert "Layout and page size only" in text
    pairs = pd.read_csv(benchmark_folder / "comparisons.csv")
    assert len(pairs) == 3
    assert (pairs["pages"] == 100).all()
    assert (pairs["p_holm"] >= pairs["p"]).all()


def test_a_model_with_one_fold_is_compared_on_that_fold_with_an_ensemble(
    benchmark_folder, tmp_path
):
    for run in benchmark_folder.glob("*-s1-f*"):
        (tmp_path / run.name).symlink_to(run)
    for model, seed, source in (
        ("cnn_2d", 1, "layout_only"),
        ("cnn_2d", 2, "majority"),
        ("hybrid", 1, "grey_statistics"),
    ):
        run = tmp_path / f"{model}-s{seed}-f0"
        run.mkdir()
        original = benchmark_folder / f"{source}-s1-f0"
        for name in (RECORD, PREDICTIONS):
            shutil.copy(original / name, run)
        change_record(run, {"model": model, "seed": seed})
    table = fold_tables.fold_table(tmp_path)
    by_folds = table.groupby("folds", sort=False)["run"].apply(list).to_dict()
    baseline_runs = [f"{name}-s1" for name in BASELINES]
    assert list(by_folds) == ["0 to 4", "0"]
    assert by_folds["0 to 4"] == baseline_runs
    trained = ["cnn_2d-s1", "cnn_2d-s2", "hybrid-s1"]
    assert by_folds["0"] == [*trained, *baseline_runs, "cnn_2d-s1+2", "ensemble"]
    of_fold = table[table["folds"] == "0"].set_index("run")
    assert of_fold.loc["cnn_2d-s1", "accuracy"] == of_fold.loc["layout_only-s1", "accuracy"]
    assert (of_fold["pages"] == 20).all()
    mean = of_fold.loc["cnn_2d-s1+2"]
    assert (mean["model"], mean["seed"]) == ("CNN 2D, mean of 2 seeds", "1+2")
    assert mean["minutes"] == pytest.approx(of_fold.loc[trained[:2], "minutes"].sum())
    of_seeds = [score(read_predictions(tmp_path / f"{seed}-f0")) for seed in trained[:2]]
    assert mean["brier"] == brier_score(mean_of_models(of_seeds))
    assert "ensemble" in fold_tables.report(read_runs(tmp_path))[0]
    pairs = fold_tables.comparison_table(tmp_path).query("folds == '0'")
    assert set(pairs["model"]) | set(pairs["other"]) == {*by_folds["0"]} - {"cnn_2d-s2"}


def test_an_ensemble_has_a_row_under_whatever_name(benchmark_folder, tmp_path):
    run = shutil.copytree(next(benchmark_folder.glob("majority-s1-f0")), tmp_path / "my_own")
    members = [{"seed": 1, "model_sha256": "0"}, {"seed": 2, "model_sha256": "1"}]
    change_record(run, {"model": "cnn_2d"}, members=members)
    (row,) = fold_tables.fold_table(tmp_path).to_dict("records")
    assert (row["run"], row["model"]) == ("my_own", "CNN 2D, mean of 2 seeds")
    assert row["seed"] == "1+2"


def test_an_audit_is_written_and_baseline_runs_are_written_once(configure):
    config = configure()
    text = audit.write_audit(config)
    assert (config.table_path / audit.AUDIT).read_text(encoding="utf-8") == text
    for title in ("Copies", "Label conflicts", "Leaks", "Shortcuts", "Leave one", "Blank crops"):
        assert f"## {title}" in text
    audit.write_baseline_runs(config)
    inputs = open_inputs(config)
    (run,) = config.table_path.glob("layout_only-*")
    before = (run / RECORD).stat().st_mtime_ns
    audit.write_baseline_runs(config)
    assert (run / RECORD).stat().st_mtime_ns == before
    predictions = read_predictions(run)
    assert len(predictions) == inputs.splits.isin(["validation", "test"]).sum()


def test_two_audits_at_once_do_not_write_one_baseline_run(configure, monkeypatch):
    monkeypatch.setattr(audit, "LOCK_SECONDS", 0)
    config = configure()
    folder = config.table_path / config.run_name.replace("testing", "majority")
    with (
        only_process_in(folder),
        pytest.raises(InputError, match=r"another process is writing to .*majority"),
    ):
        audit.write_baseline_runs(config)
    assert not any(folder.iterdir())


def test_with_only_ink_the_baselines_that_see_crops_are_written(configure):
    config = configure(ink_only=True)
    audit.write_baseline_runs(config)
    written = {run.name for run in config.table_path.glob("[!.]*")}
    assert written == {f"{name}-16px-ink-s1" for name in SEE_CROPS}
