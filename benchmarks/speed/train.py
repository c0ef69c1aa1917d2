"""Training steps of the six networks, next to the same networks in PyTorch.

A step takes a batch from memory to updated weights. Each side runs in a process of its own, so that
the two keep their threads and their memory apart; they take turns, so one of them runs at a time.
"""

import multiprocessing
import os
from contextlib import contextmanager

import numpy as np

from benchmarks.speed.timing import milliseconds, ratio, row, side_by_side, table
from benchmarks.speed.torch_models import MODELS, PARAMETERS, train_step
from ecg_lib.models import DISPLAY_NAMES, PUBLISHED

OURS, PYTORCH = "ecg_lib", "PyTorch"

MOST_OF_PYTORCH = {
    "cnn_2d": 0.9,
    "cnn_3d": 0.65,
    "attention_lstm": 1.0,
    "hybrid": 1.0,
    "attention_vgg": 0.9,
    "time_distributed_cnn": 0.35,
}
"""Targets: the time of a step, in times of PyTorch's."""

SECOND_BIASES = {"attention_lstm": 512, "hybrid": 512}
"""By how many parameters PyTorch's networks are larger: its LSTM has two biases."""

BATCH = 16
LEARNING_RATE = 1e-3
MEAN, VARIANCE = 127.5, 5400.0
"""About those of `_batch`."""


def measure(repetitions, models=PUBLISHED):
    """Times of training steps, with as many threads as cores on both sides.

    Args:
        repetitions: how often a step of each network is timed.
        models: names of networks.

    Returns:
        The part's table, see `benchmarks.speed.timing.COLUMNS`.
    """
    return table([each for model in models for each in _compared(model, repetitions)])


def _compared(model, repetitions):
    with _elsewhere(_our_step, model) as ours, _elsewhere(_pytorch_step, model) as pytorch:
        timings = side_by_side({OURS: ours, PYTORCH: pytorch}, repetitions)
    name = DISPLAY_NAMES[model]
    return [
        *(row(f"{name}: {side}", "ms", milliseconds(timings, side)) for side in (OURS, PYTORCH)),
        row(
            f"{name}: {OURS} / {PYTORCH}",
            "",
            ratio(timings, OURS, PYTORCH),
            at_most=MOST_OF_PYTORCH[model],
        ),
    ]


# --- The two sides ---


def _our_step(model):
    """One step of what `fit` runs: the compiled function, fed by the same kind of pipeline."""
    import pandas as pd
    import tensorflow as tf

    from ecg_lib.experiment.devices import choose_strategy
    from ecg_lib.experiment.recipes import RECIPES, compile_model
    from ecg_lib.experiment.training import batches
    from ecg_lib.models import build

    tf.config.threading.set_intra_op_parallelism_threads(os.cpu_count())
    tf.config.threading.set_inter_op_parallelism_threads(os.cpu_count())
    crops, labels = _batch()
    strategy = choose_strategy("auto")
    with strategy.scope():
        network = build(model, mean=MEAN, variance=VARIANCE)
        compile_model(network, RECIPES["published"], LEARNING_RATE, steps_per_epoch=100, epochs=20)
    _check_size(model, sum(int(np.prod(weight.shape)) for weight in network.trainable_weights))
    order = np.arange(BATCH)
    fed = batches(crops, pd.Series(labels), order, order, BATCH).repeat()
    source = iter(strategy.experimental_distribute_dataset(fed))
    network.make_train_function()
    return lambda: float(network.train_function(source)["loss"])


def _pytorch_step(model):
    import torch

    torch.set_num_threads(os.cpu_count())
    crops, labels = _batch()
    network = MODELS[model]()
    size = sum(parameter.numel() for parameter in network.parameters())
    _check_size(model, size - SECOND_BIASES.get(model, 0))
    # As published, the crops were standardised once, before the training.
    standardised = torch.from_numpy((crops.astype(np.float32) - MEAN) / VARIANCE**0.5)
    return train_step(network, standardised, torch.from_numpy(labels), LEARNING_RATE)


def _batch():
    """A batch of noise: crops as they are prepared, and labels."""
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (BATCH, 13, 64, 64), dtype=np.uint8)
    return crops, random.integers(0, 5, BATCH)


def _check_size(model, parameters):
    expected = PARAMETERS[model] - SECOND_BIASES.get(model, 0)
    if parameters != expected:
        raise RuntimeError(f"{model} has {parameters} parameters, expected {expected}")


# --- A process for each ---


@contextmanager
def _elsewhere(new_step, model):
    """A function that makes a step in another process, and waits until it is done."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_make_steps, args=(there, new_step, model), daemon=True)
    process.start()
    there.close()

    def step():
        here.send(True)
        here.recv()

    try:
        yield step
    finally:
        here.close()
        process.join()


def _make_steps(connection, new_step, model):
    step = new_step(model)
    while _asked(connection):
        step()
        connection.send(True)


def _asked(connection):
    try:
        return connection.recv()
    except EOFError:
        return False
