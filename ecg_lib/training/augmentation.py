"""Change the crops of the training pages at random.

Each change is one that another scan or export of the same recording may show, or a lead that fell
off; none changes what the heart does. Sizes are in pixels of 64x64 crops and in grey levels.
"""

from collections.abc import Sequence

import tensorflow as tf

MAX_ROWS, MAX_COLUMNS = 4, 6
"""Largest shift of a crop, in 64ths of its height and width."""

CONTRAST = (0.7, 1.3)
"""Range of the factor by which a crop's grey levels are multiplied."""

OFFSET = 12.0
"""Largest number that is added to, or subtracted from, the grey levels of a page."""

NOISE = 5.0
"""Standard deviation of the noise that is added to each pixel, in grey levels."""

BLANK = 0.08
"""Probability that a crop becomes black, like a missing lead."""


def augment(crops: tf.Tensor, seed: Sequence[int]) -> tf.Tensor:
    """Change the crops of a batch at random; the same seed changes them in the same way.

    All changes are drawn for each crop separately, except the offset, which is drawn for each page.
    No random state is kept, so that a resumed training continues as it would have without the
    interruption.

    Args:
        crops: tensor `(pages, 13, height, width)`, 0 to 255, ink bright on black.
        seed: two integers.

    Returns:
        float32 tensor of the same shape, 0 to 255.
    """
    shape = tf.shape(crops)
    each_page = tf.concat([shape[:1], [1, 1, 1]], 0)
    each_crop = tf.concat([shape[:2], [1, 1]], 0)
    seeds = tf.unstack(tf.random.split(seed, 5))
    crops = _shifted(tf.cast(crops, tf.float32), seeds[0])
    contrast = tf.random.stateless_uniform(each_crop, seeds[1], *CONTRAST)
    offset = tf.random.stateless_uniform(each_page, seeds[2], -OFFSET, OFFSET)
    noise = tf.random.stateless_normal(shape, seeds[3], stddev=NOISE)
    there = tf.random.stateless_uniform(each_crop, seeds[4]) >= BLANK
    changed = tf.clip_by_value(crops * contrast + offset + noise, 0.0, 255.0)
    return tf.where(there, changed, 0.0)


def _shifted(crops, seed):
    """Shift each crop by a whole number of pixels; its edge pixels fill the gap."""
    _, leads, height, width = crops.shape
    images = tf.reshape(crops, (-1, height, width, 1))
    most = tf.constant([MAX_COLUMNS * width, MAX_ROWS * height], tf.float32) / 64
    share = tf.random.stateless_uniform((tf.shape(images)[0], 2), seed, -1.0, 1.0)
    columns, rows = tf.unstack(tf.round(share * most), axis=1)
    zeros, ones = tf.zeros_like(rows), tf.ones_like(rows)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([ones, zeros, columns, zeros, ones, rows, zeros, zeros], axis=1),
        output_shape=(height, width),
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="NEAREST",
    )
    return tf.reshape(moved, (-1, leads, height, width))
