"""Runs on differently split pages, side by side."""

from ecg_lib.evaluation.splits_compared import compare_splits
from ecg_lib.runs.folder import read_run


def test_one_row_per_run_from_its_test_files_alone(run):
    (row,) = compare_splits([run]).to_dict("records")
    predictions = read_run(run).predictions
    test = predictions[predictions["split"] == "test"]
    logits = test.filter(like="logit_")
    right = logits.idxmax(axis="columns").str.removeprefix("logit_") == test["label"]
    assert row == {
        "protocol": "plain",
        "training_files": 15,
        "test_files": 5,
        "accuracy": round(right.mean(), 3),
        "most_frequent_class": 0.2,
    }
