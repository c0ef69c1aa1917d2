"""Whether a page resembles those that a network was trained on.

The features of a page are what the layer `FEATURES_LAYER` says of each lead, averaged over the
leads. The out-of-distribution score is the squared Mahalanobis distance of the features from those
of the training pages, divided by their number, so that it is about 1 for a training page. One mean
and one covariance serve all classes. They are fitted at the end of training and kept in the run
folder as `features.npz`. What the score notices and what it misses is measured by
`benchmarks/refusal.py`.

The networks without this layer have no score. Measures of the logits (their spread, their energy,
the largest probability) let through 94 to 100 % of the pictures that are not ECGs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.files import replacing
from ecg_lib.models import SCORE
from ecg_lib.runs.folder import FEATURES
from ecg_lib.runs.record import Answering, RunRecord, check_digest

# Keras, pandas and SciPy are imported where they are used, since an exported network answers
# without them.
if TYPE_CHECKING:
    import keras
    import pandas as pd

FEATURES_LAYER = "attention_norm"
"""The layer of Lead attention that describes the leads, each in the light of the others."""

KEPT = 0.99
"""Share of the validation pages that lie within the limit."""

SHRINKAGE = 0.01
"""Share of the covariance that is replaced by equal variances, since there are few pages for so
many values."""

SMALLEST_VARIANCE = 1e-6
"""Added to the variance of each feature, so that one that never varies has a distance, too."""

ROUNDING = 1e-3
"""Share of the limit by which it is raised, since runtimes and batch sizes differ in rounding."""

BATCH = 64


@dataclass(frozen=True)
class FeatureStatistics:
    """What the features of a run's pages are like; an ensemble has those of each of its networks.

    Attributes:
        mean: float32 `(networks, features)`, over the training pages.
        whitening: float32 `(networks, features, features)`. Deviations from the mean, multiplied by
            it, have a sum of squares that is the score.
        validation_scores: float32 `(networks, pages)`, scores of the validation pages.
    """

    mean: np.ndarray
    whitening: np.ndarray
    validation_scores: np.ndarray

    @property
    def limit(self) -> float:
        """The largest score of a page that is answered; it keeps `KEPT` of the validation pages."""
        scores = self.validation_scores.mean(axis=0)
        return float(np.quantile(scores, KEPT, method="inverted_cdf")) * (1 + ROUNDING)


def fit_statistics(
    model: "keras.Model", training: np.ndarray, validation: np.ndarray
) -> FeatureStatistics | None:
    """Fit the feature statistics of a network, which is no ensemble.

    Args:
        model: a `keras.Model` from crops to logits.
        training: uint8 array `(pages, 13, height, width)`, the crops that it was trained on.
        validation: those that it was validated on.

    Returns:
        A `FeatureStatistics`, or None if the network has no layer `FEATURES_LAYER`.
    """
    import keras

    if not _has_features(model):
        return None
    extractor = keras.Model(model.input, _features(model))
    features, of_validation = (
        extractor.predict(crops, batch_size=BATCH, verbose=0).astype(float)
        for crops in (training, validation)
    )
    mean = features.mean(axis=0)
    covariance = np.cov(features, rowvar=False, bias=True)
    equal = np.eye(len(mean))
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * covariance.trace() / len(mean) * equal
    inverse = np.linalg.inv(covariance + SMALLEST_VARIANCE * equal)
    whitening = np.linalg.cholesky(inverse) / np.sqrt(len(mean))
    scores = np.square((of_validation - mean) @ whitening).sum(axis=1)
    return FeatureStatistics(
        *(values[np.newaxis].astype(np.float32) for values in (mean, whitening, scores))
    )


def join_statistics(members: Sequence[FeatureStatistics | None]) -> FeatureStatistics | None:
    """Join the statistics of the members of an ensemble; None if a member has none."""
    found = [member for member in members if member is not None]
    if len(found) < len(members):
        return None
    names = [field.name for field in fields(FeatureStatistics)]
    return FeatureStatistics(
        *(np.concatenate([getattr(member, name) for member in found]) for name in names)
    )


def scoring_network(model: "keras.Model", statistics: FeatureStatistics | None) -> "keras.Model":
    """Return a network that gives the out-of-distribution score beside its other outputs.

    The score of an ensemble is the mean of its networks' scores: each is on the scale of its own
    training pages, and a page is as strange as the networks, whose probabilities are averaged as
    well, find it on average.

    Args:
        model: a `keras.Model` from crops to outputs, see `ecg_lib.runs.network`.
        statistics: its statistics, or None.

    Returns:
        A `keras.Model` from crops to a dict of the same outputs and, with statistics, `SCORE`,
        `(pages, 1)`; it shares the weights of `model`.
    """
    from ecg_lib.models.layers import networks_of
    from ecg_lib.runs.network import mean_network

    if statistics is None:
        return model
    parts = zip(networks_of(model), statistics.mean, statistics.whitening, strict=True)
    return mean_network([_with_score(*part) for part in parts])


def _with_score(network, mean, whitening):
    import keras

    from ecg_lib.runs.network import by_name

    # Names of its own, since those that Keras gives may be those of a loaded network's layers.
    deviations = keras.layers.Dense(len(mean), dtype="float32", name="score_deviations")
    whitened = deviations(_features(network))
    deviations.set_weights([whitening, -mean @ whitening])
    score = keras.layers.Dot(axes=1, dtype="float32", name=SCORE)([whitened, whitened])
    outputs = by_name(network.output) | {SCORE: score}
    return keras.Model(network.input, outputs, name=network.name)


def _has_features(model):
    return FEATURES_LAYER in {layer.name for layer in model.layers}


def _features(network):
    import keras

    leads = network.get_layer(FEATURES_LAYER).output
    return keras.layers.GlobalAveragePooling1D(dtype="float32", name="score_features")(leads)


# --- In the run folder ---


def write_statistics(folder: Path, statistics: FeatureStatistics | None) -> None:
    """Write feature statistics into a run folder, if there are any.

    Raises:
        InputError: if they cannot be written.
    """
    if statistics is not None:
        with replacing(folder / FEATURES) as part, part.open("wb") as file:
            np.savez(file, **vars(statistics))


def read_statistics(folder: Path, record: RunRecord) -> FeatureStatistics | None:
    """Read the feature statistics of a run.

    Args:
        folder: the run folder.
        record: its record.

    Returns:
        A `FeatureStatistics`, or None if the run has none.

    Raises:
        InputError: if they are not the file that the record names.
    """
    if record.features_sha256 is None:
        return None
    path = folder / FEATURES
    check_digest(path, record.features_sha256)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return FeatureStatistics(**arrays)
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise InputError(f"{path} cannot be read: expected a run's feature statistics") from error


def fit_answering(
    predictions: "pd.DataFrame", statistics: FeatureStatistics | None = None
) -> Answering:
    """Fit what it takes to answer with a network on the validation pages of its run.

    Args:
        predictions: DataFrame of the run's predictions.
        statistics: its feature statistics, if it has any.
    """
    from ecg_lib.evaluation.calibration import temperature_of
    from ecg_lib.evaluation.metrics import accuracy

    test = predictions[predictions["split"] == "test"]
    return Answering(
        temperature=temperature_of(predictions),
        largest_score=None if statistics is None else statistics.limit,
        test_pages=len(test),
        test_accuracy=accuracy(test) if len(test) else None,
    )


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
    from ecg_lib.runs.predictions import read_predictions, require_pages

    predictions = read_predictions(run, record)
    require_pages(run, predictions, ["validation"])
    return fit_answering(predictions)
