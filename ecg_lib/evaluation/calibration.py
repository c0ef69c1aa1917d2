"""Probabilities of scored pages, and how well they are calibrated."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from ecg_lib.runs.predictions import PROBABILITY, classes_of, logits_of

CALIBRATED = "calibrated_"
"""Prefix of the same after temperature scaling."""

BINS = 15
"""Number of confidence bins of the expected calibration error, as in Guo et al. (2017)."""

TEMPERATURES = (0.05, 20.0)
"""The range in which the temperature is searched."""


def score(predictions: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """Return the test pages of a run with probabilities, before and after temperature scaling.

    Args:
        predictions: DataFrame of one run's predictions, its validation pages included.
        split: "validation" for the validation pages instead, to choose by them.

    Returns:
        DataFrame with one row per page: file, page_id, group, label, and for each class its
        probability in the columns `p_<class>` and `calibrated_<class>`.
    """
    pages = predictions[predictions["split"] == split]
    logits = logits_of(pages)
    tables = [
        pd.DataFrame(
            softmax(logits / temperature, axis=1),
            index=pages.index,
            columns=[prefix + name for name in classes_of(predictions)],
        )
        for prefix, temperature in ((PROBABILITY, 1), (CALIBRATED, temperature_of(predictions)))
    ]
    scored = pages[["file", "page_id", "group", "label"]]
    return pd.concat([scored, *tables], axis="columns").reset_index(drop=True)


def temperature_of(predictions: pd.DataFrame) -> float:
    """Fit the temperature of a run on its validation pages alone.

    Args:
        predictions: DataFrame of the run's predictions.
    """
    return fit_temperature(predictions[predictions["split"] == "validation"])


def fit_temperature(predictions: pd.DataFrame) -> float:
    """Find the temperature by which divided logits make the labels most likely.

    Args:
        predictions: DataFrame of predictions, those of the validation pages.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv 1706.04599.
    """
    logits = logits_of(predictions)
    true = label_places(predictions["label"], classes_of(predictions))[:, np.newaxis]

    def negative_log_likelihood(log_temperature):
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -np.take_along_axis(scaled, true, axis=1).mean()

    found = minimize_scalar(negative_log_likelihood, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def reliability(scored: pd.DataFrame, prefix: str = PROBABILITY) -> pd.DataFrame:
    """Compare confidence and accuracy in bins of confidence.

    Args:
        scored: DataFrame as `score` returns it.
        prefix: `PROBABILITY`, or `CALIBRATED` for the picture after temperature scaling.

    Returns:
        DataFrame with one row per bin of confidence (the highest probability) that holds pages:
        pages, confidence and accuracy (means, 0 to 1).
    """
    confidence = probabilities_of(scored, prefix).max(axis=1)
    right = is_right(scored, prefix)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    pages = pd.DataFrame({"confidence": confidence, "accuracy": right.astype(float)})
    means = pages.groupby(bins).mean()
    return means.assign(pages=np.bincount(bins)[means.index]).rename_axis("bin")


def expected_calibration_error(scored: pd.DataFrame, prefix: str = PROBABILITY) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by pages."""
    bins = reliability(scored, prefix)
    return float(np.average(abs(bins["confidence"] - bins["accuracy"]), weights=bins["pages"]))


def brier_score(scored: pd.DataFrame, prefix: str = PROBABILITY) -> float:
    """Return the mean over the pages of the squared error over all classes, 0 (best) to 2."""
    classes = scored_classes(scored)
    truth = np.eye(len(classes))[label_places(scored["label"], classes)]
    return float(((probabilities_of(scored, prefix) - truth) ** 2).sum(axis=1).mean())


def scored_classes(scored: pd.DataFrame) -> list[str]:
    """Return the class names of a table of scored pages, in the order of its probabilities."""
    columns = [name for name in scored.columns if name.startswith(PROBABILITY)]
    return [name.removeprefix(PROBABILITY) for name in columns]


def probabilities_of(scored: pd.DataFrame, prefix: str = PROBABILITY) -> np.ndarray:
    """Return the probabilities of scored pages, a float array `(pages, classes)`."""
    return scored[[prefix + name for name in scored_classes(scored)]].to_numpy()


def predicted_labels(scored: pd.DataFrame, prefix: str = PROBABILITY) -> np.ndarray:
    """Return the most probable class of each page, an array of text."""
    return np.array(scored_classes(scored))[probabilities_of(scored, prefix).argmax(axis=1)]


def is_right(scored: pd.DataFrame, prefix: str = PROBABILITY) -> np.ndarray:
    """Return whether the most probable class of each page is its label, a bool array."""
    return predicted_labels(scored, prefix) == scored["label"].to_numpy()


def label_places(labels: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Return the place of each label among the class names, an int array."""
    return labels.map({name: place for place, name in enumerate(classes)}).to_numpy()
