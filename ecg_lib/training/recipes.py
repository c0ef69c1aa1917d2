"""How networks are trained: optimiser, learning rate over time, and augmentation.

A recipe is chosen by `RunConfig.recipe`. Any network can be trained by any of them, so that what a
network does and what its training does can be told apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from ecg_lib.data.khan2021 import GLOBAL_CLIPNORM, HALVE_AFTER
from ecg_lib.training.augmentation import augment
from ecg_lib.training.optimizers import Adamax, LossScaleOptimizer

WARM_UP_EPOCHS = 3
"""Epochs in which the augmented recipe's learning rate rises to its highest."""


WEIGHT_DECAY = 0.02
"""By how much of the learning rate AdamW shrinks the weights each step."""


BALANCE = 0.5
"""How far the augmented recipe makes up for the rarity of classes, see `Recipe.balance`."""


@dataclass(frozen=True)
class Recipe:
    """One way of training.

    Attributes:
        new_optimizer: from the highest learning rate, the steps an epoch and the number of epochs
            to a Keras optimiser.
        augment: what is done to the crops of a batch before each training step, as
            `ecg_lib.training.augmentation.augment` does it; None for nothing.
        balance: how much more a page of a rare class counts: 0 not at all, 1 so much that all
            classes count the same, see `class_weights`.
        choice: what it is and how it was chosen, for the run record.
    """

    new_optimizer: Callable
    augment: Callable | None
    balance: float
    choice: str


def _adamax(learning_rate, steps_per_epoch, epochs):
    """As published: Adamax, halved after epochs 10 and 15, the norm of all gradients clipped."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        # Keras changes the rate one step after the boundary.
        [epoch * steps_per_epoch - 1 for epoch in HALVE_AFTER],
        [learning_rate, learning_rate / 2, learning_rate / 4],
    )
    # PyTorch's epsilon, which is not Keras'.
    return Adamax(schedule, epsilon=1e-8, global_clipnorm=GLOBAL_CLIPNORM)


def _adamw(learning_rate, steps_per_epoch, epochs):
    """AdamW; the rate rises over the first epochs and then falls along a cosine to nothing."""
    warm_up = min(WARM_UP_EPOCHS, epochs - 1) * steps_per_epoch
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else learning_rate,
        decay_steps=epochs * steps_per_epoch - warm_up,
        warmup_target=learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)


RECIPES = {
    "published": Recipe(_adamax, augment=None, balance=0.0, choice="as published"),
    "augmented": Recipe(
        _adamw,
        augment,
        BALANCE,
        choice=(
            f"AdamW with a weight decay of {WEIGHT_DECAY}, {WARM_UP_EPOCHS} epochs of warm-up, a "
            f"cosine; training pages changed at random; classes weighted by their rarity to the "
            f"power of {BALANCE}; chosen for Lead attention on the validation pages of folds 0 and "
            f"1 of khan2021 under clean, before any test page was predicted"
        ),
    ),
}
"""The recipes by the names that `RunConfig.recipe` takes."""


def compile_model(model, recipe, learning_rate, steps_per_epoch, epochs):
    """Compile a model as a recipe trains it, with cross-entropy on the logits.

    Args:
        model: a Keras model that puts out logits. If it computes in float16, the loss is scaled.
        recipe: a `Recipe`.
        learning_rate: the highest one.
        steps_per_epoch: training steps an epoch.
        epochs: how many epochs are to be trained.
    """
    optimizer = recipe.new_optimizer(learning_rate, steps_per_epoch, epochs)
    if model.dtype_policy.name == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
        # XLA fails under MirroredStrategy, and one setting serves one device and many.
        jit_compile=False,
    )


def class_weights(labels, balance):
    """How much a page of each class counts in the training loss.

    Args:
        labels: class numbers of the training pages, from 0, each at least once.
        balance: the power of the classes' rarity that they are weighted by.

    Returns:
        `{class number: weight}`, over all training pages with a mean of 1; None where all count
        the same.
    """
    if not balance:
        return None
    counts = np.bincount(labels)
    weights = counts**-balance
    return dict(enumerate(weights / np.average(weights, weights=counts)))
