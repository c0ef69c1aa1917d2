"""Make training and scoring batches, in a known order of the pages."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

PREDICT_BATCH = 64
_SHARE_BATCHES = tf.data.Options()

# With several workers, each takes its part of every batch.
_SHARE_BATCHES.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA


class Examples(NamedTuple):
    """Crops with labels.

    Attributes:
        crops: uint8 array `(pages, 13, height, width)`.
        labels: class numbers, or one row of several values per page.
        weights: how much each page counts, with a mean of 1; None for alike.
    """

    crops: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None


def join(parts: Sequence[Examples]) -> Examples:
    """Put examples one after the other."""
    crops, labels = (np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[:2])
    if all(part.weights is None for part in parts):
        return Examples(crops, labels)
    weights = [
        np.ones(len(part.labels), np.float32) if part.weights is None else part.weights
        for part in parts
    ]
    return Examples(crops, labels, np.concatenate(weights))


def moments(crops: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Compute mean and variance of all pixels of the given rows, for the Normalization layer.

    Args:
        crops: uint8 array `(pages, 13, height, width)`.
        rows: rows to take.

    Returns:
        `(mean, variance)`, floats on the scale of 0..255.
    """
    counts = np.zeros(256, np.int64)
    for row in rows:
        counts += np.bincount(crops[row].ravel(), minlength=256)
    levels = np.arange(256)
    mean = np.average(levels, weights=counts)
    return float(mean), float(np.average((levels - mean) ** 2, weights=counts))


def page_order(pages: int, length: int, seed: int, reshuffle: bool) -> np.ndarray:
    """Return the order in which the training pages are seen, round after round.

    The rounds follow each other without a gap and batches are cut from the whole. So every batch is
    full, no page is left out more often than another, and the order at any step is known without
    computing the steps before it.

    Args:
        pages: number of training pages.
        length: number of places to fill.
        seed: random seed of the order.
        reshuffle: whether each round has its own random order; otherwise the order is always 0, 1,
            2 and so on.

    Returns:
        int64 array `(length,)` of numbers from 0 to `pages - 1`.
    """
    rounds = range(-(-length // pages))
    if reshuffle:
        orders = [np.random.default_rng([seed, number]).permutation(pages) for number in rounds]
    else:
        orders = [np.arange(pages)] * len(rounds)
    return np.concatenate(orders)[:length]


def batches(
    examples: Examples,
    order: np.ndarray,
    batch_size: int,
    *,
    augment: Callable | None = None,
    seed: int = 0,
    skip: int = 0,
) -> tf.data.Dataset:
    """Make a `tf.data.Dataset` of full batches of examples, taken in `order`.

    Args:
        examples: the `Examples`.
        order: places in them, one after the other.
        batch_size: examples per batch.
        augment: changes the crops of each batch, see `ecg_lib.training.recipes.Recipe`.
        seed: random seed of `augment`, together with the number of the batch.
        skip: number of batches to leave out, which were trained on before.

    Returns:
        A dataset of `(crops, labels)`, or `(crops, labels, weights)` where there are weights.
    """
    with tf.device("CPU"):
        crops, *others = (tf.constant(array) for array in examples if array is not None)

    def take(number, places):
        taken = tf.gather(crops, places)
        if augment:
            taken = augment(taken, [seed, number])
        return taken, *(tf.gather(other, places) for other in others)

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size, drop_remainder=True)
        .enumerate()
        .skip(skip)
        .map(take)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(_SHARE_BATCHES)
    )


def all_pages(examples: Examples, replicas: int = 1) -> tf.data.Dataset:
    """Make a `tf.data.Dataset` of `(crops, labels, weights)` of all examples, in their order.

    Replicas fail on a batch that does not divide among them. Where that would happen, the first
    examples are repeated at the end with a weight of 0. The sum of all weights equals their number,
    by which Keras divides.
    """
    number = len(examples.labels)
    filled = np.resize(np.arange(number), -(-number // replicas) * replicas)
    weights = np.zeros(len(filled), np.float32)
    weights[:number] = 1 if examples.weights is None else examples.weights
    weights *= len(filled) / number
    pages = (examples.crops[filled], examples.labels[filled], weights)
    batch = PREDICT_BATCH // replicas * replicas
    return tf.data.Dataset.from_tensor_slices(pages).batch(batch).with_options(_SHARE_BATCHES)
