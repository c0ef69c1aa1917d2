"""Two replicas train what one trains: same seed, same pages, for every network.

Devices are set up before TensorFlow's first operation, so each test is a process of its own.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from ecg_lib.models import OURS, PUBLISHED, load
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import MODEL, read_history, read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import LOGIT, read_predictions

pytestmark = pytest.mark.slow

TWO_DEVICES = """
import sys

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""

DEAD = ("block6", "block7", "global_conv")
"""The layers of AttentionVGG that get no gradient but rounding errors."""


def run_on_two_devices(code, *arguments):
    command = [sys.executable, "-c", TWO_DEVICES + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-3000:]


TRAIN_EACH = """
import json

from ecg_lib.models import build
from ecg_lib.training import recipes
from ecg_lib.training.devices import choose_strategy

networks, path = json.loads(sys.argv[1]), sys.argv[2]
steps, batch = 3, 8
rng = np.random.default_rng(0)
crops = rng.integers(0, 256, (steps * batch, 13, 32, 32), dtype=np.uint8)
labels = rng.integers(0, 5, steps * batch)
pages = tf.data.Dataset.from_tensor_slices((crops, labels)).batch(batch)
recipes.GLOBAL_CLIPNORM = 0.01  # All gradients are clipped.


def weights_and_logits(name, options, optimizer, strategy):
    keras.utils.set_random_seed(1)
    new_model = lambda: build(name, crops.shape[1:], 5, mean=127.5, variance=5461.0, **options)
    with choose_strategy(strategy).scope():
        model = new_model()
        recipes.compile_model(model, recipes.RECIPES["published"], 0.001, steps, epochs=1)
        if optimizer == "sgd":
            model.compile(keras.optimizers.SGD(0.001), model.loss, jit_compile=False)
    before = {weight.path: weight.numpy() for weight in model.weights}
    loss = model.fit(pages, shuffle=False, verbose=0).history["loss"]
    after = {weight.path: weight.numpy() for weight in model.weights}
    alone = new_model()
    alone.set_weights(list(after.values()))
    yield from (("before " + weight, value) for weight, value in before.items())
    yield from after.items()
    yield "loss", loss
    yield "logits", alone.predict(crops, verbose=0)


found = {
    "|".join((name, optimizer, strategy, what)): value
    for name, options in networks.items()
    for optimizer in ("sgd", "adamax")
    for strategy in ("single", "mirrored")
    for what, value in weights_and_logits(name, options, optimizer, strategy)
}
np.savez(path, **found)
"""


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """Arrays by "network|optimizer|strategy|what", after three steps of each training."""
    path = tmp_path_factory.mktemp("trained") / "found.npz"
    run_on_two_devices(TRAIN_EACH, json.dumps(tiny), path)
    return np.load(path)


@pytest.fixture
def compared(trained):
    """A function that returns pairs of arrays, of one replica and of two, by what they are."""

    def pairs(name, optimizer):
        one = f"{name}|{optimizer}|single|"
        return {
            what: (trained[key], trained[f"{name}|{optimizer}|mirrored|{what}"])
            for key in trained.files
            if key.startswith(one) and not (what := key.removeprefix(one)).startswith(DEAD)
        }

    return pairs


@pytest.mark.parametrize("name", (*PUBLISHED, *OURS))
def test_two_replicas_descend_as_one(compared, name):
    pairs = compared(name, "sgd")
    moved = 0
    for what, (one, two) in pairs.items():
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-5, err_msg=what)
        if (before := pairs.get(f"before {what}")) is not None:
            moved = max(moved, np.abs(one - before[0]).max())
    assert moved > 1e-4


@pytest.mark.parametrize("name", (*PUBLISHED, *OURS))
def test_two_replicas_answer_as_one_after_adamax(compared, name):
    pairs = compared(name, "adamax")
    for what in ("loss", "logits"):
        one, two = pairs[what]
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-3, err_msg=what)


TRAIN_RUN = """
import json

from ecg_lib.runs.config import RunConfig
from ecg_lib.training.devices import choose_strategy
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.training.train import train

assert choose_strategy("auto").num_replicas_in_sync == 1  # two GPUs, not two CPUs
config = RunConfig(**json.loads(sys.argv[1]))
train(config, open_inputs(config))
"""


def test_run_on_two_replicas(pages_folder, prepared_folder, tmp_path):
    """15 pages in batches of 8, then 5 to validate: on two replicas the last of each is short."""
    options = {
        "data": str(pages_folder),
        "prepared": str(prepared_folder),
        "results": str(tmp_path),
        "model": "attention_vgg",
        "height": 32,
        "width": 32,
        "epochs": 1,
        "batch_size": 8,
        "strategy": "mirrored",
    }
    run_on_two_devices(TRAIN_RUN, json.dumps(options))
    config = RunConfig(**options)
    record = read_record(config.run_path)
    assert record.strategy == "MirroredStrategy"
    assert (record.replicas, record.batch_per_replica) == (2, 4)
    assert (record.config.batch_size, len(record.devices)) == (8, 2)
    assert np.isfinite(read_history(config.run_path).to_numpy()).all()

    inputs = open_inputs(config)
    scored = inputs.splits.index[inputs.splits != "train"]
    logits = load(config.run_path / MODEL).predict(inputs.prepared.crops[scored], verbose=0)
    recorded = read_predictions(config.run_path).filter(like=LOGIT).to_numpy()
    assert recorded.shape == (10, 5)
    np.testing.assert_allclose(recorded, logits, rtol=1e-5, atol=1e-6)
