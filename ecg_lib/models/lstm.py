"""An LSTM that trains faster on CPUs than that of Keras."""

import keras
import tensorflow as tf

PARTS = 2
"""Number of parts into which a batch is divided; they are computed at the same time."""


@keras.saving.register_keras_serializable(package="ecg_lib")
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` with the same weights, outputs and gradients.

    In training in float32 without a GPU, a compiled loop replaces TensorFlow's, and all that does
    not depend on the preceding step is one product for all steps: the part of the inputs, and the
    gradients of the kernels. On a GPU, cuDNN's kernel computes everything. Predictions use Keras'
    own loop, which converters to other formats support.

    Args:
        **kwargs: those of `keras.layers.LSTM`. Keras' own loop computes all activations, masks and
            directions that cuDNN's kernel does not support.

    Example:
        >>> LSTM(4, return_sequences=True)(np.ones((2, 7, 3))).shape
        TensorShape([2, 7, 4])
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not training or mask is not None or not self._is_for_cpu():
            return super().inner_loop(sequences, initial_state, mask, training)
        rows = tf.transpose(sequences, (1, 0, 2))
        projected = tf.nn.bias_add(tf.tensordot(rows, self.cell.kernel, 1), self.cell.bias)
        batch = tf.shape(projected)[1]
        sizes = [batch * (part + 1) // PARTS - batch * part // PARTS for part in range(PARTS)]
        recurrent_kernel = tf.convert_to_tensor(self.cell.recurrent_kernel)
        parts = zip(
            tf.split(projected, sizes, axis=1),
            *(tf.split(state, sizes) for state in initial_state),
            strict=True,
        )
        states, carries = zip(
            *(_recurrence(*part, recurrent_kernel) for part in parts), strict=True
        )
        states = tf.transpose(tf.concat(states, axis=1), (1, 0, 2))
        states = tf.ensure_shape(states, (*sequences.shape[:2], self.units))
        last_state = states[:, -1]
        return last_state, states, [last_state, tf.concat(carries, axis=0)]

    def _is_for_cpu(self):
        return (
            not tf.config.list_logical_devices("GPU")
            and self.compute_dtype == "float32"
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and not (self.go_backwards or self.dropout or self.recurrent_dropout)
        )


@tf.function(autograph=False)  # Eagerly, a tape would look into the compiled loops and fail.
@tf.custom_gradient
def _recurrence(projected, state, carry, recurrent_kernel):
    """Compute all states of an LSTM, `(steps, batch, units)`, and its last carry.

    Args:
        projected: inputs times kernel, plus bias, `(steps, batch, 4 * units)`: the input gate, the
            forget gate, the candidate and the output gate, as Keras orders them.
        state: the state before the first step, `(batch, units)`.
        carry: the carry before the first step, `(batch, units)`.
        recurrent_kernel: `(units, 4 * units)`.
    """
    states, carries, gates = _forward(projected, state, carry, recurrent_kernel)

    def gradient(states_gradient, carry_gradient):
        before = tf.concat([carry[tf.newaxis], carries[:-1]], axis=0)
        projected_gradient, *first_gradients = _backward(
            states_gradient, carry_gradient, before, carries, gates, recurrent_kernel
        )
        before = tf.concat([state[tf.newaxis], states[:-1]], axis=0)
        kernel_gradient = tf.tensordot(before, projected_gradient, [[0, 1], [0, 1]])
        return projected_gradient, *first_gradients, kernel_gradient

    return (states, carries[-1]), gradient


@tf.function(jit_compile=True, autograph=False)
def _forward(projected, state, carry, recurrent_kernel):
    steps = projected.shape[0]
    projected = _sequence(steps).unstack(projected)

    def step(time, state, carry, states, carries, gates):
        summed = projected.read(time) + tf.matmul(state, recurrent_kernel)
        write, keep, candidate, show = tf.split(summed, 4, axis=1)
        write, keep, show = tf.sigmoid(write), tf.sigmoid(keep), tf.sigmoid(show)
        candidate = tf.tanh(candidate)
        carry = keep * carry + write * candidate
        state = show * tf.tanh(carry)
        gates = gates.write(time, tf.concat([write, keep, candidate, show], axis=1))
        return time + 1, state, carry, states.write(time, state), carries.write(time, carry), gates

    first = (0, state, carry, *(_sequence(steps) for _ in range(3)))
    *_, states, carries, gates = tf.while_loop(
        lambda time, *_: time < steps, step, first, maximum_iterations=steps
    )
    return states.stack(), carries.stack(), gates.stack()


@tf.function(jit_compile=True, autograph=False)
def _backward(states_gradient, carry_gradient, carries_before, carries, gates, recurrent_kernel):
    steps = gates.shape[0]
    transposed = tf.transpose(recurrent_kernel)
    inputs = [
        _sequence(steps).unstack(each) for each in (states_gradient, carries_before, carries, gates)
    ]

    def step(time, state_gradient, carry_gradient, projected_gradients):
        from_output, carry_before, carry, gates = (each.read(time) for each in inputs)
        write, keep, candidate, show = tf.split(gates, 4, axis=1)
        shown = tf.tanh(carry)
        state_gradient += from_output
        carry_gradient += state_gradient * show * (1 - shown**2)
        projected_gradient = tf.concat(
            [
                carry_gradient * candidate * write * (1 - write),
                carry_gradient * carry_before * keep * (1 - keep),
                carry_gradient * write * (1 - candidate**2),
                state_gradient * shown * show * (1 - show),
            ],
            axis=1,
        )
        return (
            time - 1,
            tf.matmul(projected_gradient, transposed),
            carry_gradient * keep,
            projected_gradients.write(time, projected_gradient),
        )

    first = (steps - 1, tf.zeros_like(carry_gradient), carry_gradient, _sequence(steps))
    _, state_gradient, carry_gradient, projected_gradients = tf.while_loop(
        lambda time, *_: time >= 0, step, first, maximum_iterations=steps
    )
    return projected_gradients.stack(), state_gradient, carry_gradient


def _sequence(steps):
    return tf.TensorArray(tf.float32, steps)
