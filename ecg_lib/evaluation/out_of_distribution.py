"""Whether a page looks like anything that a network was trained on.

The measure is how far apart a page's logits lie. Where nothing in the page looks familiar, they lie
closer together than those of real pages, and where the page goes beyond anything seen, such as a
page in negative, further apart. It needs nothing but a run's `predictions.csv`, so every run has
it. What it notices, and what not, is measured by `benchmarks/refusal.py`.
"""

from dataclasses import dataclass

import numpy as np

from ecg_lib.runs.predictions import LOGIT

KEPT = 0.99
"""Share of the validation pages that lie within the limit."""


@dataclass(frozen=True)
class Familiarity:
    """What real pages that were not trained on look like to a network.

    Attributes:
        usual: the usual spread of a page's logits, the median's logarithm.
        limit: the furthest from it, up or down, that a page may be to be answered for.
    """

    usual: float
    limit: float

    def strangeness(self, logits):
        """How far pages are from the usual, by the factor's logarithm.

        Args:
            logits: float array `(pages, classes)`.

        Returns:
            A float array `(pages,)`, 0 or more; those over `limit` are refused.
        """
        return np.abs(_log_spread(logits) - self.usual)


def familiarity(predictions):
    """The `Familiarity` that keeps at least `KEPT` of a run's validation pages.

    Args:
        predictions: DataFrame of the run's predictions.
    """
    validation = predictions[predictions["split"] == "validation"]
    logits = validation.filter(like=LOGIT).to_numpy()
    usual = float(np.median(_log_spread(logits)))
    strangeness = Familiarity(usual, np.inf).strangeness(logits)
    return Familiarity(usual, float(np.quantile(strangeness, KEPT, method="inverted_cdf")))


def _log_spread(logits):
    """Logarithm of the standard deviation over a page's logits; alike logits have none."""
    return np.log(np.maximum(np.std(logits, axis=1), np.finfo(np.float32).tiny))
