"""Which of the processes that train together this is, as `TF_CONFIG` says.

TensorFlow reads that environment variable, and launchers write it. Without it, a process trains
alone and is the chief.

Reference:
    [Multi-worker training](https://www.tensorflow.org/guide/distributed_training#TF_CONFIG)
"""

import json
import os

from ecg_lib.errors import InputError

_TRAIN = ("chief", "worker")
"""The jobs whose tasks train."""


def worker_count() -> int:
    """Return the number of processes that train together.

    Raises:
        InputError: if `TF_CONFIG` cannot be read.
    """
    return _count_and_name()[0]


def worker_name() -> str:
    """Return the name of this process, such as "worker1"; "" for the chief.

    The chief alone writes the run folder: the task of job "chief", else the first worker.

    Raises:
        InputError: if `TF_CONFIG` cannot be read.
    """
    return _count_and_name()[1]


def is_chief() -> bool:
    """Return whether this process writes the run folder, see `worker_name`."""
    return not worker_name()


def _count_and_name():
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        count = sum(len(cluster.get(job, ())) for job in _TRAIN)
        chief = ("chief", 0) if "chief" in cluster else ("worker", 0)
        name = (task.get("type", chief[0]), int(task.get("index", chief[1])))
        return max(1, count), "" if name == chief else "{}{}".format(*name)
    except (ValueError, TypeError, AttributeError):
        raise InputError(
            f"TF_CONFIG is {text!r}: expected JSON such as "
            '{"cluster": {"worker": ["host1:port", "host2:port"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from None
