"""Compare models on the same pages: paired tests, and the mean of several models."""

from itertools import combinations

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from ecg_lib.evaluation.calibration import is_right


def mean_of_models(members):
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
        name: _by_page(scored.assign(right=is_right(scored))) for name, scored in models.items()
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
