"""The shared layers against plain numpy, and against what their configs must hold."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from ecg_lib.errors import InputError
from ecg_lib.models import layers, lstm
from ecg_lib.models.lstm import LSTM

random = np.random.default_rng(0)


def normal(*shape):
    return random.normal(size=shape).astype("float32")


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


CUSTOM_LAYERS = {
    layers.ConvPool2D: (normal(2, 9, 8, 4),),
    layers.FoldSteps: (normal(2, 3, 4, 5),),
    layers.UnfoldSteps: (normal(6, 4, 5),),
    layers.StepEmbedding: (normal(2, 3, 4),),
    layers.TemporalAttention: (normal(2, 7, 4), normal(2, 4)),
    layers.SpatialAttention: (normal(2, 6, 5, 4), normal(2, 1, 1, 4)),
    layers.WeightedSum: (normal(2, 6, 5, 4), normal(2, 6, 5)),
    layers.MeanProbability: ([normal(2, 5), normal(2, 5), normal(2, 5)],),
}
ARGUMENTS = {
    layers.ConvPool2D: {"filters": 6, "kernel_size": (3, 3)},
    layers.UnfoldSteps: {"steps": 3},
}


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
    defined_here = vars(layer).get("__init__", keras.layers.Layer.__init__)
    own = set(inspect.signature(defined_here).parameters) - inherited
    config = make(layer).get_config()
    expected = ARGUMENTS.get(layer, {})
    assert own <= set(expected)
    assert {name: config[name] for name in expected} == expected
    assert keras.saving.get_registered_object(f"ecg_lib>{layer.__name__}") is layer


@pytest.mark.parametrize("layer", CUSTOM_LAYERS)
def test_symbolic_shape_is_eager_shape(layer):
    inputs = CUSTOM_LAYERS[layer]
    symbolic = make(layer)(
        *keras.tree.map_structure(lambda value: keras.KerasTensor((None, *value.shape[1:])), inputs)
    )
    eager = make(layer)(*inputs)
    assert tuple(symbolic.shape[1:]) == tuple(eager.shape[1:])
    assert symbolic.shape[0] is None


@pytest.mark.parametrize("layer", CUSTOM_LAYERS)
def test_layer_follows_mixed_precision(layer):
    half = make(layer, dtype="mixed_float16")(*CUSTOM_LAYERS[layer])
    assert keras.backend.standardize_dtype(half.dtype) == "float16"


def outputs_and_gradients(model, inputs):
    """A model's outputs, and the gradients of a weighted sum of them to weights and inputs."""
    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=True)
        weighted = tf.reduce_sum(outputs * tf.cos(tf.range(outputs.shape[-1], dtype=tf.float32)))
    return [outputs, *tape.gradient(weighted, [inputs, *model.trainable_weights])]


def assert_same_outputs_and_gradients(model, plain, inputs):
    """Also in a compiled function, where TensorFlow makes one operation of several."""
    plain.set_weights(model.get_weights())
    expected = outputs_and_gradients(plain, inputs)
    for run in (outputs_and_gradients, tf.function(outputs_and_gradients)):
        for got, value in zip(run(model, inputs), expected, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5)


def test_conv_pool_is_a_plain_conv_then_a_pool():
    maps = normal(2, 9, 8, 4)
    plain = keras.Sequential(
        [
            keras.layers.Conv2D(6, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
        ]
    )
    model = keras.Sequential([layers.ConvPool2D(6, 3, padding="same")])
    plain.build(maps.shape)
    model.build(maps.shape)
    model.set_weights([weight + 0.3 * normal(*weight.shape) for weight in model.get_weights()])
    assert_same_outputs_and_gradients(model, plain, maps)


@pytest.mark.parametrize("option", [{"activation": "tanh"}, {"use_bias": False}])
def test_conv_pool_refuses_what_it_cannot_do(option):
    with pytest.raises(ValueError, match=r"ConvPool2D got .*: expected"):
        layers.ConvPool2D(6, 3, **option)


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


def test_the_mean_is_one_of_probabilities_not_of_logits():
    (logits,) = CUSTOM_LAYERS[layers.MeanProbability]
    mean = np.asarray(layers.MeanProbability()(logits))
    np.testing.assert_allclose(softmax(mean), np.mean(softmax(np.stack(logits)), axis=0), rtol=1e-5)
    sure = [np.float32([[300, 0]]), np.float32([[0, 300]])]
    np.testing.assert_allclose(layers.MeanProbability()(sure), np.log([[0.5, 0.5]]), rtol=1e-5)


def test_unfolding_undoes_folding():
    sequence = normal(2, 3, 4, 5)
    folded = layers.FoldSteps()(sequence)
    np.testing.assert_array_equal(folded[1], sequence[0, 1])
    np.testing.assert_array_equal(layers.UnfoldSteps(3)(folded), sequence)


def test_each_step_gets_its_own_embedding():
    sequence = normal(2, 3, 4)
    layer = layers.StepEmbedding()
    layer.build(sequence.shape)
    own = normal(3, 4)
    layer.set_weights([own])
    np.testing.assert_allclose(layer(sequence), sequence + own, rtol=1e-6)


@pytest.mark.parametrize("pages", [1, 5])
def test_lstm_is_keras_lstm(pages):
    sequence = normal(pages, 11, 3)
    rows = keras.Input((11, 3))

    def states_and_last_ones(lstm):
        states, last_state, last_carry = lstm(4, return_sequences=True, return_state=True)(rows)
        every = keras.layers.Concatenate()([keras.layers.Flatten()(states), last_state, last_carry])
        return keras.Model(rows, every)

    model = states_and_last_ones(LSTM)
    model.set_weights([weight + 0.3 * normal(*weight.shape) for weight in model.get_weights()])
    assert_same_outputs_and_gradients(model, states_and_last_ones(keras.layers.LSTM), sequence)
    plain = states_and_last_ones(keras.layers.LSTM)
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model(sequence), plain(sequence), rtol=1e-6)


def test_lstm_takes_its_own_loop_only_to_train_in_float32_without_a_gpu(monkeypatch):
    def refuse(*_):
        raise AssertionError("its own loop")

    monkeypatch.setattr(lstm, "_recurrence", refuse)
    sequence = normal(2, 7, 3)
    with pytest.raises(AssertionError, match="its own loop"):
        LSTM(4)(sequence, training=True)
    LSTM(4)(sequence)
    LSTM(4, dtype="mixed_bfloat16")(sequence, training=True)
    LSTM(4, dropout=0.5)(sequence, training=True)
    LSTM(4, go_backwards=True)(sequence, training=True)
    layer = LSTM(4)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert not layer._is_for_cpu()


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
