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
    """Keras' Adamax, whose gradients are clipped after they were summed over the replicas."""


@keras.saving.register_keras_serializable(package="ecg_lib")
class LossScaleOptimizer(_SumFirst, keras.optimizers.LossScaleOptimizer):
    """Keras' scaling of the loss, which looks for overflows in the gradients of all replicas."""
