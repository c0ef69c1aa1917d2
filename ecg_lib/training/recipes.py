"""Recipes of training: optimiser, learning rate over time, and augmentation.

`RunConfig.recipe` names one. Every network can be trained by every recipe, so that the effect of a
network can be separated from the effect of its training.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np

from ecg_lib.data.khan2021 import GLOBAL_CLIPNORM, HALVE_AFTER
from ecg_lib.runs.config import RECIPES as RECIPE_NAMES
from ecg_lib.training.augmentation import augment
from ecg_lib.training.optimizers import Adamax, LossScaleOptimizer

WARM_UP_EPOCHS = 3
"""Number of epochs in which the augmented recipe's learning rate rises to its maximum."""

WEIGHT_DECAY = 0.02
"""Share of the weights, times the learning rate, that AdamW subtracts in each step."""

BALANCE = 0.5
"""How far the augmented recipe compensates for rare classes, see `Recipe.balance`."""


@dataclass(frozen=True)
class Recipe:
    """One way of training.

    Attributes:
        new_optimizer: makes a Keras optimiser from the maximum learning rate, the steps per epoch
            and the number of epochs.
        augment: changes the crops of a batch before each training step, as
            `ecg_lib.training.augmentation.augment` does; None for no change.
        balance: how much more a page of a rare class counts: 0 for not at all, 1 for so much that
            all classes count the same, see `class_weights`.
        choice: what the recipe is and how it was chosen, for the run record.
    """

    new_optimizer: Callable
    augment: Callable | None
    balance: float
    choice: str


def _adamax(learning_rate, steps_per_epoch, epochs):
    """Make the original's optimiser: Adamax, halved after epochs 10 and 15, clipped by norm."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        # Keras changes the rate one step after the boundary.
        [epoch * steps_per_epoch - 1 for epoch in HALVE_AFTER],
        [learning_rate, learning_rate / 2, learning_rate / 4],
    )
    # PyTorch's epsilon, which is not Keras'.
    return Adamax(schedule, epsilon=1e-8, global_clipnorm=GLOBAL_CLIPNORM)


def _adamw(learning_rate, steps_per_epoch, epochs):
    """Make AdamW whose rate rises in the first epochs and then falls along a cosine to zero."""
    warm_up = min(WARM_UP_EPOCHS, epochs - 1) * steps_per_epoch
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else learning_rate,
        decay_steps=epochs * steps_per_epoch - warm_up,
        warmup_target=learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)


_PUBLISHED, _AUGMENTED, _VARIED = RECIPE_NAMES

RECIPES = {
    _PUBLISHED: Recipe(_adamax, augment=None, balance=0.0, choice="as published"),
    _AUGMENTED: Recipe(
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

RECIPES[_VARIED] = replace(
    RECIPES[_AUGMENTED],
    choice=(
        f"{RECIPES[_AUGMENTED].choice}; beside this each training page as it is, saved again, or "
        f"scanned, printed or photographed, one of these three at random in each step"
    ),
)


def compile_model(
    model: keras.Model,
    recipe: Recipe,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    loss: Callable | None = None,
    accuracy: Callable | str = "accuracy",
) -> None:
    """Compile a model for a recipe.

    Args:
        model: a model whose outputs are logits. If it computes in float16, the loss is scaled.
        recipe: the recipe.
        learning_rate: the maximum.
        steps_per_epoch: training steps per epoch.
        epochs: number of epochs of the whole training.
        loss: the loss, by default cross-entropy on the logits.
        accuracy: the metric that the history calls accuracy.
    """
    optimizer = recipe.new_optimizer(learning_rate, steps_per_epoch, epochs)
    if model.dtype_policy.name == "mixed_float16":
        optimizer = LossScaleOptimizer(optimizer)
    model.compile(
        optimizer,
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[accuracy],
        # XLA fails under MirroredStrategy, and the setting is the same for one device and many.
        jit_compile=False,
    )


def class_weights(labels: np.ndarray, balance: float) -> np.ndarray | None:
    """Compute how much each training page counts in the loss, by its class.

    Args:
        labels: class numbers of the training pages, from 0, each at least once.
        balance: exponent of the class frequency, see `Recipe.balance`.

    Returns:
        float32 array of one weight per page, with a mean of 1; None if all pages count the same.
    """
    if not balance:
        return None
    weights = (np.bincount(labels) ** -balance)[labels]
    return (weights / weights.mean()).astype(np.float32)
