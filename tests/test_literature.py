"""What published figures are worth, against counts made by hand."""

import pandas as pd
import pytest
from conftest import ROOT
from sklearn.metrics import roc_auc_score

from ecg_lib import cli
from ecg_lib.data.khan2021 import published_files
from ecg_lib.evaluation.calibration import score
from ecg_lib.evaluation.literature import (
    OUR_RUN,
    STEM,
    interval,
    literature_markdown,
    literature_table,
)
from ecg_lib.runs.predictions import read_predictions

RESULTS = ROOT / "results"


@pytest.fixture(scope="module")
def table():
    return literature_table(RESULTS)


def test_interval_is_that_of_wilson():
    assert interval(29, 30) == pytest.approx((0.8333, 0.9941), abs=1e-4)
    assert interval(0, 10)[0] == 0


def test_239_files_that_are_30_pages(table):
    row = table.iloc[0]
    assert (row["files"], row["pages"], row["right"], row["pages_right"]) == (239, 30, 231, 29)
    assert row["printed_high"] - row["printed_low"] < (row["high"] - row["low"]) / 3
    assert (round(row["low"], 2), round(row["high"], 2)) == (0.83, 0.99)
    assert row["ours_pages"] == 29  # One page is filed under two classes.


def test_the_original_experiment_s_classes_add_up(table):
    together, *classes = table.iloc[1:].to_dict("records")
    assert together["files"] == sum(row["files"] for row in classes) == 550
    assert together["ours_right"] == sum(row["ours_right"] for row in classes)


def test_infarctions_are_told_from_the_other_pages_of_the_same_version(table):
    files = published_files()
    version_2 = files.loc[files["file"].str.startswith("v2/"), "page_id"]
    folder = RESULTS / "khan2021" / "clean"
    scored = pd.concat(
        [score(read_predictions(folder / f"{OUR_RUN}-f{fold}")) for fold in range(5)]
    )
    scored = scored[scored["page_id"].isin(version_2)]
    is_fresh = scored["label"] == "myocardial_infarction"
    expected = roc_auc_score(is_fresh, scored["p_myocardial_infarction"])
    assert table.iloc[0]["auroc"] == pytest.approx(expected)


def test_the_committed_table_follows_from_the_committed_predictions():
    text = (RESULTS / f"{STEM}.md").read_text(encoding="utf-8")
    assert text == literature_markdown(RESULTS)


def test_without_the_runs_there_is_no_table(tmp_path, capsys):
    assert cli.main(["literature", "--results", str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
