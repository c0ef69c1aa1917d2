"""The strategy's choice, on the devices that there are."""

import socket
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
import tensorflow as tf

from ecg_lib.errors import InputError
from ecg_lib.training.devices import (
    choose_strategy,
    device_name,
    environment_report,
    wait_for_peers,
)

no_gpu = pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="is about a machine without GPU"
)


@no_gpu
@pytest.mark.parametrize("name", ["auto", "single"])
def test_one_device_needs_no_mirrors(name):
    strategy = choose_strategy(name)
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.num_replicas_in_sync == 1
    assert device_name(strategy.extended.worker_devices[0]).startswith("CPU (")


@no_gpu
def test_mirrored_needs_two_devices():
    with pytest.raises(
        InputError,
        match=r"'mirrored' needs two or more devices, here is only one, CPU .*expected 'auto'",
    ):
        choose_strategy("mirrored")
    with pytest.raises(InputError, match="'mirrored' needs two"):
        environment_report("mirrored")


def test_several_workers_are_no_single_device(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    with pytest.raises(InputError, match=r"'single' is for one process, TF_CONFIG names 2 workers"):
        choose_strategy("single")


@pytest.fixture
def addresses():
    """Two addresses of this machine whose ports are free."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = ["{}:{}".format(*server.getsockname()) for server in servers]
    for server in servers:
        server.close()
    return found


def test_a_worker_that_does_not_come_is_named(addresses):
    own, other = addresses
    with pytest.raises(InputError, match=rf"worker1 \({other}\) did not come within 0.1 seconds"):
        wait_for_peers(own, {"worker1": other}, seconds=0.1)


def test_workers_find_each_other_whoever_comes_first(addresses):
    own, other = addresses
    with ThreadPoolExecutor() as pool:
        first = pool.submit(wait_for_peers, own, {"worker1": other}, 30)
        assert not wait([first], timeout=0.3).done
        # TensorFlow listens there from now on.
        with socket.create_server(("127.0.0.1", int(other.rpartition(":")[2]))):
            first.result(timeout=30)


def test_an_address_in_use_is_refused(addresses):
    own, other = addresses
    with (
        socket.create_server(("127.0.0.1", int(own.rpartition(":")[2]))),
        pytest.raises(InputError, match=f"{own}, this worker's address in TF_CONFIG, cannot be"),
    ):
        wait_for_peers(own, {"worker1": other}, seconds=0)


def test_report_says_where_and_with_what(monkeypatch):
    report = environment_report("single")
    assert f"TensorFlow {tf.__version__}" in report
    assert "strategy single: OneDeviceStrategy on" in report
    assert "on Kaggle" not in report
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert "on Kaggle" in environment_report("single")
