"""The strategy's choice, on the devices that there are."""

import pytest
import tensorflow as tf

from ecg_lib.errors import InputError
from ecg_lib.training.devices import choose_strategy, device_name, environment_report

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


def test_report_says_where_and_with_what(monkeypatch):
    report = environment_report("single")
    assert f"TensorFlow {tf.__version__}" in report
    assert "strategy single: OneDeviceStrategy on" in report
    assert "on Kaggle" not in report
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert "on Kaggle" in environment_report("single")
