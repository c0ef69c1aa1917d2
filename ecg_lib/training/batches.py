"""Make training and scoring batches, in a known order of the pages."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import tensorflow as tf

PREDICT_BATCH = 64
_SHARE_BATCHES = tf.data.Options()

# With several workers, each takes its part of every batch.
_SHARE_BATCHES.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA


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
    crops: np.ndarray,
    labels: pd.Series,
    rows: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    *,
    augment: Callable | None = None,
    seed: int = 0,
    skip: int = 0,
) -> tf.data.Dataset:
    """Make a `tf.data.Dataset` of full batches of `(crops, labels)` of `rows`, taken in `order`.

    Args:
        crops: uint8 array `(pages, 13, height, width)`.
        labels: class numbers; the index holds the rows of `crops`.
        rows: rows to take.
        order: places in `rows`, one after the other.
        batch_size: pages per batch.
        augment: changes the crops of each batch, see `ecg_lib.training.recipes.Recipe`.
        seed: random seed of `augment`, together with the number of the batch.
        skip: number of batches to leave out, which were trained on before.
    """
    with tf.device("CPU"):
        all_crops = tf.constant(crops[rows])
        all_labels = tf.constant(labels.loc[rows].to_numpy())

    def take(number, places):
        taken = tf.gather(all_crops, places)
        if augment:
            taken = augment(taken, [seed, number])
        return taken, tf.gather(all_labels, places)

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size, drop_remainder=True)
        .enumerate()
        .skip(skip)
        .map(take)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(_SHARE_BATCHES)
    )


def all_pages(
    crops: np.ndarray, labels: pd.Series, rows: np.ndarray, replicas: int = 1
) -> tf.data.Dataset:
    """Make a `tf.data.Dataset` of `(crops, labels, weights)` of all `rows`, in their order.

    Replicas fail on a batch that does not divide among them. Where that would happen, the first
    rows are repeated at the end with a weight of 0. The sum of all weights equals their number, by
    which Keras divides.
    """
    filled = np.resize(rows, -(-len(rows) // replicas) * replicas)
    weights = np.zeros(len(filled), np.float32)
    weights[: len(rows)] = len(filled) / len(rows)
    pages = tf.data.Dataset.from_tensor_slices((crops[filled], labels.loc[filled], weights))
    return pages.batch(PREDICT_BATCH // replicas * replicas).with_options(_SHARE_BATCHES)
