"""Training and scoring batches, and the order in which pages are seen."""

import numpy as np
import tensorflow as tf

PREDICT_BATCH = 64


_SHARE_BATCHES = tf.data.Options()


# Of several workers, each takes its part of every batch.
_SHARE_BATCHES.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA


def moments(crops, rows):
    """Mean and variance of all pixels of the given rows, for the model's Normalization layer.

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


def page_order(pages, length, seed, reshuffle):
    """In which order the training pages are gone through, round after round.

    The rounds follow each other without a gap and batches are cut from the whole, so that every
    batch is full, no page is left out more often than another, and the order at any step is known
    without going through the steps before it.

    Args:
        pages: number of training pages.
        length: number of places to fill.
        seed: random seed of the order.
        reshuffle: whether each round has an order of its own; otherwise they are taken as they are.

    Returns:
        int64 array `(length,)` of numbers from 0 to `pages - 1`.
    """
    rounds = range(-(-length // pages))
    if reshuffle:
        orders = [np.random.default_rng([seed, number]).permutation(pages) for number in rounds]
    else:
        orders = [np.arange(pages)] * len(rounds)
    return np.concatenate(orders)[:length]


def batches(crops, labels, rows, order, batch_size, *, augment=None, seed=0, skip=0):
    """A `tf.data.Dataset` of full batches of `(crops, labels)` of `rows`, taken in `order`.

    Args:
        crops: uint8 array `(pages, 13, height, width)`.
        labels: Series of class numbers, its index the rows of `crops`.
        rows: rows to take.
        order: places in `rows`, one after the other.
        batch_size: pages a batch.
        augment: what is done to each batch's crops, see `ecg_lib.training.recipes.Recipe`.
        seed: random seed of what `augment` does; a batch's number counts as well.
        skip: number of batches to leave out, those that were trained on before.
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


def all_pages(crops, labels, rows, replicas=1):
    """A `tf.data.Dataset` of `(crops, labels, weights)` of all `rows`, in their order.

    Replicas fail on a batch that does not divide among them, so in front of them the first rows
    come once more where it takes that, with a weight of 0. The weights add up to their number, by
    which Keras divides.
    """
    filled = np.resize(rows, -(-len(rows) // replicas) * replicas)
    weights = np.zeros(len(filled), np.float32)
    weights[: len(rows)] = len(filled) / len(rows)
    pages = tf.data.Dataset.from_tensor_slices((crops[filled], labels.loc[filled], weights))
    return pages.batch(PREDICT_BATCH // replicas * replicas).with_options(_SHARE_BATCHES)
