"""The optimiser of the published experiment, the same on one device and on many."""

import keras
import tensorflow as tf


class _SumFirst:
    """Sums the gradients over all replicas before anything is done with them.

    Keras clips, and looks for overflows of float16, on each replica before the sum, so that
    several replicas do not do what one would, and one replica's overflow may reach the weights.
    On a single device nothing changes.
    """

    def apply_gradients(self, grads_and_vars):
        gradients, variables = zip(*grads_and_vars, strict=True)
        summed = tf.distribute.get_replica_context().all_reduce("SUM", list(gradients))
        return super().apply_gradients(zip(summed, variables, strict=True))

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """What Keras calls after it has clipped: the gradients are summed already."""
        return grads_and_vars


@keras.saving.register_keras_serializable(package="ecg_lib")
class Adamax(_SumFirst, keras.optimizers.Adamax):
    """Keras' Adamax, whose gradients are clipped after they were summed over the replicas.

    Keras goes through all weights about fifteen times a step; TensorFlow's own operations of the
    same formulas go through them a third as often, which for the networks with tens of millions of
    weights is a tenth of a step.
    """

    def _clip_gradients(self, gradients):
        norm = tf.linalg.global_norm(gradients)
        # Most steps need no clipping, and then none of the gradients is copied.
        return tf.cond(
            norm > self.global_clipnorm,
            lambda: [gradient * (self.global_clipnorm / norm) for gradient in gradients],
            lambda: gradients,
        )

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        steps = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdaMax(
            var=variable.handle,
            m=self._m[index].value.handle,
            v=self._u[index].value.handle,
            beta1_power=tf.pow(self.beta_1, steps),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


@keras.saving.register_keras_serializable(package="ecg_lib")
class LossScaleOptimizer(_SumFirst, keras.optimizers.LossScaleOptimizer):
    """Keras' scaling of the loss, which looks for overflows in the gradients of all replicas."""
