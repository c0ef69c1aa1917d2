"""The robustness benchmark: what it counts, and that its variants change pages as they say."""

import numpy as np
import pandas as pd
import pytest
from conftest import change_record

from benchmarks import robustness
from benchmarks.robustness import AS_IT_IS, COVID, REFUSED, VARIANTS, robustness_table, write
from ecg_lib.errors import InputError
from ecg_lib.runs.predictions import PREDICTIONS, read_predictions


@pytest.fixture
def labels():
    """Four pages: the answers are right as they are, and change in one variant."""
    truth = ["normal", "normal", "abnormal_heartbeat", COVID]
    labels = pd.DataFrame({variant: truth for variant in VARIANTS}).assign(label=truth)
    labels["saved at 60 %"] = [COVID, "normal", REFUSED, COVID]
    return labels


def test_counts_of_a_variant(labels):
    table = robustness_table(labels).set_index("variant")
    row = table.loc["saved at 60 %"]
    assert row["read"] == 0.75
    assert row["accuracy"] == 0.5
    assert row["changed"] == pytest.approx(1 / 3)
    assert row["to_covid"] == pytest.approx(1 / 3)
    assert table.loc[AS_IT_IS, ["read", "accuracy", "macro_f1"]].eq(1).all()
    assert table.loc[AS_IT_IS, ["changed", "to_covid"]].eq(0).all()


def test_table_names_each_run_and_variant(labels, tmp_path):
    text = write({"first": robustness_table(labels)}, len(labels), tmp_path)
    assert text == (tmp_path / "robustness.md").read_text(encoding="utf-8")
    assert all(f"| first | {variant} |" in text for variant in VARIANTS)
    side_by_side = pd.read_csv(tmp_path / "by_variant.csv", index_col="variant")
    assert list(side_by_side.index) == list(VARIANTS)
    assert side_by_side.loc["saved at 60 %", "first"] == "0.50, 0.33"


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_give_pages(name, drawn):
    luma, _ = drawn["standard_3x4_with_rhythm"]
    changed = VARIANTS[name](luma, np.random.default_rng(1))
    assert changed.dtype == np.uint8 and changed.ndim == 2
    assert (name == AS_IT_IS) == np.array_equal(changed, luma)
    if name.startswith("saved at"):
        percent = int(name.split()[2])
        assert changed.shape[1] == pytest.approx(luma.shape[1] * percent / 100, abs=1)


def test_runs_answer_for_the_same_pages(
    finished_run, run_copy, pages_folder, tmp_path, monkeypatch
):
    run = finished_run.run_path
    few = {AS_IT_IS: VARIANTS[AS_IT_IS], "blank": lambda luma, rng: np.full_like(luma, 255)}
    monkeypatch.setattr(robustness, "VARIANTS", few)
    labels = robustness.labels_of([run, run_copy], pages_folder, jobs=1)
    assert list(labels) == [run.name, run_copy.name]
    of_run, of_copy = labels.values()
    pd.testing.assert_frame_equal(of_run, of_copy)
    predictions = read_predictions(run).set_index("file")
    tested = predictions[predictions["split"] == "test"]
    assert set(of_run.index) == set(tested.index)
    logits = tested.filter(like="logit_")
    expected = logits.idxmax(axis=1).str.removeprefix("logit_").loc[of_run.index]
    assert of_run[AS_IT_IS].tolist() == expected.tolist()
    assert set(of_run["blank"]) == {REFUSED}

    other = pd.read_csv(run_copy / PREDICTIONS)
    other.loc[other["split"] == "test", "split"] = "validation"
    other.to_csv(run_copy / PREDICTIONS, index=False)
    change_record(run_copy)
    with pytest.raises(InputError, match="was tested on other pages than"):
        robustness.labels_of([run, run_copy], pages_folder)
