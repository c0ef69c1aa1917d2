"""The recipes: optimisers, and the learning rate over time."""

import keras
import numpy as np
import pytest

from ecg_lib.training.recipes import RECIPES, class_weights, compile_model


def compiled(recipe, steps_per_epoch, epochs):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    compile_model(model, RECIPES[recipe], 0.001, steps_per_epoch, epochs)
    return model


def rate_at(optimizer, step):
    """The learning rate of a step; `iterations` counts the steps before it."""
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_on_logits_without_xla(recipe):
    model = compiled(recipe, steps_per_epoch=10, epochs=4)
    assert isinstance(model.loss, keras.losses.SparseCategoricalCrossentropy)
    assert model.loss.get_config()["from_logits"] is True
    assert model.jit_compile is False


def test_published_recipe_is_that_of_the_published_experiment():
    optimizer = compiled("published", steps_per_epoch=138, epochs=20).optimizer
    assert isinstance(optimizer, keras.optimizers.Adamax)
    assert optimizer.epsilon == 1e-8
    assert optimizer.global_clipnorm == 10
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)
    assert RECIPES["published"].augment is None
    rates = {
        epoch: {
            round(rate_at(optimizer, step), 9)
            for step in ((epoch - 1) * 138 + 1, epoch * 138 - 1)  # its second and its last
        }
        for epoch in (1, 10, 11, 15, 16, 20)
    }
    assert rates == {1: {1e-3}, 10: {1e-3}, 11: {5e-4}, 15: {5e-4}, 16: {2.5e-4}, 20: {2.5e-4}}


def test_rate_of_the_first_step_after_an_epoch_is_halved():
    optimizer = compiled("published", steps_per_epoch=5, epochs=20).optimizer
    assert rate_at(optimizer, 10 * 5) == pytest.approx(0.0005)


def test_augmented_recipe_warms_up_and_falls_to_nothing():
    optimizer = compiled("augmented", steps_per_epoch=10, epochs=40).optimizer
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert optimizer.weight_decay == 0.02
    assert rate_at(optimizer, 15) == pytest.approx(0.0005)
    assert rate_at(optimizer, 30) == pytest.approx(0.001)
    assert rate_at(optimizer, 30 + 185) == pytest.approx(0.0005)  # half of the way down
    assert rate_at(optimizer, 400) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("epochs", [1, 2])
def test_short_trainings_have_a_learning_rate_too(epochs):
    optimizer = compiled("augmented", steps_per_epoch=10, epochs=epochs).optimizer
    assert rate_at(optimizer, 10 * epochs - 5) > 0.0004


def test_published_recipe_weights_no_class():
    assert class_weights(np.array([0, 0, 1]), RECIPES["published"].balance) is None


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_rare_classes_count_more_and_the_whole_as_before(balance):
    labels = np.repeat([0, 1, 2], [16, 4, 1])
    weights = class_weights(labels, balance)
    common, rarer, rarest = (weights[labels == number] for number in range(3))
    np.testing.assert_allclose(rarer / common[:4], 4**balance, rtol=1e-6)
    np.testing.assert_allclose(rarest / common[:1], 16**balance, rtol=1e-6)
    assert weights.mean() == pytest.approx(1)
