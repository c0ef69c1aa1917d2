"""Baseline models: the accuracy that is reached without reading a single beat.

Each is a function of a prepared set, the rows to learn from, the rows to score and the class names
that returns float `(scored rows, classes)` log-probabilities, so that baselines are evaluated by
the same code as the networks.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ecg_lib.data.prepared import PreparedSet

GREY_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

LOWEST = np.log(1e-12)
"""Lowest log-probability: no class is impossible, and every figure stays finite."""


def majority(
    prepared: PreparedSet, train: np.ndarray, scored: np.ndarray, classes: list[str]
) -> np.ndarray:
    """Give every page the share of each class among the training pages."""
    shares = _class_shares(prepared.pages.loc[train, "class"], classes)
    return np.log(np.tile(shares, (len(scored), 1)))


def layout_only(
    prepared: PreparedSet, train: np.ndarray, scored: np.ndarray, classes: list[str]
) -> np.ndarray:
    """Classify by a page's layout and its size in pixels, and nothing else."""
    pages = prepared.pages
    labels = pages.loc[train, "class"]
    sizes = pages["width"].astype(str) + "x" + pages["height"].astype(str)
    shares = np.exp(majority(prepared, train, scored, classes))
    # A size without training pages gets the shares of its layout, and a layout those of all.
    for seen in (pages["layout"], pages["layout"] + " " + sizes):
        table = pd.crosstab(seen[train], labels)
        counts = table.reindex(index=seen[scored], columns=classes, fill_value=0).to_numpy()
        shares = (counts + shares) / (counts.sum(axis=1, keepdims=True) + 1)
    return np.log(shares)


def grey_statistics(
    prepared: PreparedSet, train: np.ndarray, scored: np.ndarray, classes: list[str]
) -> np.ndarray:
    """Classify by ten numbers per crop: a regression on how bright a crop is, not on where."""
    labels = prepared.pages.loc[train, "class"]
    if labels.nunique() == 1:  # A regression needs two classes.
        return majority(prepared, train, scored, classes)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(grey_features(prepared.crops[train]), labels)
    found = model.predict_log_proba(grey_features(prepared.crops[scored]))
    logs = pd.DataFrame(found, columns=model.classes_)
    return np.maximum(logs.reindex(columns=classes, fill_value=LOWEST).to_numpy(), LOWEST)


def grey_features(crops: np.ndarray) -> np.ndarray:
    """Compute ten statistics per crop: mean, deviation, seven quantiles of grey, share of black.

    Args:
        crops: uint8 array `(pages, 13, height, width)`.

    Returns:
        float array `(pages, 130)`.
    """
    levels = np.sort(crops.reshape(*crops.shape[:2], -1), axis=2, kind="stable")
    places = np.round(np.array(GREY_QUANTILES) * (levels.shape[2] - 1)).astype(int)
    statistics = [
        levels.mean(axis=2),
        levels.std(axis=2),
        *np.moveaxis(levels[:, :, places], 2, 0),
        (levels == 0).mean(axis=2),
    ]
    return np.concatenate(statistics, axis=1)


def _class_shares(labels, classes):
    """Share of each class with one page of each added, so that no class is impossible."""
    counts = labels.value_counts().reindex(classes, fill_value=0).to_numpy() + 1
    return counts / counts.sum()


BASELINES = {"majority": majority, "layout_only": layout_only, "grey_statistics": grey_statistics}

SEE_CROPS = ("grey_statistics",)
"""The baselines whose result depends on how pages are preprocessed."""
