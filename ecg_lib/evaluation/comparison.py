"""Compare models on the same pages: paired tests, and the mean of several models."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from ecg_lib.evaluation.calibration import is_right


def mean_of_models(members: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean probability of several models.

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
    """Scored pages by what identifies them in every run, whatever their files are called there.

    Under some protocols there are copies; these are numbered.
    """
    copy = scored.groupby(["page_id", "label"]).cumcount()
    return scored.set_index(["page_id", "label", copy], drop=False).rename_axis([None] * 3)


def compare(models: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Test all pairs of models exactly, on the pages that both scored.

    Pages of one exam are alike and not independent: p is the probability that the models differ
    in right pages at least as much if, for each exam as a whole, chance exchanged the two. Where
    every exam has one page, that is McNemar's exact test.

    Args:
        models: dict of DataFrames as `score` returns them, by the models' names.

    Returns:
        DataFrame with one row per pair: model, other, pages, only_model (pages that only the first
        has right), only_other, p_mcnemar (of McNemar's exact test, which treats all pages as
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
    """Two-sided p of a sum of integers, each of which has either sign with equal probability."""
    chances = np.ones(1)  # Of each sum of the numbers so far, in ascending order.
    for size in abs(differences):
        chances = (np.pad(chances, (2 * size, 0)) + np.pad(chances, (0, 2 * size))) / 2
    greatest = abs(differences).sum()
    sums = np.arange(-greatest, greatest + 1)
    return min(float(chances[abs(sums) >= abs(differences.sum())].sum()), 1.0)
