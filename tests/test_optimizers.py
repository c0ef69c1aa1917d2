"""The optimiser steps as Keras' own does, whatever is clipped."""

import keras
import numpy as np
import pytest

from ecg_lib.training.optimizers import Adamax

CLIPPING = [{}, {"clipnorm": 0.1}, {"clipvalue": 0.05}, {"global_clipnorm": 0.1}]


@pytest.mark.parametrize("clipping", CLIPPING, ids=str)
def test_adamax_is_keras_adamax(clipping):
    rng = np.random.default_rng(0)
    before = [rng.normal(size=shape).astype("float32") for shape in ((3, 4), (4,))]
    steps = [[rng.normal(size=value.shape).astype("float32") for value in before] for _ in range(3)]
    found = []
    for optimizer_class in (Adamax, keras.optimizers.Adamax):
        # A large epsilon: without it the steps hardly depend on the size of the gradients.
        optimizer = optimizer_class(0.1, epsilon=1.0, **clipping)
        variables = [keras.Variable(value) for value in before]
        for gradients in steps:
            optimizer.apply([keras.ops.convert_to_tensor(one) for one in gradients], variables)
        found.append([variable.numpy() for variable in variables])
    for value, expected in zip(*found, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_clipping_makes_a_difference_to_that():
    """Else the test above could not fail."""
    moved = []
    for clipping in CLIPPING:
        variable = keras.Variable(np.zeros(2, "float32"))
        gradient = keras.ops.convert_to_tensor(np.array([1.0, 0.2], "float32"))
        Adamax(0.1, epsilon=1.0, **clipping).apply([gradient], [variable])
        moved.append(tuple(variable.numpy().round(6)))
    assert len(set(moved)) == 3  # Of one variable, clipnorm is global_clipnorm.
