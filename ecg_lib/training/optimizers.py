"""Optimisers that do the same on one device and on many."""

import keras
import tensorflow as tf


class _SumFirst:
    """Sum the gradients over all replicas before anything else is done with them.

    Keras clips, and looks for overflows of float16, on each replica before the sum. Several
    replicas then differ from one, and the overflow of one replica may reach the weights. On a
    single device nothing changes.
    """

    def apply_gradients(self, grads_and_vars):
        gradients, variables = zip(*grads_and_vars, strict=True)
        summed = tf.distribute.get_replica_context().all_reduce("SUM", list(gradients))
        return super().apply_gradients(zip(summed, variables, strict=True))

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Return the gradients as they are: Keras calls this after clipping; they are summed."""
        return grads_and_vars


@keras.saving.register_keras_serializable(package="ecg_lib")
class Adamax(_SumFirst, keras.optimizers.Adamax):
    """Keras' Adamax, which clips the gradients after they are summed over the replicas.

    Keras reads all weights about fifteen times per step. TensorFlow's own operation computes the
    same formulas and reads them a third as often, which saves a tenth of a step for the networks
    with tens of millions of weights.
    """

    def _clip_gradients(self, gradients):
        if not self.global_clipnorm:
            return super()._clip_gradients(gradients)
        norm = self._global_norm(gradients)
        # Most steps need no clipping, and then none of the gradients is copied.
        return tf.cond(
            norm > self.global_clipnorm,
            lambda: [gradient * (self.global_clipnorm / norm) for gradient in gradients],
            lambda: gradients,
        )

    def _global_norm(self, gradients):
        return tf.linalg.global_norm(gradients)

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
    """Keras' loss scaling, which checks the gradients of all replicas for overflows."""
