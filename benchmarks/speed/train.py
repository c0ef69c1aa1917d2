"""Measure training steps of the six networks, beside the same networks in PyTorch.

A step takes a batch from memory to updated weights. Each side runs in its own process, with its own
threads and memory. They take turns, so that only one of them runs at a time.
"""

import os

import numpy as np

from benchmarks.speed.elsewhere import elsewhere
from benchmarks.speed.steps import LEARNING_RATE, MEAN, VARIANCE, batch, our_step
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
"""Targets: the time of a step, divided by that of PyTorch."""

SECOND_BIASES = {"attention_lstm": 512, "hybrid": 512}
"""Number of additional parameters of PyTorch's networks: its LSTM has two biases."""


def measure(repetitions, models=PUBLISHED):
    """Measure times of training steps, with as many threads as cores on both sides.

    Args:
        repetitions: how often a step of each network is timed.
        models: names of networks.

    Returns:
        The part's table, see `benchmarks.speed.timing.COLUMNS`.
    """
    return table([each for model in models for each in _compared(model, repetitions)])


def _compared(model, repetitions):
    with elsewhere(_our_step, model) as ours, elsewhere(_pytorch_step, model) as pytorch:
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
    network, step = our_step(model)
    _check_size(model, sum(int(np.prod(weight.shape)) for weight in network.trainable_weights))
    return step


def _pytorch_step(model):
    import torch

    torch.set_num_threads(os.cpu_count())
    crops, labels = batch()
    network = MODELS[model]()
    size = sum(parameter.numel() for parameter in network.parameters())
    _check_size(model, size - SECOND_BIASES.get(model, 0))
    # As published, the crops were standardised once, before the training.
    standardised = torch.from_numpy((crops.astype(np.float32) - MEAN) / VARIANCE**0.5)
    return train_step(network, standardised, torch.from_numpy(labels), LEARNING_RATE)


def _check_size(model, parameters):
    expected = PARAMETERS[model] - SECOND_BIASES.get(model, 0)
    if parameters != expected:
        raise RuntimeError(f"{model} has {parameters} parameters, expected {expected}")
