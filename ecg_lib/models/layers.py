"""Layers and blocks that several networks share."""

import math

import keras
import tensorflow as tf
from keras import ops

from ecg_lib.errors import InputError
from ecg_lib.models.lstm import LSTM


def standardised_crops(
    input_shape: tuple[int, int, int], mean: float, variance: float
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Make the input that every network takes, and standardise it.

    The statistics are constants, not weights: they do not count as parameters and are saved with
    the model's config.

    Args:
        input_shape: `(crops, height, width)`.
        mean: mean of the training split's pixels, in grey levels.
        variance: variance of the training split's pixels, in grey levels squared.

    Returns:
        Two symbolic tensors of shape `(batch, crops, height, width)`: the input, named `crops`,
        which takes uint8 as well as float, and the standardised crops, in float32 also under mixed
        precision.
    """
    crops = keras.Input(input_shape, name="crops")
    return crops, keras.layers.Normalization(
        axis=None, mean=mean, variance=variance, dtype="float32", name="standardise"
    )(crops)


def logits(features: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """End a network with one logit per class, in float32 also under mixed precision."""
    return keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)


def check_image_size(
    network: str, input_shape: tuple[int, int, int], valid: bool, expected: str
) -> None:
    """Refuse an image size that a network cannot take.

    Args:
        network: the network's name.
        input_shape: `(crops, height, width)`.
        valid: whether the network can take it.
        expected: a description of what would be valid.

    Raises:
        InputError: if not `valid`.
    """
    if not valid:
        crops, height, width = input_shape
        raise InputError(
            f"{network} cannot take {crops} crops of {height}x{width} pixels: expected {expected}"
        )


def check_can_be_halved(network: str, input_shape: tuple[int, int, int], times: int) -> None:
    """Refuse crops that are too small to be max-pooled by 2 the given number of times.

    Raises:
        InputError: if height or width is less than 2 ** `times`.
    """
    smallest = 2**times
    check_image_size(
        network,
        input_shape,
        min(input_shape[1:]) >= smallest,
        f"a height and width of at least {smallest}",
    )


def conv_blocks(maps: keras.KerasTensor, filters: tuple[int, ...]) -> keras.KerasTensor:
    """Apply one block per entry of `filters`: conv 3x3 same, ReLU, max-pool 2.

    Args:
        maps: symbolic tensor of shape `(batch, height, width, channels)`.
        filters: number of filters of each block.

    Returns:
        Symbolic tensor with height and width halved by each block, rounding down.
    """
    for number, count in enumerate(filters, start=1):
        maps = ConvPool2D(count, 3, padding="same", name=f"block{number}_conv")(maps)
    return maps


def lstm_with_attention(rows: keras.KerasTensor, units: int) -> keras.KerasTensor:
    """Read a sequence with an LSTM and summarise it by attending to its states.

    The LSTM keeps the arguments that cuDNN's kernel needs.

    Args:
        rows: symbolic tensor of shape `(batch, steps, values)`.
        units: size of the LSTM's state, and of the summary.

    Returns:
        Symbolic tensor of shape `(batch, units)`: tanh(W2 [context; h_T]), without bias, where
        h_T is the last state and context the sum of all states, weighted by `attention`.

    Reference:
        [Luong et al., Effective Approaches to Attention-based Neural Machine Translation,
        EMNLP 2015](https://arxiv.org/abs/1508.04025), "general" score.
    """
    states, last_state, _ = LSTM(units, return_sequences=True, return_state=True, name="lstm")(rows)
    weights = TemporalAttention(name="attention")(states, last_state)
    context = WeightedSum(name="context")(states, weights)
    both = keras.layers.Concatenate(name="context_and_last_state")([context, last_state])
    return keras.layers.Dense(units, activation="tanh", use_bias=False, name="summary")(both)


@keras.saving.register_keras_serializable(package="ecg_lib")
class ConvPool2D(keras.layers.Conv2D):
    """A `Conv2D` with bias and ReLU, followed by a max-pool by 2.

    Args:
        filters: number of filters.
        kernel_size: height and width of the kernel.
        **kwargs: the other arguments of `keras.layers.Conv2D`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        That of the convolution, with height and width halved, rounding down.

    Example:
        >>> ConvPool2D(6, 3, padding="same")(np.ones((2, 9, 8, 4))).shape
        TensorShape([2, 4, 4, 6])

    Raises:
        ValueError: if another activation, or no bias, is given.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        for name, value in {"activation": "relu", "use_bias": True}.items():
            if kwargs.setdefault(name, value) != value:
                raise ValueError(f"ConvPool2D got {name}={kwargs[name]!r}: expected {value!r}")
        super().__init__(filters, kernel_size, **kwargs)

    def call(self, maps):
        convolved = self.convolution_op(maps, self.kernel)
        return _bias_relu_pool(convolved, tf.convert_to_tensor(self.bias))

    def compute_output_shape(self, maps_shape):
        batch, height, width, filters = super().compute_output_shape(maps_shape)
        return batch, height // 2, width // 2, filters


@tf.custom_gradient
def _bias_relu_pool(maps, bias):
    """Add the bias, apply ReLU, and max-pool by 2.

    TensorFlow fuses bias and ReLU into the preceding convolution. In the backward pass it would
    apply ReLU's gradient to all values. Here it is applied after that of the pool: a maximum is
    positive where the pooled value is, so the gradients are equal, for a quarter of the values.
    """
    activated = tf.nn.relu(tf.nn.bias_add(maps, bias))
    pooled = tf.nn.max_pool2d(activated, 2, 2, "VALID")

    def gradient(upstream):
        upstream = tf.raw_ops.ReluGrad(gradients=upstream, features=pooled)
        to_maps = tf.raw_ops.MaxPoolGrad(
            orig_input=activated,
            orig_output=pooled,
            grad=upstream,
            ksize=(1, 2, 2, 1),
            strides=(1, 2, 2, 1),
            padding="VALID",
        )
        return to_maps, tf.raw_ops.BiasAddGrad(out_backprop=upstream)

    return pooled, gradient


@keras.saving.register_keras_serializable(package="ecg_lib")
class TemporalAttention(keras.layers.Layer):
    """Weight each state of a sequence by how much it matters, compared with the last state.

    The score of state h_i is (W h_i) . h_T, with W square and without bias; the weights are the
    softmax of the scores over the steps.

    Input shape:
        Two tensors: the states `(batch, steps, units)` and the last state `(batch, units)`.

    Output shape:
        `(batch, steps)`, not negative, summing to one over the steps.

    Example:
        >>> weights = TemporalAttention()(np.ones((2, 7, 4)), np.ones((2, 4)))
        >>> weights.shape
        TensorShape([2, 7])
    """

    def build(self, states_shape, last_state_shape):
        self.kernel = self.add_weight(shape=(states_shape[-1], last_state_shape[-1]), name="kernel")

    def call(self, states, last_state):
        # (W h_i) . h_T = h_i . (W^T h_T): one projection instead of one per step.
        query = ops.matmul(last_state, ops.transpose(self.kernel))
        scores = ops.squeeze(ops.matmul(states, ops.expand_dims(query, -1)), -1)
        return ops.softmax(scores)

    def compute_output_shape(self, states_shape, last_state_shape):
        return states_shape[:-1]


@keras.saving.register_keras_serializable(package="ecg_lib")
class SpatialAttention(keras.layers.Layer):
    """Weight each position of a feature map by how much it matters: an attention map.

    The compatibility of the features l at a position with the global features g is u . (l + g),
    "parametrised compatibility" in the paper; the map is its softmax over all positions.
    Since u . g is the same at every position, the softmax cancels it: g does not influence the
    map (see `attention_vgg`).

    Input shape:
        Two tensors: the local features `(batch, height, width, channels)` and the global
        features `(batch, 1, 1, channels)`.

    Output shape:
        `(batch, height, width)`, not negative, summing to one over the positions.

    Example:
        >>> attention = SpatialAttention()(np.ones((2, 8, 8, 4)), np.ones((2, 1, 1, 4)))
        >>> attention.shape
        TensorShape([2, 8, 8])

    Reference:
        [Jetley et al., Learn to Pay Attention, ICLR 2018](https://arxiv.org/abs/1804.02391)
    """

    def build(self, local_shape, overall_shape):
        self.kernel = self.add_weight(shape=(local_shape[-1], 1), name="kernel")

    def call(self, local, overall):
        # u . (l + g) = u . l + u . g: the sum of one map instead of the sum of all channels.
        scores = ops.matmul(local, self.kernel) + ops.matmul(overall, self.kernel)
        height, width = local.shape[1:3]
        weights = ops.softmax(ops.reshape(scores, (-1, height * width)))
        return ops.reshape(weights, (-1, height, width))

    def compute_output_shape(self, local_shape, overall_shape):
        return local_shape[:-1]


@keras.saving.register_keras_serializable(package="ecg_lib")
class WeightedSum(keras.layers.Layer):
    """Sum the features over all positions, weighted by attention.

    Input shape:
        Two tensors: the features `(batch, *positions, channels)` and the weights
        `(batch, *positions)`.

    Output shape:
        `(batch, channels)`.

    Example:
        >>> WeightedSum()(np.ones((2, 8, 8, 4)), np.ones((2, 8, 8))).shape
        TensorShape([2, 4])
    """

    def call(self, features, weights):
        positions = math.prod(features.shape[1:-1])
        features = ops.reshape(features, (-1, positions, features.shape[-1]))
        weights = ops.reshape(weights, (-1, 1, positions))
        return ops.squeeze(ops.matmul(weights, features), 1)

    def compute_output_shape(self, features_shape, weights_shape):
        return (features_shape[0], features_shape[-1])


@keras.saving.register_keras_serializable(package="ecg_lib")
class FoldSteps(keras.layers.Layer):
    """Fold the steps of a sequence into the batch, so that later layers see them one by one.

    Input shape:
        `(batch, steps, ...)`.

    Output shape:
        `(batch * steps, ...)`.

    Example:
        >>> UnfoldSteps(steps=8)(FoldSteps()(np.ones((2, 8, 5)))).shape
        TensorShape([2, 8, 5])
    """

    def call(self, sequence):
        return ops.reshape(sequence, (-1, *sequence.shape[2:]))

    def compute_output_shape(self, sequence_shape):
        return (None, *sequence_shape[2:])


@keras.saving.register_keras_serializable(package="ecg_lib")
class UnfoldSteps(keras.layers.Layer):
    """Undo `FoldSteps`.

    Args:
        steps: number of steps.
        **kwargs: those of every Keras layer.

    Input shape:
        `(batch * steps, ...)`.

    Output shape:
        `(batch, steps, ...)`.
    """

    def __init__(self, steps, **kwargs):
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, folded):
        return ops.reshape(folded, (-1, self.steps, *folded.shape[1:]))

    def compute_output_shape(self, folded_shape):
        return (None, self.steps, *folded_shape[1:])

    def get_config(self):
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="ecg_lib")
class StepEmbedding(keras.layers.Layer):
    """Add a learnt embedding of its position to each step of a sequence.

    Input shape:
        `(batch, steps, values)`.

    Output shape:
        The same.

    Example:
        >>> StepEmbedding()(np.ones((2, 13, 6))).shape
        TensorShape([2, 13, 6])
    """

    def build(self, sequence_shape):
        self.embedding = self.add_weight(
            shape=sequence_shape[1:], initializer="random_normal", name="embedding"
        )

    def call(self, sequence):
        return ops.add(sequence, self.embedding)

    def compute_output_shape(self, sequence_shape):
        return sequence_shape


@keras.saving.register_keras_serializable(package="ecg_lib")
class MeanProbability(keras.layers.Layer):
    """Average the probabilities of several networks, and return the mean as logits.

    Input shape:
        A list of logits `(batch, classes)`, one per network.

    Output shape:
        `(batch, classes)`: the logarithm of the mean over the networks of the softmax, so that
        its own softmax is that mean.
    """

    def call(self, logits):
        shares = ops.log_softmax(ops.stack(logits), axis=-1)
        return ops.logsumexp(shares, axis=0) - math.log(len(logits))

    def compute_output_shape(self, logits_shapes):
        return logits_shapes[0]


def networks_of(model: keras.Model) -> list[keras.Model]:
    """Return the networks of an ensemble; for any other model, the model alone."""
    return [layer for layer in model.layers if isinstance(layer, keras.Model)] or [model]
