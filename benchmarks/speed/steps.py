"""Make training steps of our networks, ready to be timed."""

import os

import numpy as np

BATCH = 16
LEARNING_RATE = 1e-3
MEAN, VARIANCE = 127.5, 5400.0
"""About those of `batch`."""


def our_step(model, recipe="published"):
    """Return a network and one step of what `fit` runs.

    The step is the compiled function, fed by the same kind of pipeline, which changes the pages at
    random if the recipe does.
    """
    import tensorflow as tf

    from ecg_lib.models import build
    from ecg_lib.training.batches import Examples, batches
    from ecg_lib.training.devices import choose_strategy
    from ecg_lib.training.recipes import RECIPES, compile_model

    tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count())
    tf.config.threading.set_inter_op_parallelism_threads(os.cpu_count())
    crops, labels = batch()
    strategy = choose_strategy("auto")
    with strategy.scope():
        network = build(model, mean=MEAN, variance=VARIANCE)
        compile_model(network, RECIPES[recipe], LEARNING_RATE, steps_per_epoch=100, epochs=20)
    order = np.arange(BATCH)
    augment = RECIPES[recipe].augment
    fed = batches(Examples(crops, labels), order, BATCH, augment=augment).repeat()
    source = iter(strategy.experimental_distribute_dataset(fed))
    network.make_train_function()
    return network, lambda: float(network.train_function(source)["loss"])


def batch():
    """Return a batch of noise: crops as they are prepared, and labels."""
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (BATCH, 13, 64, 64), dtype=np.uint8)
    return crops, random.integers(0, 5, BATCH)
