"""The shared layers against plain numpy, and against what their configs must hold."""

import inspect

import keras
import numpy as np
import pytest

from ecg_lib.errors import InputError
from ecg_lib.models import layers

random = np.random.default_rng(0)


def normal(*shape):
    return random.normal(size=shape).astype("float32")


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


CUSTOM_LAYERS = {
    layers.FoldSteps: (normal(2, 3, 4, 5),),
    layers.UnfoldSteps: (normal(6, 4, 5),),
    layers.TemporalAttention: (normal(2, 7, 4), normal(2, 4)),
    layers.SpatialAttention: (normal(2, 6, 5, 4), normal(2, 1, 1, 4)),
    layers.WeightedSum: (normal(2, 6, 5, 4), normal(2, 6, 5)),
}
ARGUMENTS = {layers.UnfoldSteps: {"steps": 3}}


def make(layer, **kwargs):
    return layer(**ARGUMENTS.get(layer, {}), **kwargs)


def test_every_custom_layer_is_tested():
    defined = {
        value
        for value in vars(layers).values()
        if inspect.isclass(value)
        and issubclass(value, keras.layers.Layer)
        and value.__module__ == layers.__name__
    }
    assert defined == set(CUSTOM_LAYERS)


@pytest.mark.parametrize("layer", CUSTOM_LAYERS)
def test_config_holds_every_argument(layer):
    inherited = {*inspect.signature(keras.layers.Layer.__init__).parameters, "kwargs"}
    own = set(inspect.signature(layer.__init__).parameters) - inherited
    config = make(layer).get_config()
    assert {name: config[name] for name in own} == ARGUMENTS.get(layer, {})
    assert keras.saving.get_registered_object(f"ecg_lib>{layer.__name__}") is layer


@pytest.mark.parametrize("layer", CUSTOM_LAYERS)
def test_symbolic_shape_is_eager_shape(layer):
    inputs = CUSTOM_LAYERS[layer]
    symbolic = make(layer)(*(keras.KerasTensor((None, *value.shape[1:])) for value in inputs))
    eager = make(layer)(*inputs)
    assert tuple(symbolic.shape[1:]) == tuple(eager.shape[1:])
    assert symbolic.shape[0] is None


@pytest.mark.parametrize("layer", CUSTOM_LAYERS)
def test_layer_follows_mixed_precision(layer):
    half = make(layer, dtype="mixed_float16")(*CUSTOM_LAYERS[layer])
    assert keras.backend.standardize_dtype(half.dtype) == "float16"


def test_temporal_attention_is_the_specified_one():
    states, last = CUSTOM_LAYERS[layers.TemporalAttention]
    layer = layers.TemporalAttention()
    weights = np.asarray(layer(states, last))
    (kernel,) = layer.get_weights()
    projected = states @ kernel
    expected = softmax(np.stack([projected[:, i] * last for i in range(7)], axis=1).sum(axis=-1))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_spatial_attention_is_the_specified_one():
    local, overall = CUSTOM_LAYERS[layers.SpatialAttention]
    layer = layers.SpatialAttention()
    attention = np.asarray(layer(local, overall))
    (kernel,) = layer.get_weights()
    expected = softmax(((local + overall) @ kernel).reshape(2, 30)).reshape(2, 6, 5)
    np.testing.assert_allclose(attention, expected, rtol=1e-5)
    np.testing.assert_allclose(attention.sum(axis=(1, 2)), 1, rtol=1e-6)


def test_weighted_sum_pairs_features_with_their_weights():
    features, weights = CUSTOM_LAYERS[layers.WeightedSum]
    expected = np.einsum("bhwc,bhw->bc", features, weights)
    np.testing.assert_allclose(layers.WeightedSum()(features, weights), expected, rtol=1e-4)
    sequence, steps = features[:, 0], weights[:, 0]
    expected = np.einsum("btc,bt->bc", sequence, steps)
    np.testing.assert_allclose(layers.WeightedSum()(sequence, steps), expected, rtol=1e-4)


def test_unfolding_undoes_folding():
    sequence = normal(2, 3, 4, 5)
    folded = layers.FoldSteps()(sequence)
    np.testing.assert_array_equal(folded[1], sequence[0, 1])
    np.testing.assert_array_equal(layers.UnfoldSteps(3)(folded), sequence)


def test_lstm_with_attention_is_the_specified_one():
    rows = keras.Input((7, 3))
    model = keras.Model(rows, layers.lstm_with_attention(rows, units=4))
    sequence = normal(2, 7, 3)

    states = np.asarray(model.get_layer("lstm")(sequence)[0])
    last = states[:, -1]
    (score_kernel,) = model.get_layer("attention").get_weights()
    (summary_kernel,) = model.get_layer("summary").get_weights()
    weights = softmax(np.einsum("btu,uv,bv->bt", states, score_kernel, last))
    context = (weights[:, :, None] * states).sum(axis=1)
    expected = np.tanh(np.concatenate([context, last], axis=-1) @ summary_kernel)
    np.testing.assert_allclose(model(sequence), expected, rtol=1e-4, atol=1e-6)


def test_lstm_keeps_what_cudnn_needs():
    rows = keras.Input((7, 3))
    model = keras.Model(rows, layers.lstm_with_attention(rows, units=4))
    config = model.get_layer("lstm").get_config()
    assert (config["activation"], config["recurrent_activation"]) == ("tanh", "sigmoid")
    assert config["recurrent_dropout"] == 0
    assert config["use_bias"]
    assert not config["unroll"]


def test_crops_are_standardised_by_the_given_statistics():
    crops, standardised = layers.standardised_crops((13, 4, 4), mean=20.0, variance=2500.0)
    model = keras.Model(crops, standardised)
    pixels = random.integers(0, 256, (2, 13, 4, 4), dtype=np.uint8)
    np.testing.assert_allclose(model(pixels), (pixels.astype("float32") - 20) / 50, rtol=1e-5)
    assert model.count_params() == 0


def test_crops_too_small_to_be_halved_are_refused_in_one_sentence():
    layers.check_can_be_halved("cnn_2d", (13, 4, 5), times=2)
    with pytest.raises(InputError) as error:
        layers.check_can_be_halved("cnn_2d", (13, 3, 64), times=2)
    assert str(error.value) == (
        "cnn_2d cannot take 13 crops of 3x64 pixels: expected a height and width of at least 4"
    )
