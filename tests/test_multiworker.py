"""Several workers train what one process trains: two processes on the loopback interface."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ecg_lib.errors import InputError
from ecg_lib.models import load
from ecg_lib.runs import workers
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import MODEL, RECORD, finished_runs, read_history, read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.training.train import train

CLUSTER = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    ("config", "count", "name"),
    [
        ({}, 1, ""),
        ({"cluster": CLUSTER, "task": {"type": "worker", "index": 0}}, 2, ""),
        ({"cluster": CLUSTER, "task": {"type": "worker", "index": "1"}}, 2, "worker1"),
        ({"cluster": CLUSTER | {"chief": ["c:1"]}, "task": {"type": "chief"}}, 3, ""),
        (
            {"cluster": CLUSTER | {"chief": ["c:1"]}, "task": {"type": "worker", "index": 0}},
            3,
            "worker0",
        ),
    ],
)
def test_tf_config_tells_which_worker_this_is(monkeypatch, config, count, name):
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert (workers.worker_count(), workers.worker_name()) == (count, name)
    assert workers.is_chief() == (not name)
    assert RunConfig().notebook_path.name == f"cnn_2d-s1{'.' if name else ''}{name}.ipynb"


@pytest.mark.parametrize(
    "text",
    [
        "worker",
        "[]",
        '{"cluster": ',
        '{"cluster": ["a:1"]}',
        '{"cluster": {"worker": 2}}',
        '{"task": {"index": "x"}}',
        '{"task": {"index": null}}',
    ],
)
def test_a_tf_config_that_cannot_be_read(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=r"TF_CONFIG is .*: expected JSON such as"):
        workers.worker_count()
    with pytest.raises(InputError, match=r"TF_CONFIG is .*: expected JSON such as"):
        workers.worker_name()


@pytest.fixture
def run_on_two_workers(tmp_path):
    """A function that runs `python` with arguments as two workers, and returns what they print."""

    def run(*arguments):
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        addresses = ["{}:{}".format(*opened.getsockname()) for opened in sockets]
        for opened in sockets:
            opened.close()
        started = []
        for index in range(2):
            config = {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
            environment = os.environ | {"TF_CONFIG": json.dumps(config)}
            log = (tmp_path / f"worker{index}.log").open("w+", encoding="utf-8")
            command = [sys.executable, *map(str, arguments)]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            started.append((process, log))
        printed = []
        try:
            statuses = [process.wait(timeout=400) for process, _ in started]
        finally:
            for process, log in started:
                process.kill()
                log.seek(0)
                printed.append(log.read())
                log.close()
        assert statuses == [0, 0], "\n".join(text[-3000:] for text in printed)
        return printed

    return run


TRAIN_RUN = """
import json
import sys

from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.folder import read_record
from ecg_lib.training.train import train

config = RunConfig(**json.loads(sys.argv[1]))
assert read_record(train(config, open_inputs(config)))
"""


def assert_same_run(two, one):
    """Whether the run of two workers in one folder is that of one process in another."""
    history, expected = read_history(two), read_history(one)
    for name in set(history) - {"seconds"}:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-4, err_msg=name)
    for weight, other in zip(load(two / MODEL).weights, load(one / MODEL).weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), other.numpy(), atol=1e-4, err_msg=weight.path)


@pytest.mark.slow
def test_two_workers_train_as_one_process(configure, tmp_path, run_on_two_workers):
    config = configure(prepared=str(tmp_path / "prepared"))
    run_on_two_workers("-c", TRAIN_RUN, json.dumps(vars(config)))
    record = read_record(config.run_path)
    assert record.strategy == "MultiWorkerMirroredStrategy"
    assert (record.workers, record.replicas, record.batch_per_replica) == (2, 2, 2)
    assert [path.parent for path in tmp_path.rglob(RECORD)] == [config.run_path]

    alone = replace(config, results=str(tmp_path / "alone"))
    assert_same_run(config.run_path, train(alone, open_inputs(alone)))


@pytest.mark.slow
def test_two_workers_run_one_model_after_the_other(pages_folder, tmp_path, run_on_two_workers):
    """The ports of one model's training are free again for the next."""
    places = ("--data", pages_folder, "--prepared", tmp_path / "p", "--results", tmp_path / "r")
    options = ("--height", 16, "--width", 16, "--epochs", 1, "--batch-size", 4)
    command = ("-m", "ecg_lib", "run", "--models", "testing", "cnn_2d", *places, *options)
    chief, worker = run_on_two_workers(*command)
    assert "| CNN 2D |" in chief and "| CNN 2D |" not in worker
    (table,) = tmp_path.rglob("accuracy.md")
    assert {path.name for path in finished_runs(table.parent)} == {
        "testing-16px-s1",
        "cnn_2d-16px-s1",
    }
    assert {path.name for path in table.parent.glob("*.ipynb")} == {
        f"{run}-16px-s1{worker}.ipynb"
        for run in ("testing", "cnn_2d")
        for worker in ("", ".worker1")
    }
