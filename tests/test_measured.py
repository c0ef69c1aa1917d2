"""The figures of a finished run are those of its test pages."""

from pathlib import Path

import pytest
from conftest import change_record

from ecg_lib.data.khan2021 import published_files
from ecg_lib.errors import InputError
from ecg_lib.evaluation.metrics import accuracy
from ecg_lib.runs.predictions import PREDICTIONS
from ecg_lib.serving.measured import measure


@pytest.fixture(scope="module")
def committed():
    return measure(Path(__file__).parents[1] / "results" / "models" / "lead_attention")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_without_pages_of_a_split_are_named(run_copy, split):
    lines = (run_copy / PREDICTIONS).read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if f",{split}," not in line)
    (run_copy / PREDICTIONS).write_text(kept, encoding="utf-8")
    change_record(run_copy)
    with pytest.raises(InputError, match=rf"predictions.csv holds no {split} pages: expected at"):
        measure(run_copy)


def test_figures_are_those_of_the_test_pages(committed):
    test = committed.predictions[committed.predictions["split"] == "test"]
    assert f"right on {accuracy(test):.3f} (" in committed.summary
    assert f"of {len(test)} test pages" in committed.summary
    of_classes = committed.class_table.set_index("class")
    normal = test[test["label"] == "normal"]
    assert of_classes.loc["Normal", "pages"] == len(normal)
    assert of_classes.loc["Normal", "sensitivity"].startswith(f"{accuracy(normal):.3f} (")


def test_layouts_are_told_apart(committed):
    layouts = published_files().drop_duplicates("page_id").set_index("page_id")["layout"]
    test = committed.predictions[committed.predictions["split"] == "test"]
    small = test[test["page_id"].map(layouts) == "standard_6x2_with_rhythm"]
    row = committed.layout_table.set_index("layout").loc["standard_6x2_with_rhythm"]
    assert row["pages"] == len(small)
    assert row["accuracy"].startswith(f"{accuracy(small):.3f} (")
    assert row["Normal"] == 0
    assert committed.layout_table["pages"].sum() == len(test)


def test_calibration_before_and_after(committed):
    before, after = committed.calibration_table["expected calibration error"].astype(float)
    assert before != after
    assert f"{committed.temperature:.3f}" in committed.calibration_table.iloc[1, 0]
