"""Trainings that are killed, at chosen and at random moments, and resumed.

Every training runs in a process of its own, forked from a server that has imported TensorFlow.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.evaluation.tables import accuracy_table
from ecg_lib.files import replacing
from ecg_lib.models import MODELS, load
from ecg_lib.runs.folder import HISTORY, MODEL, RECORD, read_history, read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.predictions import PREDICTIONS

if sys.platform == "win32":
    pytest.skip("Windows has no SIGKILL", allow_module_level=True)

pytestmark = pytest.mark.slow

FILES = {RECORD, HISTORY, PREDICTIONS, MODEL}

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["ecg_lib.training.train"])


# --- In the process that trains ---


def train_in_process(config, keep_best, set_trap):
    from ecg_lib.training.train import train

    MODELS["testing"] = with_dropout
    PROTOCOLS["plain"] = replace(PROTOCOLS["plain"], keep_best=keep_best)
    if set_trap:
        set_trap(config.run_path)
    train(config, open_inputs(config))


def with_dropout(*args, **kwargs):
    """The testing network with dropout, whose random state must be resumed, too."""
    import keras

    from ecg_lib.models.testing import testing

    network = testing(*args, **kwargs)
    features = keras.layers.Dropout(0.3)(network.get_layer("average").output)
    return keras.Model(network.input, keras.layers.Dense(5)(features), name="testing")


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def die_writing(name, stage, time_of_writing=1):
    """A trap: be killed when a file is written "half", "whole" but not in place, or "in place"."""
    return partial(_trap_writing, name=name, stage=stage, time_of_writing=time_of_writing)


def _trap_writing(folder, name, stage, time_of_writing):
    times = iter(range(1, 1000))

    @contextmanager
    def watched(path):
        now = path.name == name and next(times) == time_of_writing
        with replacing(path) as part:
            yield part
            if now and stage == "half":
                halve(part)
            if now and stage != "in place":
                die()
        if now:
            die()

    patch("ecg_lib.files.replacing", watched).start()
    patch("ecg_lib.training.checkpoints.replacing", watched).start()


def die_calling(function, half_written=None):
    """A trap: be killed when a function is called, with one file of the run only half there."""
    return partial(_trap_call, function=function, half_written=half_written)


def _trap_call(folder, function, half_written):
    def halve_and_die(*args, **kwargs):
        if half_written:
            halve(folder / half_written)
        die()

    patch(function, side_effect=halve_and_die).start()


# --- Around it ---


def start(config, keep_best, set_trap=None):
    process = processes.Process(target=train_in_process, args=(config, keep_best, set_trap))
    process.start()
    return process


def epochs_written(folder):
    """Number of epochs in the history, which is whole at any moment."""
    if not (folder / HISTORY).exists():
        return 0
    epochs = list(read_history(folder)["epoch"])
    assert epochs == list(range(len(epochs)))
    return len(epochs)


def train_killed_at(config, keep_best, moment):
    """Train until a trap, or until a random moment: (new epochs to wait for, seconds after)."""
    before = epochs_written(config.run_path)
    if isinstance(moment, partial):
        process = start(config, keep_best, moment)
    else:
        epochs, seconds = moment
        process = start(config, keep_best)
        while process.is_alive() and epochs_written(config.run_path) < before + epochs:
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert epochs_written(config.run_path) >= before


def train_to_the_end(config, keep_best):
    process = start(config, keep_best)
    process.join()
    assert process.exitcode == 0


CHOSEN_MOMENTS = [
    die_writing(RECORD, "half"),
    die_writing("after_epoch_1.npz", "half"),
    die_writing("after_epoch_1.npz", "whole"),
    die_writing("after_epoch_2.npz", "in place"),
    die_writing(HISTORY, "half"),
    die_writing(HISTORY, "whole"),
    die_calling("ecg_lib.training.checkpoints.Checkpoints._remove_older"),
    die_writing(RECORD, "half"),
    die_writing("after_epoch_5.npz", "half"),
    die_calling("ecg_lib.training.train.make_predictions", half_written=MODEL),
    die_calling("ecg_lib.training.train.finish_run", half_written=PREDICTIONS),
    die_writing(RECORD, "whole", time_of_writing=2),
    die_writing(RECORD, "in place", time_of_writing=2),
]


def random_moments():
    draw = random.Random(5)
    return [(epochs, draw.uniform(0, most)) for epochs, most in [(0, 2), (1, 0.1), (2, 0.1)] * 2]


@pytest.mark.parametrize(
    ("moments", "epochs", "keep_best"),
    [(CHOSEN_MOMENTS, 6, False), (random_moments(), 30, True)],
    ids=["chosen", "random"],
)
def test_killed_again_and_again_it_ends_like_uninterrupted(
    configure, tmp_path, moments, epochs, keep_best
):
    killed = configure(epochs=epochs, deterministic=True)
    straight = replace(killed, results=str(tmp_path / "straight"))
    for moment in moments:
        train_killed_at(killed, keep_best, moment)
    train_to_the_end(killed, keep_best)
    train_to_the_end(straight, keep_best)

    folder, expected = killed.run_path, straight.run_path
    assert {path.name for path in folder.iterdir()} == FILES
    assert epochs_written(folder) == epochs
    record, of_straight = read_record(folder), read_record(expected)
    assert record.epochs_done == epochs
    assert record.epoch_kept == of_straight.epoch_kept
    assert record.resumed is True and of_straight.resumed is False
    assert list(record.resumed_after) == sorted(record.resumed_after)
    assert bool(accuracy_table(killed.table_path)["resumed"].item())
    pd.testing.assert_frame_equal(
        read_history(folder).drop(columns="seconds"),
        read_history(expected).drop(columns="seconds"),
        check_exact=True,
    )
    assert (folder / PREDICTIONS).read_bytes() == (expected / PREDICTIONS).read_bytes()
    weights, others = (load(run / MODEL).get_weights() for run in (folder, expected))
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_copied_run_folder_is_resumed(configure, tmp_path):
    config = configure(epochs=4)
    train_killed_at(config, False, die_writing("after_epoch_3.npz", "half"))
    elsewhere = replace(config, results=str(tmp_path / "elsewhere"))
    shutil.copytree(config.results_path, elsewhere.results_path, copy_function=shutil.copyfile)
    shutil.rmtree(config.results_path)
    train_to_the_end(elsewhere, False)
    assert read_record(elsewhere.run_path).resumed_after == (2,)


# --- A batch ---


@pytest.fixture
def start_batch(configure, tmp_path):
    """A function that starts `ecg_lib run`; returns the process, and the file of its output."""
    options = asdict(configure(epochs=15))
    options = [f"--{name.replace('_', '-')}={options[name]}" for name in BATCH_OPTIONS]
    output = tmp_path / "output"

    def start_process():
        with output.open("w", encoding="utf-8") as file:
            command = [sys.executable, "-m", "ecg_lib", "run", *options]
            command += ["--models", "testing", "cnn_2d"]
            process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                # A shell's background jobs, such as these tests may be, ignore interrupts.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            return process, output

    return start_process


BATCH_OPTIONS = ("data", "prepared", "results", "height", "width", "epochs", "batch_size")


def stop_batch(process, folder, epochs, sent):
    """Send a signal once so many epochs are in the history; wait for the end of the kernel too."""
    import psutil

    while process.poll() is None and epochs_written(folder) < epochs:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(sent)
    process.wait()
    # A kernel sees that its parent is gone only where orphans fall to process 1.
    for child in psutil.wait_procs(children, timeout=5)[1]:
        child.kill()
        child.wait()


def test_a_killed_batch_is_resumed_and_its_table_says_so(start_batch, configure):
    first, second = (configure(model=name).run_path for name in ("testing", "cnn_2d"))
    process, output = start_batch()
    stop_batch(process, first, 1, signal.SIGINT)
    assert process.returncode == 130
    assert "interrupted; what is finished is kept" in output.read_text(encoding="utf-8")

    process, output = start_batch()
    stop_batch(process, second, 3, signal.SIGKILL)
    before = {path: path.read_bytes() for path in first.iterdir()}
    assert "predictions_sha256" in json.loads(before[first / RECORD])

    process, output = start_batch()
    assert process.wait() == 0
    text = output.read_text(encoding="utf-8")
    assert f"already finished in {first}, not trained again" in text
    assert {path: path.read_bytes() for path in first.iterdir()} == before
    assert "cnn_2d-16px-s1: resuming after epoch" in text
    assert epochs_written(second) == read_record(second).epochs_done == 15
    table = pd.read_csv(second.parent / "accuracy.csv").set_index("run")
    assert table.loc[second.name, "resumed"]
    (row,) = (line for line in text.splitlines() if line.startswith("| CNN 2D |"))
    assert row.endswith("| yes |")
