"""Accuracy and the figures of each class, computed from a run's `predictions.csv`."""

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from ecg_lib.runs.predictions import classes_of, predicted_classes


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return counts of files as a DataFrame: true classes in rows, predicted in columns."""
    classes = classes_of(predictions)
    counts = confusion_matrix(predictions["label"], predicted_classes(predictions), labels=classes)
    return pd.DataFrame(counts, index=classes, columns=classes)


def accuracy(predictions: pd.DataFrame) -> float:
    """Return the share of the scored files whose highest logit is their class, 0 to 1."""
    return float(_is_right(predictions).mean())


def balanced_accuracy(predictions: pd.DataFrame) -> float:
    """Return the mean sensitivity of the classes that have scored files, 0 to 1."""
    return float(_is_right(predictions).groupby(predictions["label"]).mean().mean())


def _is_right(predictions):
    return predictions["label"] == predicted_classes(predictions)


def class_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute precision, recall, F1 and specificity of each class, and their weighted means.

    Returns:
        DataFrame with one row per class and a last row "weighted mean" (weighted by the number of
        scored files of the class, as in the published experiment), and the columns precision,
        recall, f1, specificity (0 to 1; 0 where a class was never predicted or has no files) and
        pages.
    """
    classes = classes_of(predictions)
    precision, recall, f1, pages = precision_recall_fscore_support(
        predictions["label"], predicted_classes(predictions), labels=classes, zero_division=0
    )
    counts = confusion(predictions).to_numpy()
    of_others = counts.sum() - counts.sum(axis=1)
    rightly_not = of_others - (counts.sum(axis=0) - np.diag(counts))
    specificity = np.divide(rightly_not, of_others, out=np.zeros(len(classes)), where=of_others > 0)
    table = pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "specificity": specificity},
        index=pd.Index(classes, name="class"),
    )
    table.loc["weighted mean"] = np.average(table, axis=0, weights=pages)
    return table.assign(pages=[*pages, pages.sum()])
