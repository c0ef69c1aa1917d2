"""What a figure on some hundred pages is worth: intervals, paired tests, calibration.

Everything is computed from predictions (`predictions.csv`) on the test pages. The validation pages
serve one purpose here: the temperature is fitted on them. The two are never pooled.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from ecg_lib.experiment.evaluation import LOGIT, classes_of

PROBABILITY = "p_"
"""Prefix of the columns of scored pages that hold one probability a class."""

CALIBRATED = "calibrated_"
"""Prefix of the same after temperature scaling."""

RESAMPLES = 2000
CONFIDENCE = 0.95

BINS = 15
"""Number of confidence bins of the expected calibration error, as in Guo et al. (2017)."""

TEMPERATURES = (0.05, 20.0)
"""Where the temperature is looked for."""


def score(predictions, split="test"):
    """The test pages of a run with their probabilities, before and after temperature scaling.

    Args:
        predictions: DataFrame of one run's predictions, its validation pages included.
        split: "validation" for these instead, to choose by them.

    Returns:
        DataFrame with a row a page: file, page_id, group, label, and for each class its
        probability in the columns `p_<class>` and `calibrated_<class>`.
    """
    pages = predictions[predictions["split"] == split]
    logits = _logits(pages)
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


def temperature_of(predictions):
    """The temperature of a run: fitted on its validation pages alone.

    Args:
        predictions: DataFrame of the run's predictions.
    """
    return fit_temperature(predictions[predictions["split"] == "validation"])


def fit_temperature(predictions):
    """The temperature that makes the predictions' logits most likely when divided by it.

    Args:
        predictions: DataFrame of predictions, those of the validation pages.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv 1706.04599.
    """
    logits = _logits(predictions)
    true = _places(predictions["label"], classes_of(predictions))[:, np.newaxis]

    def negative_log_likelihood(log_temperature):
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -np.take_along_axis(scaled, true, axis=1).mean()

    found = minimize_scalar(negative_log_likelihood, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def ensemble(members):
    """The mean probability of several models.

    Args:
        members: DataFrames as `score` returns them, on the same pages.

    Returns:
        A DataFrame of the same form.
    """
    first, *others = map(_by_page, members)
    numbers = first.select_dtypes("number").columns
    total = sum((scored.loc[first.index, numbers] for scored in others), first[numbers])
    return first.assign(**(total / len(members))).reset_index(drop=True)


def _by_page(scored):
    """Scored pages by what tells them apart in every run, whatever their files are called there.

    Under some protocols there are copies; then it is also told which one of them.
    """
    copy = scored.groupby(["page_id", "label"]).cumcount()
    return scored.set_index(["page_id", "label", copy], drop=False).rename_axis([None] * 3)


def figures(scored, resamples=RESAMPLES, seed=0):
    """All figures of a model on the pages it was tested on, with their intervals.

    The intervals are percentiles of a bootstrap that draws groups, not pages: pages of one exam
    are alike, and drawing them one by one would make the intervals too narrow.

    Args:
        scored: DataFrame as `score` returns it, of one fold or of several.
        resamples: number of bootstrap resamples.
        seed: random seed of the bootstrap.

    Returns:
        DataFrame with the columns value, low and high (95 %), 0 to 1, and the rows accuracy,
        balanced_accuracy (mean sensitivity), macro_f1, auroc (one class against the rest, mean
        over the classes), and of each class sensitivity_<class>, specificity_<class> and
        auroc_<class>. Where no page can tell, NaN.
    """
    groups, of_page = np.unique(scored["group"], return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=resamples)
    values = _weighted_figures(scored, np.ones((1, len(scored))))
    spread = _weighted_figures(scored, drawn[:, of_page].astype(float))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    rows = {
        name: [value[0], *np.nanquantile(spread[name], tails)] for name, value in values.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def figures_in_a_row(scored):
    """The same as one row of a table: `{name: value, name_low: ..., name_high: ...}`."""
    row = {}
    for name, found in figures(scored).iterrows():
        row |= {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
    return row


def intervals_in_a_table(table, name):
    """A figure of all rows of a table of `figures_in_a_row`, as `with_interval` writes it.

    Returns:
        Series of text on the table's index.
    """
    columns = table[[name, f"{name}_low", f"{name}_high"]].to_numpy()
    return pd.Series([with_interval(*row) for row in columns], index=table.index)


def _weighted_figures(scored, weights):
    """The figures, each an array with one value a row of `weights` (resamples, pages)."""
    classes = scored_classes(scored)
    probabilities = probabilities_of(scored)
    true = _places(scored["label"], classes)
    cells = np.eye(len(classes) ** 2)[true * len(classes) + probabilities.argmax(axis=1)]
    counts = (weights @ cells).reshape(-1, len(classes), len(classes))
    right = np.diagonal(counts, axis1=1, axis2=2)
    is_class, said_class = counts.sum(axis=2), counts.sum(axis=1)
    pages = weights.sum(axis=1, keepdims=True)
    sensitivity = _ratio(right, is_class)
    specificity = _ratio(pages - is_class - said_class + right, pages - is_class)
    f1 = _ratio(2 * right, is_class + said_class)
    auroc = np.stack(
        [_auroc(true == place, probabilities[:, place], weights) for place in range(len(classes))],
        axis=1,
    )
    found = {
        "accuracy": right.sum(axis=1) / pages[:, 0],
        "balanced_accuracy": _mean(sensitivity),
        "macro_f1": _mean(f1),
        "auroc": _mean(auroc),
    }
    for name, of_class in (
        ("sensitivity", sensitivity),
        ("specificity", specificity),
        ("auroc", auroc),
    ):
        found |= {f"{name}_{label}": of_class[:, place] for place, label in enumerate(classes)}
    return found


def _auroc(positive, scores, weights):
    """Weighted area under the ROC curve, ties counting half; one value a row of `weights`."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    weights, positive = weights[:, order], positive[order]
    positives = np.add.reduceat(weights * positive, starts, axis=1)
    negatives = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return _ratio((positives * below).sum(axis=1), pairs)


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _mean(of_classes):
    """Mean over the classes that are there."""
    there = ~np.isnan(of_classes)
    return _ratio(np.where(there, of_classes, 0).sum(axis=1), there.sum(axis=1))


def compare(models):
    """Exact paired tests between all pairs of models, on the pages that both scored.

    Pages of one exam are alike, so they do not count as so many witnesses: p is how often the
    models would differ in right pages at least as much if chance said of each exam, as a whole,
    which of the two is which. Where every exam has one page, that is McNemar's exact test.

    Args:
        models: dict of DataFrames as `score` returns them, by the models' names.

    Returns:
        DataFrame with a row a pair: model, other, pages, only_model (pages that only the first
        has right), only_other, p_mcnemar (of McNemar's exact test, which takes all pages for
        independent), p, and p_holm (p after Holm's correction over all pairs).
    """
    right = {
        name: _by_page(scored.assign(right=predicted_labels(scored) == scored["label"]))
        for name, scored in models.items()
    }
    rows = []
    for model, other in combinations(right, 2):
        both = right[model].join(right[other]["right"], rsuffix="_of_other", how="inner")
        gained = both["right"].astype(int) - both["right_of_other"].astype(int)
        only_model, only_other = int((gained > 0).sum()), int((gained < 0).sum())
        by_page = min(mcnemar([[0, only_model], [only_other, 0]], exact=True).pvalue, 1.0)
        by_exam = _sign_flip(gained.groupby(both["group"]).sum().to_numpy())
        rows.append((model, other, len(both), only_model, only_other, float(by_page), by_exam))
    columns = ["model", "other", "pages", "only_model", "only_other", "p_mcnemar", "p"]
    pairs = pd.DataFrame(rows, columns=columns)
    return pairs.assign(p_holm=multipletests(pairs["p"], method="holm")[1] if rows else [])


def _sign_flip(differences):
    """Two-sided p of a sum of whole numbers, where each might as well have the other sign."""
    chances = np.ones(1)  # Of each sum, from the least to the greatest, of the numbers so far.
    for size in abs(differences):
        chances = (np.pad(chances, (2 * size, 0)) + np.pad(chances, (0, 2 * size))) / 2
    greatest = abs(differences).sum()
    sums = np.arange(-greatest, greatest + 1)
    return min(float(chances[abs(sums) >= abs(differences.sum())].sum()), 1.0)


def reliability(scored, prefix=PROBABILITY):
    """How often the model is right where it is so sure.

    Args:
        scored: DataFrame as `score` returns it.
        prefix: `PROBABILITY`, or `CALIBRATED` for the picture after temperature scaling.

    Returns:
        DataFrame with a row a bin of confidence (the highest probability) that holds pages:
        pages, confidence and accuracy (means, 0 to 1).
    """
    confidence = probabilities_of(scored, prefix).max(axis=1)
    right = predicted_labels(scored, prefix) == scored["label"].to_numpy()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    pages = pd.DataFrame({"confidence": confidence, "accuracy": right.astype(float)})
    means = pages.groupby(bins).mean()
    return means.assign(pages=np.bincount(bins)[means.index]).rename_axis("bin")


def expected_calibration_error(scored, prefix=PROBABILITY):
    """Mean distance of confidence and accuracy over the bins, weighted by their pages, 0 to 1."""
    bins = reliability(scored, prefix)
    return float(np.average(abs(bins["confidence"] - bins["accuracy"]), weights=bins["pages"]))


def brier_score(scored, prefix=PROBABILITY):
    """Mean over the pages of the squared error over all classes, 0 (best) to 2."""
    classes = scored_classes(scored)
    truth = np.eye(len(classes))[_places(scored["label"], classes)]
    return float(((probabilities_of(scored, prefix) - truth) ** 2).sum(axis=1).mean())


def with_interval(value, low, high):
    """A figure and its interval as text, such as "0.740 (0.718 to 0.763)"."""
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def scored_classes(scored):
    """The class names of a table of scored pages, in the order of its probabilities."""
    columns = [name for name in scored.columns if name.startswith(PROBABILITY)]
    return [name.removeprefix(PROBABILITY) for name in columns]


def probabilities_of(scored, prefix=PROBABILITY):
    """Float array `(pages, classes)`."""
    return scored[[prefix + name for name in scored_classes(scored)]].to_numpy()


def predicted_labels(scored, prefix=PROBABILITY):
    """Array of the most probable class of each page."""
    return np.array(scored_classes(scored))[probabilities_of(scored, prefix).argmax(axis=1)]


def _logits(predictions):
    return predictions[[LOGIT + name for name in classes_of(predictions)]].to_numpy(float)


def _places(labels, classes):
    return labels.map({name: place for place, name in enumerate(classes)}).to_numpy()
