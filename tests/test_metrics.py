"""The figures, against an example counted by hand and against the published ones."""

import json

import numpy as np
import pandas as pd
import pytest

from ecg_lib.evaluation.metrics import accuracy, balanced_accuracy, class_table, confusion
from ecg_lib.runs.predictions import LOGIT, classes_of, predicted_classes, scored_parts

COUNTS = [[5, 1, 0], [2, 2, 0], [1, 1, 0]]
"""True classes in rows, predicted in columns; the third class is never predicted."""

NAMES = ("normal", "myocardial_infarction", "covid_19")


def predictions_of(counts, names=NAMES):
    """A predictions table whose confusion matrix is `counts`."""
    rows = [
        (names[true], *np.eye(len(names))[guessed] - 3)
        for (true, guessed), count in np.ndenumerate(counts)
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["label", *(LOGIT + name for name in names)])
    return table.assign(split=["test", "validation"] * (len(table) // 2))


@pytest.fixture
def predictions():
    return predictions_of(COUNTS)


def test_classes_come_in_the_order_of_the_logits(predictions):
    assert classes_of(predictions) == list(NAMES)


def test_the_highest_logit_is_the_prediction():
    table = pd.DataFrame(
        [[-5.0, -4.0, -6.0], [0.0, -1.0, 2.0], [1e9, 1e8, 0.0]],
        columns=[LOGIT + name for name in NAMES],
        index=[7, 3, 5],
    )
    guessed = predicted_classes(table)
    assert list(guessed) == ["myocardial_infarction", "covid_19", "normal"]
    assert list(guessed.index) == [7, 3, 5]


def test_confusion_has_true_classes_in_rows(predictions):
    counts = confusion(predictions)
    assert counts.to_numpy().tolist() == COUNTS
    assert tuple(counts.index) == tuple(counts.columns) == NAMES


def test_accuracy(predictions):
    assert accuracy(predictions) == pytest.approx(7 / 12)


def test_class_table_counted_by_hand(predictions):
    table = class_table(predictions)
    expected = {
        "precision": [5 / 8, 2 / 4, 0],
        "recall": [5 / 6, 2 / 4, 0],
        "f1": [10 / 14, 2 / 4, 0],
        "specificity": [3 / 6, 6 / 8, 1],
    }
    for name, of_classes in expected.items():
        np.testing.assert_allclose(table[name][:3], of_classes)
        mean = np.dot(of_classes, [6, 4, 2]) / 12
        assert table.loc["weighted mean", name] == pytest.approx(mean)
    assert list(table["pages"]) == [6, 4, 2, 12]


def test_a_class_that_is_all_there_is_has_no_specificity():
    table = class_table(predictions_of([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert table.loc["normal", "specificity"] == 0
    assert table.loc["weighted mean", "recall"] == pytest.approx(3 / 4)
    assert not table.isna().any().any()


def test_parts(predictions):
    assert {name: len(part) for name, part in scored_parts(predictions, "plain").items()} == {
        "test": 6,
        "validation": 6,
        "both": 12,
    }


def test_balanced_accuracy_is_the_mean_sensitivity(predictions):
    assert balanced_accuracy(predictions) == pytest.approx((5 / 6 + 2 / 4 + 0) / 3)
    without = predictions[predictions["label"] != "covid_19"]
    assert balanced_accuracy(without) == pytest.approx((5 / 6 + 2 / 4) / 2)


@pytest.mark.parametrize("protocol", ["clean", "clean-3x4"])
def test_pages_that_chose_the_epoch_are_never_pooled_with_test_pages(predictions, protocol):
    assert list(scored_parts(predictions, protocol)) == ["test", "validation"]


@pytest.mark.real
def test_figures_are_defined_as_the_published_ones(shared):
    """A class's published recall and precision are whole counts of files, from which its F1 and
    specificity follow; the weighted means follow from the classes."""
    reported = json.loads(
        (shared / "original" / "reported_results.json").read_text(encoding="utf-8")
    )
    # It gives 0.9718 for history of infarction three times, which is no share of its 70 files.
    del reported["cnn_3d"]
    numbers = {"covid": 47, "hb": 139, "mi": 62, "normal": 232, "pmi": 70}
    figures = ("precision", "recall", "f1", "specificity")
    for model in reported.values():
        for name, pages in numbers.items():
            right = round(model["recall"][name] * pages)
            guessed = round(right / model["precision"][name])
            counts = [[right, pages - right], [guessed - right, 550 - pages - guessed + right]]
            table = class_table(predictions_of(counts, NAMES[:2]))
            for figure in figures:
                assert table.iloc[0][figure] == pytest.approx(model[figure][name], abs=1e-4)
        # Its weighted specificity does not follow from its classes, the others nearly do.
        for figure in figures[:3]:
            of_classes = [model[figure][name] for name in numbers]
            mean = np.average(of_classes, weights=list(numbers.values()))
            assert mean == pytest.approx(model[f"weighted_{figure}"], abs=4e-4)
