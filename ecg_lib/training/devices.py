"""Choose and describe the devices that a run trains on."""

import os
import platform
import socket
import sys
import time
from functools import cache

import keras
import tensorflow as tf

import ecg_lib
from ecg_lib.errors import InputError
from ecg_lib.runs.workers import worker_count

PEER_SECONDS = 600
"""How long a worker waits for the others: they may still prepare their pages."""


def choose_strategy(name: str) -> tf.distribute.Strategy:
    """Return the `tf.distribute` strategy of a name; see `RunConfig`.

    Without a GPU, "mirrored" runs over logical CPU devices, if two or more were set up. Where
    `TF_CONFIG` names several workers, this must be called before TensorFlow's first operation, and
    waits for the others.

    Args:
        name: "auto", "single" or "mirrored".

    Raises:
        InputError: if the name is "mirrored" and there is only one device, if it is "single" and
            there are several workers, or if a worker does not come.
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


def mixed_policy() -> str:
    """Return Keras' policy for mixed precision here: float16 on a GPU, bfloat16 on a CPU.

    CPUs with AMX multiply bfloat16 in hardware, and it needs no scaling of the loss.
    """
    return "mixed_float16" if tf.config.list_logical_devices("GPU") else "mixed_bfloat16"


@cache
def _mirrored_over(devices):
    # One per process: the replicas of a second one would receive the sums of the first.
    return tf.distribute.MirroredStrategy(devices)


@cache
def _mirrored_over_workers():
    own, peers = _addresses()
    wait_for_peers(own, peers, PEER_SECONDS)
    return MultiWorkerMirroredStrategy()


def _addresses():
    """Return this worker's address, and those of the others by their names."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    cluster = resolver.cluster_spec().as_dict()
    addresses = {
        f"{job}{number}": address
        for job in cluster.keys() & {"chief", "worker"}
        for number, address in enumerate(cluster[job])
    }
    own = addresses.pop(f"{resolver.task_type}{resolver.task_id or 0}")
    return own, addresses


def wait_for_peers(own: str, peers: dict[str, str], seconds: float) -> None:
    """Wait until every other worker listens at its address, as this one does meanwhile.

    TensorFlow itself waits for them without a limit. It listens at the same addresses afterwards,
    so that a worker that comes later sees this one, too.

    Args:
        own: this worker's address, `"host:port"`.
        peers: addresses of the others, by their names.
        seconds: how long to wait.

    Raises:
        InputError: if a worker does not come, or if this one's port is in use.
    """
    try:
        listener = socket.create_server(("", int(own.rpartition(":")[2])))
    except OSError as error:
        raise InputError(
            f"{own}, this worker's address in TF_CONFIG, cannot be used: {error.strerror}"
        ) from None
    with listener:
        end = time.monotonic() + seconds
        while missing := {name: at for name, at in peers.items() if not _listens(at)}:
            if time.monotonic() > end:
                named = " and ".join(f"{name} ({at})" for name, at in sorted(missing.items()))
                raise InputError(
                    f"{named} did not come within {seconds:g} seconds: expected one process for "
                    f"each worker that TF_CONFIG names"
                )
            time.sleep(0.2)


def _listens(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


class MultiWorkerMirroredStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's strategy, changed so that `fit` of Keras 3 (up to 3.13) works with it.

    Keras requests the mean of a whole batch, of which it only needs the shapes, and the mean of
    single numbers over an axis that they do not have, which is the mean over the replicas.

    Reference:
        https://github.com/keras-team/keras/issues/20585
    """

    def reduce(self, reduce_op, value, axis=None):
        if isinstance(value, tuple):
            return tf.nest.map_structure(
                lambda part: self.experimental_local_results(part)[0], value
            )
        return super().reduce(reduce_op, value, axis=None)


def wait_for_workers(strategy: tf.distribute.Strategy) -> None:
    """Wait until all processes that train together under a strategy have reached this call."""
    if worker_count() > 1:
        strategy.reduce("SUM", tf.constant(1.0)).numpy()


def device_name(device: str) -> str:
    """Describe a device, such as "Tesla T4" or "CPU (2 cores)".

    Args:
        device: TensorFlow's name of it, such as `"/job:localhost/replica:0/task:0/device:GPU:0"`.
    """
    kind, number = device.rsplit(":", 2)[-2:]
    if kind == "CPU":
        return f"CPU ({os.cpu_count()} cores)"
    physical = tf.config.list_physical_devices(kind)[int(number)]
    return tf.config.experimental.get_device_details(physical)["device_name"]


def environment_report(strategy: str) -> str:
    """Describe where this runs, with which versions and devices; fail early without enough devices.

    Args:
        strategy: the name of the strategy that will be used, see `choose_strategy`.

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
