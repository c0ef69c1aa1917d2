"""Where a run runs, and on which devices."""

import os
import platform
import sys
from functools import cache

import keras
import tensorflow as tf

import ecg_lib
from ecg_lib.errors import InputError
from ecg_lib.runs.workers import worker_count


def choose_strategy(name):
    """The `tf.distribute` strategy of a name; see `RunConfig`.

    Without a GPU, "mirrored" runs over logical CPU devices, if two or more were set up. Where
    `TF_CONFIG` names several workers, it has to be asked for before TensorFlow's first operation,
    and waits for the others.

    Args:
        name: "auto", "single" or "mirrored".

    Raises:
        InputError: if "mirrored" is asked for and there is only one device, or "single" of
            several workers.
    """
    if worker_count() > 1:
        if name == "single":
            raise InputError(
                f"strategy 'single' is for one process, TF_CONFIG names {worker_count()} workers: "
                f"expected 'auto' or 'mirrored', or no TF_CONFIG"
            )
        return _mirrored_over_workers()
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if name == "single" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.OneDeviceStrategy(devices[0].name)
    if len(devices) < 2:
        raise InputError(
            f"strategy 'mirrored' needs two or more devices, here is only one, "
            f"{device_name(devices[0].name)}: expected 'auto' or 'single', or a machine with two "
            f'GPUs, such as Kaggle\'s accelerator "GPU T4 x2"'
        )
    return _mirrored_over(tuple(device.name for device in devices))


@cache
def _mirrored_over(devices):
    # One a process: TensorFlow's replicas would take the sums of a second for those of the first.
    return tf.distribute.MirroredStrategy(devices)


@cache
def _mirrored_over_workers():
    return MultiWorkerMirroredStrategy()


class MultiWorkerMirroredStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's, with which `fit` of Keras 3 (up to 3.13 at least) works.

    Keras asks it for the mean of a whole batch, of which it needs the shapes alone, and for the
    mean of single numbers over an axis that they do not have, which is that over the replicas.

    Reference:
        https://github.com/keras-team/keras/issues/20585
    """

    def reduce(self, reduce_op, value, axis=None):
        if isinstance(value, tuple):
            return tf.nest.map_structure(
                lambda part: self.experimental_local_results(part)[0], value
            )
        return super().reduce(reduce_op, value, axis=None)


def wait_for_workers(strategy):
    """Wait until all processes that train together under a strategy have come to this place."""
    if worker_count() > 1:
        strategy.reduce("SUM", tf.constant(1.0)).numpy()


def device_name(device):
    """What a device is, such as "Tesla T4" or "CPU (2 cores)".

    Args:
        device: TensorFlow's name of it, such as `"/job:localhost/replica:0/task:0/device:GPU:0"`.
    """
    kind, number = device.rsplit(":", 2)[-2:]
    if kind == "CPU":
        return f"CPU ({os.cpu_count()} cores)"
    physical = tf.config.list_physical_devices(kind)[int(number)]
    return tf.config.experimental.get_device_details(physical)["device_name"]


def environment_report(strategy):
    """Say where this runs, with what, and on which devices; fail early if they do not suffice.

    Args:
        strategy: the strategy that will be asked for, see `choose_strategy`.

    Returns:
        A few lines of text.

    Raises:
        InputError: as `choose_strategy`.
    """
    chosen = choose_strategy(strategy)
    devices = [device_name(name) for name in chosen.extended.worker_devices]
    return (
        f"ecg_lib {ecg_lib.__version__} {_place()}, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}\n"
        f"strategy {strategy}: {type(chosen).__name__} on {' + '.join(devices)}"
    )


def _place():
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "on Kaggle"
    return "in a notebook" if "ipykernel" in sys.modules else "in a script"
