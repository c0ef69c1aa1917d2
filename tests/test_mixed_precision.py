"""16 bits where that is safe: the same answers within their precision, and no overflow."""

import keras
import numpy as np
import pytest

from ecg_lib.models import OURS, PUBLISHED, build, load
from ecg_lib.runs.folder import MODEL, read_history
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import LOGIT, read_predictions
from ecg_lib.runs.record import read_record
from ecg_lib.training.optimizers import LossScaleOptimizer
from ecg_lib.training.recipes import RECIPES, compile_model
from ecg_lib.training.train import precision, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crops():
    """Crops with as little ink as real ones have, but one that is all ink."""
    is_ink = np.random.default_rng(0).random((8, 13, 32, 32)) < 0.08
    is_ink[0] = True
    return np.uint8(255) * is_ink


@pytest.fixture(scope="module")
def labels():
    return np.arange(8) % 5


@pytest.fixture
def build_twice():
    """A function that builds a network in float32 and in mixed precision, of equal weights."""
    statistics = {"mean": 21.3, "variance": 2809.0}

    def build_both(name, **options):
        models = []
        for policy in ("float32", "mixed_float16"):
            with precision(policy):
                models.append(build(name, (13, 32, 32), 5, **statistics, **options))
        full, mixed = models
        mixed.set_weights(full.get_weights())
        return full, mixed

    yield build_both
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", (*PUBLISHED, *OURS))
def test_mixed_precision_learns_as_float32_does(build_twice, tiny, crops, labels, name):
    keras.utils.set_random_seed(1)
    models = build_twice(name, **tiny[name])
    mixed = models[1]
    assert mixed.output.dtype == "float32"
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    computed = {layer.compute_dtype for layer in mixed.layers}
    assert computed == {"float16", "float32"}

    def logits():
        return [model.predict(crops, verbose=0) for model in models]

    before, before_mixed = logits()
    np.testing.assert_allclose(before_mixed, before, rtol=0.01, atol=0.005)
    losses = []
    for model in models:
        compile_model(model, RECIPES["published"], learning_rate=0.001, steps_per_epoch=2, epochs=3)
        history = model.fit(crops, labels, batch_size=4, epochs=3, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    assert isinstance(mixed.optimizer, LossScaleOptimizer)
    assert int(mixed.optimizer.iterations) == 6
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.01)
    after, after_mixed = logits()
    np.testing.assert_allclose(after_mixed, after, rtol=0.02, atol=0.02)
    assert np.abs(after - before).max() > 0.05


def test_gradients_are_clipped_after_they_were_unscaled(
    build_twice, tiny, crops, labels, monkeypatch
):
    monkeypatch.setattr("ecg_lib.training.recipes.GLOBAL_CLIPNORM", 0.01)
    _, model = build_twice("cnn_2d", **tiny["cnn_2d"])
    compile_model(model, RECIPES["published"], learning_rate=0.001, steps_per_epoch=1, epochs=1)
    model.fit(crops, labels, epochs=1, verbose=0)
    momenta = [v.numpy() for v in model.optimizer.variables if v.name.endswith("_momentum")]
    norm = np.sqrt(sum(np.sum(momentum**2) for momentum in momenta))
    assert norm == pytest.approx((1 - 0.9) * 0.01, rel=1e-3)


def test_a_step_that_overflows_is_left_out(build_twice, tiny, crops, labels):
    _, model = build_twice("cnn_2d", **tiny["cnn_2d"])
    compile_model(model, RECIPES["published"], learning_rate=0.001, steps_per_epoch=1, epochs=1)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.dynamic_scale.assign(1e30)
    before = model.get_weights()
    model.fit(crops, labels, epochs=1, verbose=0)
    assert float(optimizer.dynamic_scale) == pytest.approx(5e29)
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_run_in_mixed_precision_is_saved_in_float32(configure):
    config = configure(mixed_precision=True)
    inputs = open_inputs(config)
    folder = train(config, inputs)
    assert folder.name == "testing-16px-mixed-s1"
    assert read_record(folder).config.mixed_precision is True
    assert np.isfinite(read_history(folder).to_numpy()).all()
    model = load(folder / MODEL)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    scored = inputs.splits.index[inputs.splits != "train"]
    logits = model.predict(inputs.prepared.crops[scored], verbose=0)
    recorded = read_predictions(folder).filter(like=LOGIT)
    np.testing.assert_allclose(recorded, logits, rtol=1e-5, atol=1e-6)
