"""Pages as they might have been: what is changed at random in the crops of the training pages.

Each change is one that another scan or export of the same recording may bring, or a lead that fell
off; none tells another heart. Sizes are in pixels of the 64x64 crops and grey levels (0 to 255).
"""

import tensorflow as tf

MOST_ROWS, MOST_COLUMNS = 4, 6
"""By how far a crop is shifted at most, as shares of 64 rows and columns."""


CONTRAST = (0.7, 1.3)
"""By what a crop's grey levels are multiplied."""


OFFSET = 12.0
"""What is added to, or taken from, the grey levels of a page at most."""


NOISE = 5.0
"""Standard deviation of what is added to each pixel."""


BLANK = 0.08
"""Probability that a crop is black: a lead that is missing."""


def augment(crops, seed):
    """Change the crops of a batch at random, the same seed in the same way.

    Where and how far is drawn for each crop by itself, but for the offset, a page's own. Drawn
    without a state, so that a training that goes on after an interruption goes on as it would have.

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
    """Each crop shifted by a whole number of pixels; its edge fills what becomes free."""
    _, leads, height, width = crops.shape
    images = tf.reshape(crops, (-1, height, width, 1))
    most = tf.constant([MOST_COLUMNS * width, MOST_ROWS * height], tf.float32) / 64
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
