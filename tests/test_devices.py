"""The strategy's choice, on the devices that there are and on two that are made up."""

import subprocess
import sys

import pytest
import tensorflow as tf

from ecg_lib.errors import InputError
from ecg_lib.experiment.devices import choose_strategy, device_name, environment_report

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
    with pytest.raises(InputError, match=r"'mirrored' needs two or more devices.*expected 'auto'"):
        choose_strategy("mirrored")
    with pytest.raises(InputError, match="'mirrored' needs two"):
        environment_report("mirrored")


def test_report_says_where_and_with_what(monkeypatch):
    report = environment_report("single")
    assert f"TensorFlow {tf.__version__}" in report
    assert "strategy single: OneDeviceStrategy on" in report
    assert "on Kaggle" not in report
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert "on Kaggle" in environment_report("single")


TWO_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from ecg_lib.experiment import runs
from ecg_lib.experiment.config import RunConfig
from ecg_lib.experiment.devices import choose_strategy
from ecg_lib.experiment.inputs import open_inputs
from ecg_lib.experiment.training import train

assert choose_strategy("auto").num_replicas_in_sync == 1  # two GPUs, not two CPUs
data, prepared, results = sys.argv[1:]
config = RunConfig(
    data=data, prepared=prepared, results=results, model="testing", image_size=16,
    epochs=2, batch_size=16, strategy="mirrored",
)
folder = train(config, open_inputs(config))
record = runs.read_record(folder)
assert record["strategy"] == "MirroredStrategy", record
assert (record["replicas"], record["batch_per_replica"]) == (2, 8), record
assert len(record["devices"]) == 2, record
logits = runs.read_predictions(folder).filter(like="logit_").to_numpy()
assert logits.shape == (10, 5) and np.isfinite(logits).all()
assert np.isfinite(runs.read_history(folder).to_numpy()).all()
"""


@pytest.mark.slow
def test_two_replicas_train_one_model(pages_folder, prepared_folder, prepared_set, tmp_path):
    """Devices are set up before TensorFlow's first operation, so in a process of its own."""
    places = [str(folder) for folder in (pages_folder, prepared_folder, tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, *places], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
