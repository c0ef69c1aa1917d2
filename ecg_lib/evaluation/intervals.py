"""All figures of a model on its test pages, with their intervals.

Everything is computed from the test pages of `predictions.csv`. They are never pooled with the
validation pages, on which the temperature is fitted and, under some protocols, the epoch is chosen.
"""

import numpy as np
import pandas as pd

from ecg_lib.evaluation.calibration import label_places, probabilities_of, scored_classes

RESAMPLES = 2000
CONFIDENCE = 0.95
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def figures(scored: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """Compute all figures of a model on the pages it was tested on, with their intervals.

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
        auroc_<class>; NaN where the pages do not determine a figure.
    """
    values = _weighted_figures(scored, np.ones((1, len(scored))))
    spread = _weighted_figures(scored, _drawn_weights(scored["group"], resamples, seed))
    rows = {name: [value[0], *_ends(spread[name])] for name, value in values.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def auroc_gain(
    groups: pd.Series,
    positive: pd.Series,
    scores: np.ndarray,
    control: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Compute by how much one model's AUROC is above another's on the same pages.

    Args:
        groups: what the bootstrap draws, the same for both models, one per page.
        positive: bool, one per page.
        scores: the model's, one per page.
        control: the other model's.
        resamples: number of bootstrap resamples.
        seed: random seed of the bootstrap.

    Returns:
        `(difference, low, high)`, the last two the ends of the 95 % interval.
    """
    weights = np.vstack([np.ones(len(groups)), _drawn_weights(groups, resamples, seed)])
    ours, others = (_auroc(np.asarray(positive), of, weights) for of in (scores, control))
    differences = ours - others
    return (float(differences[0]), *_ends(differences[1:]))


def _ends(drawn):
    """The ends of the interval of a figure's values over all resamples; NaN where it has none."""
    low, high = (np.nan, np.nan) if np.isnan(drawn).all() else np.nanquantile(drawn, TAILS)
    return float(low), float(high)


def _drawn_weights(groups, resamples, seed):
    """How often each page is drawn, `(resamples, pages)`, where whole groups are drawn."""
    distinct, of_page = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    shares = np.full(len(distinct), 1 / len(distinct))
    return rng.multinomial(len(distinct), shares, size=resamples)[:, of_page].astype(float)


def figures_in_a_row(scored: pd.DataFrame) -> dict[str, float]:
    """Compute the same as one row of a table: `{name: value, name_low: ..., name_high: ...}`."""
    row: dict[str, float] = {}
    for name, found in figures(scored).iterrows():
        value, low, high = found[["value", "low", "high"]]
        row |= {f"{name}": value, f"{name}_low": low, f"{name}_high": high}
    return row


def intervals_in_a_table(table: pd.DataFrame, name: str) -> pd.Series:
    """Write a figure of all rows of a table of `figures_in_a_row` with its interval.

    Returns:
        Series of text on the table's index.
    """
    columns = table[[name, f"{name}_low", f"{name}_high"]].to_numpy()
    return pd.Series([with_interval(*row) for row in columns], index=table.index)


def _weighted_figures(scored, weights):
    """The figures, each an array with one value per row of `weights` (resamples, pages)."""
    classes = scored_classes(scored)
    probabilities = probabilities_of(scored)
    true = label_places(scored["label"], classes)
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
    """Weighted area under the ROC curve, ties counting half; one value per row of `weights`."""
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
    """Mean over the classes that have a value."""
    there = ~np.isnan(of_classes)
    return _ratio(np.where(there, of_classes, 0).sum(axis=1), there.sum(axis=1))


def with_interval(value: float, low: float, high: float) -> str:
    """Write a figure and its interval as text, such as "0.740 (0.718 to 0.763)"."""
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
