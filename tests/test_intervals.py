"""The figures, against scikit-learn, statsmodels, and sums done by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from ecg_lib.evaluation import plots
from ecg_lib.evaluation.calibration import (
    CALIBRATED,
    PROBABILITY,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    predicted_labels,
    probabilities_of,
    reliability,
    score,
)
from ecg_lib.evaluation.comparison import compare, mean_of_models
from ecg_lib.evaluation.intervals import _weighted_figures, auroc_gain, figures
from ecg_lib.runs.predictions import LOGIT

CLASSES = ["normal", "abnormal_heartbeat", "covid_19"]


def predictions(pages=400, signal=1.0, seed=0, pages_a_group=1):
    """Predictions whose logits are the true log-odds: a perfectly calibrated model."""
    rng = np.random.default_rng(seed)
    logits = log_softmax(signal * rng.normal(size=(pages, len(CLASSES))), axis=1)
    labels = [rng.choice(CLASSES, p=np.exp(row)) for row in logits]
    return pd.DataFrame(
        {
            "file": [f"page_{number}.jpg" for number in range(pages)],
            "page_id": [f"P{number}" for number in range(pages)],
            "group": [f"S{number // pages_a_group}" for number in range(pages)],
            "split": np.where(np.arange(pages) % 2, "test", "validation"),
            "label": labels,
            **{LOGIT + name: logits[:, place] for place, name in enumerate(CLASSES)},
        }
    )


@pytest.fixture(scope="module")
def scored():
    return score(predictions(signal=2.0))


@pytest.mark.parametrize(("asked", "split"), [((), "test"), (("validation",), "validation")])
def test_pages_of_one_split_are_scored(asked, split):
    table = predictions()
    scored = score(table, *asked)
    assert list(scored["file"]) == list(table.loc[table["split"] == split, "file"])
    assert list(scored["label"]) == list(table.loc[table["split"] == split, "label"])
    np.testing.assert_allclose(probabilities_of(scored).sum(axis=1), 1)


def test_figures_are_those_of_scikit_learn(scored):
    found = figures(scored, resamples=50)["value"]
    labels, predicted = scored["label"], predicted_labels(scored)
    shares = probabilities_of(scored)
    assert found["accuracy"] == pytest.approx((labels == predicted).mean())
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    areas = []
    for place, name in enumerate(CLASSES):
        is_class, said_class = labels == name, predicted == name
        assert found[f"sensitivity_{name}"] == pytest.approx(recall_score(is_class, said_class))
        assert found[f"specificity_{name}"] == pytest.approx(recall_score(~is_class, ~said_class))
        areas.append(roc_auc_score(is_class, shares[:, place]))
        assert found[f"auroc_{name}"] == pytest.approx(areas[-1])
    assert found["auroc"] == pytest.approx(np.mean(areas))


def test_ties_count_half():
    table = predictions()
    table[[LOGIT + name for name in CLASSES]] = 0.0
    found = figures(score(table), resamples=10)["value"]
    assert found["auroc"] == pytest.approx(0.5)


def test_weighted_figures_are_those_of_repeated_pages(scored):
    rng = np.random.default_rng(3)
    times = rng.integers(0, 4, len(scored))
    repeated = scored.loc[scored.index.repeat(times)]
    expected = figures(repeated, resamples=1)["value"]
    found = _weighted_figures(scored, times[np.newaxis].astype(float))
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value), name


def test_intervals_cover_and_are_repeatable(scored):
    found = figures(scored)
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    pd.testing.assert_frame_equal(found, figures(scored))
    # Of single pages the interval of the accuracy is the binomial one.
    accuracy = found.loc["accuracy"]
    error = np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / len(scored))
    assert accuracy["high"] - accuracy["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_intervals_are_wider_where_pages_of_a_group_are_alike():
    single = score(predictions(pages=800))
    copies = pd.concat([single.head(100)] * 4, ignore_index=True)
    narrow = copies.assign(group=[f"S{number}" for number in range(400)])
    widths = [figures(table).eval("high - low")["accuracy"] for table in (copies, narrow)]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.15)


def test_a_class_that_is_not_there_is_not_judged(scored):
    found = figures(scored[scored["label"] != "covid_19"], resamples=20)["value"]
    assert np.isnan(found["sensitivity_covid_19"])
    assert np.isnan(found["auroc_covid_19"])
    assert 0 < found["balanced_accuracy"] <= 1


def model_that_is_right(right, pages_an_exam=1):
    """Scored pages of which a model has those right that are given."""
    said = np.where(right, 0, 1)
    return pd.DataFrame(
        {
            "page_id": [f"P{number}" for number in range(len(right))],
            "group": np.arange(len(right)) // pages_an_exam,
            "label": "normal",
            **{
                PROBABILITY + name: np.where(said == place, 0.9, 0.05)
                for place, name in enumerate(CLASSES)
            },
        }
    )


def test_with_one_page_an_exam_it_is_mcnemar_s_test():
    first = model_that_is_right(np.repeat([True, True, False, False], [50, 9, 2, 10]))
    second = model_that_is_right(np.repeat([True, False, True, False], [50, 9, 2, 10]))
    (pair,) = compare({"first": first, "second": second}).itertuples()
    assert (pair.pages, pair.only_model, pair.only_other) == (71, 9, 2)
    assert pair.p == pair.p_holm == pytest.approx(binomtest(2, 11).pvalue)
    assert pair.p_mcnemar == pytest.approx(pair.p)


def test_pages_of_one_exam_are_not_independent():
    first, second = np.repeat([True, False], [9, 2]), np.repeat([False, True], [9, 2])
    once, four_times = (
        compare(
            {
                "first": model_that_is_right(np.repeat(first, pages), pages),
                "second": model_that_is_right(np.repeat(second, pages), pages),
            }
        )
        for pages in (1, 4)
    )
    assert four_times["p"].item() == pytest.approx(once["p"].item())
    assert four_times["p_mcnemar"].item() == pytest.approx(binomtest(8, 44).pvalue)


def test_exams_of_different_sizes_are_flipped_as_a_whole():
    """Against all ways of flipping, one by one."""
    exams = pd.Series(np.repeat(np.arange(6), [5, 1, 3, 1, 2, 4]))
    rng = np.random.default_rng(1)
    first, second = (
        model_that_is_right(rng.random(len(exams)) < share).assign(group=exams)
        for share in (0.8, 0.3)
    )
    (pair,) = compare({"first": first, "second": second}).itertuples()
    gained = np.subtract(*(table["p_normal"] > 0.5 for table in (first, second)), dtype=int)
    of_exam = pd.Series(gained).groupby(exams).sum()
    sums = [abs(np.dot(signs, of_exam)) for signs in product((-1, 1), repeat=len(of_exam))]
    assert pair.p == pytest.approx(np.mean(np.array(sums) >= abs(of_exam.sum())))
    assert 0 < pair.p_mcnemar < pair.p < 1


def test_holm_s_correction_over_three_pairs():
    models = {
        "first": model_that_is_right(np.repeat([True, True, True], [20, 12, 10])),
        "second": model_that_is_right(np.repeat([True, False, True], [20, 12, 10])),
        "third": model_that_is_right(np.repeat([True, False, False], [20, 12, 10])),
    }
    pairs = compare(models)
    p = np.array([binomtest(0, discordant).pvalue for discordant in (12, 22, 10)])
    np.testing.assert_allclose(pairs["p"], p)
    np.testing.assert_allclose(pairs["p_holm"], [2 * p[0], 3 * p[1], max(2 * p[0], p[2])])


def test_only_pages_that_both_scored_are_compared():
    first = model_that_is_right(np.repeat([True, False], [6, 6]))
    (pair,) = compare({"first": first, "second": first.iloc[4:10]}).itertuples()
    assert (pair.pages, pair.only_model, pair.only_other, pair.p) == (6, 0, 0, 1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_temperature_scaling_recovers_a_known_temperature(temperature):
    table = predictions(pages=8000, signal=2.0)
    logits = [LOGIT + name for name in CLASSES]
    table[logits] *= temperature
    assert fit_temperature(table) == pytest.approx(temperature, rel=0.06)
    scored = score(table)
    before, after = (
        expected_calibration_error(scored, prefix) for prefix in (PROBABILITY, CALIBRATED)
    )
    assert after < 0.03
    assert temperature == 1 or before > 0.08
    best = brier_score(scored, CALIBRATED)
    assert best <= brier_score(scored) + 1e-3


def test_the_temperature_is_fitted_on_validation_pages_alone():
    table = predictions(pages=4000)
    test = table["split"] == "test"
    table.loc[test, [LOGIT + name for name in CLASSES]] *= 9
    scored = score(table)
    calibrated = probabilities_of(scored, CALIBRATED)
    np.testing.assert_allclose(calibrated, probabilities_of(scored), atol=0.1)


def test_calibration_by_hand():
    right = model_that_is_right(np.array([True, True, True, False]))
    assert expected_calibration_error(right) == pytest.approx(0.15)
    one_right, one_wrong = 0.1**2 + 2 * 0.05**2, 0.95**2 + 0.9**2 + 0.05**2
    assert brier_score(right) == pytest.approx((3 * one_right + one_wrong) / 4)
    (bin_,) = reliability(right).itertuples()
    assert (bin_.pages, bin_.confidence, bin_.accuracy) == (4, pytest.approx(0.9), 0.75)


def test_the_ensemble_is_the_mean_page_by_page(scored):
    other = scored.sample(frac=1, random_state=1)
    other["file"] = "elsewhere/" + other["file"]
    other[PROBABILITY + "normal"] += 0.2
    joined = mean_of_models([scored, other])
    assert list(joined["file"]) == list(scored["file"])
    gained = joined[PROBABILITY + "normal"] - scored[PROBABILITY + "normal"]
    np.testing.assert_allclose(gained, 0.1)
    np.testing.assert_allclose(joined[CALIBRATED + "covid_19"], scored[CALIBRATED + "covid_19"])


def test_the_reliability_diagram_shows_both(scored):
    (axes,) = plots.reliability_figure(scored, "a model").axes
    labels = [line.get_label() for line in axes.lines[1:]]
    assert [label.split(",")[0] for label in labels] == ["as trained", "temperature scaled"]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), reliability(scored)["accuracy"])


def test_the_gain_is_paired_and_drawn_by_groups():
    """Two models that err on the same pages differ by much less than each of them varies."""
    rng = np.random.default_rng(2)
    positive = rng.random(300) < 0.4
    scores = positive + rng.normal(0, 1, 300)
    control = scores + rng.normal(0, 0.05, 300)
    groups = np.arange(300)
    gain, low, high = auroc_gain(groups, positive, scores, control)
    expected = roc_auc_score(positive, scores) - roc_auc_score(positive, control)
    assert gain == pytest.approx(expected)
    assert low < gain < high and high - low < 0.02
    worse = auroc_gain(groups, positive, scores, rng.normal(0, 1, 300))
    assert worse[1] > 0.1
    thrice = auroc_gain(*(np.tile(values, 3) for values in (groups, positive, scores, control)))
    np.testing.assert_allclose(thrice, (gain, low, high))
