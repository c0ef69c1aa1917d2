"""Naive models: what can be had without looking at the heart.

Each is a function of a prepared set, the rows to learn from, the rows to score and the class names
that returns float `(scored rows, classes)` log-probabilities, so that naive models are judged by
the same code as the networks.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

GREY_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


LEAST = np.log(1e-12)
"""Least log-probability: no class is impossible, and every figure stays finite."""


def majority(prepared, train, scored, classes):
    """Says of every page how frequent each class is among the training pages."""
    shares = _class_shares(prepared.pages.loc[train, "class"], classes)
    return np.log(np.tile(shares, (len(scored), 1)))


def layout_only(prepared, train, scored, classes):
    """Sees a page's layout and its size in pixels, and nothing else."""
    pages = prepared.pages
    labels = pages.loc[train, "class"]
    sizes = pages["width"].astype(str) + "x" + pages["height"].astype(str)
    shares = np.exp(majority(prepared, train, scored, classes))
    # A size that was not seen in training says what its layout says, and a layout what all say.
    for seen in (pages["layout"], pages["layout"] + " " + sizes):
        counts = pd.crosstab(seen[train], labels)
        counts = counts.reindex(index=seen[scored], columns=classes, fill_value=0).to_numpy()
        shares = (counts + shares) / (counts.sum(axis=1, keepdims=True) + 1)
    return np.log(shares)


def grey_statistics(prepared, train, scored, classes):
    """Sees ten numbers a crop: a logistic regression on how bright the crop is, not on where."""
    labels = prepared.pages.loc[train, "class"]
    if labels.nunique() == 1:  # Nothing tells it from others: no regression can be fitted.
        return majority(prepared, train, scored, classes)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    model.fit(grey_features(prepared.crops[train]), labels)
    found = model.predict_log_proba(grey_features(prepared.crops[scored]))
    logs = pd.DataFrame(found, columns=model.classes_)
    return np.maximum(logs.reindex(columns=classes, fill_value=LEAST), LEAST).to_numpy()


def grey_features(crops):
    """Ten grey-level statistics a crop: mean, standard deviation, seven quantiles, share of black.

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
    """Share of each class, had one more page of each been there: no class is impossible."""
    counts = labels.value_counts().reindex(classes, fill_value=0).to_numpy() + 1
    return counts / counts.sum()


BASELINES = {"majority": majority, "layout_only": layout_only, "grey_statistics": grey_statistics}


SEE_CROPS = ("grey_statistics",)
"""The naive models whose result depends on how pages are preprocessed."""
