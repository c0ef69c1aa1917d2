"""Whether a page resembles those that a network was trained on.

The out-of-distribution score of a page is how far the spread of its logits is from the usual one.
For a page that is unlike any training page, the logits lie closer together than those of real
pages, and for a page that exceeds anything seen in training, such as a page in negative, further
apart. The score needs only a run's `predictions.csv`, so that every run has it. What it notices
and what it misses is measured by `benchmarks/refusal.py`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_lib.runs.record import Answering, RunRecord

if TYPE_CHECKING:
    import pandas as pd

KEPT = 0.99
"""Share of the validation pages that lie within the limit."""


def out_of_distribution_score(logits: np.ndarray, answering: Answering) -> np.ndarray:
    """Return how far the spread of each page's logits is from the usual one.

    Args:
        logits: float array `(pages, classes)`.
        answering: the limits of the run.

    Returns:
        A float array `(pages,)`: the absolute logarithm of the quotient of the two spreads, which
        are standard deviations. Pages whose score exceeds `answering.out_of_distribution_limit`
        are refused.
    """
    return np.abs(_log_spread(logits) - answering.usual_log_spread)


def fit_answering(predictions: "pd.DataFrame") -> Answering:
    """Fit what it takes to answer with a network on the validation pages of its run.

    Args:
        predictions: DataFrame of the run's predictions.

    Returns:
        An `Answering`, whose limit keeps at least `KEPT` of the validation pages.
    """
    # Here, since scoring a page needs neither pandas nor SciPy.
    from ecg_lib.evaluation.calibration import temperature_of
    from ecg_lib.evaluation.metrics import accuracy
    from ecg_lib.runs.predictions import logits_of

    spread = _log_spread(logits_of(predictions[predictions["split"] == "validation"]))
    usual = float(np.median(spread))
    limit = float(np.quantile(np.abs(spread - usual), KEPT, method="inverted_cdf"))
    test = predictions[predictions["split"] == "test"]
    right = accuracy(test) if len(test) else None
    return Answering(temperature_of(predictions), usual, limit, len(test), right)


def answering_of(run: Path, record: RunRecord) -> Answering:
    """Return what it takes to answer with the network of a run.

    Args:
        run: the run folder, whose predictions are read only if the record is an older one that
            does not say it.
        record: its record.

    Raises:
        InputError: if the predictions are needed and cannot be used.
    """
    if record.answering is not None:
        return record.answering
    from ecg_lib.runs.predictions import read_predictions, require_pages  # As in `fit_answering`.

    predictions = read_predictions(run, record)
    require_pages(run, predictions, ["validation"])
    return fit_answering(predictions)


def _log_spread(logits):
    """Logarithm of the standard deviation over a page's logits; equal logits have none."""
    return np.log(np.maximum(np.std(logits, axis=1), np.finfo(np.float32).tiny))
