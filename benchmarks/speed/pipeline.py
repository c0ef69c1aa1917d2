"""Measure what is not computing: waiting for input in training, and starting."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.speed.timing import (
    milliseconds,
    ratio,
    row,
    seconds_of,
    side_by_side,
    spread,
    table,
)
from ecg_lib.data.classes import CLASSES
from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.models import build
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.training.batches import Examples, batches, moments
from ecg_lib.training.headless import find_notebook, run_notebook
from ecg_lib.training.recipes import RECIPES, compile_model
from ecg_lib.training.train import train

CHEAPEST = "cnn_2d"
MOST_WAITING = 0.03
BATCH = RunConfig.batch_size
MOST_STEPS = 32

INPUT, EPOCH, NO_INPUT = "input alone", "epoch", "epoch of one batch again and again"

STARTS = {
    "python": ["-c", ""],
    "import ecg_lib": ["-c", "import ecg_lib"],
    "python -m ecg_lib --help": ["-m", "ecg_lib", "--help"],
}

DRAWN_PER_CLASS = 6


def measure(pages_folder: Path, work: Path, repetitions: int) -> pd.DataFrame:
    """Measure times of waiting and of starting.

    Args:
        pages_folder: real pages, one folder per class.
        work: a `Path` where prepared sets and runs may be put.
        repetitions: how often each is timed.

    Returns:
        The part's table, see `benchmarks.speed.timing.COLUMNS`.
    """
    return table(
        [
            *_waiting(prepare(pages_folder, work / "prepared"), repetitions),
            *_starts(repetitions),
            *_beyond_epochs(work, max(repetitions // 3, 1)),
        ]
    )


def _waiting(prepared, repetitions):
    """Make the rows of the share of an epoch that input takes: training waits no longer for it."""
    rows = prepared.pages.index.to_numpy()
    steps = max(min(len(rows) // BATCH, MOST_STEPS), 1)
    order = np.resize(np.random.default_rng(0).permutation(len(rows)), steps * BATCH)
    labels = prepared.pages["class"].map(CLASSES.index).to_numpy()
    pages = batches(Examples(prepared.crops[rows], labels), order, BATCH)
    mean, variance = moments(prepared.crops, rows)
    model = build(CHEAPEST, prepared.crops.shape[1:], len(CLASSES), mean=mean, variance=variance)
    compile_model(model, RECIPES[RunConfig.recipe], RunConfig.learning_rate, steps, epochs=1)

    def epoch_of(dataset):
        return lambda: model.fit(dataset, steps_per_epoch=steps, shuffle=False, verbose=0)

    ways = {
        INPUT: lambda: list(pages),
        EPOCH: epoch_of(pages),
        NO_INPUT: epoch_of(pages.take(1).cache().repeat()),
    }
    timings = side_by_side(ways, repetitions)
    without = ratio(timings, NO_INPUT, EPOCH)
    return [
        row(f"{INPUT}, {CHEAPEST}", "of an epoch", ratio(timings, INPUT, EPOCH), MOST_WAITING),
        row(f"{NO_INPUT}, {CHEAPEST}", "of an epoch", without),
        row(f"{EPOCH}, {CHEAPEST}, per step", "ms", milliseconds(timings, EPOCH, steps)),
    ]


def _starts(repetitions):
    def command(arguments):
        return lambda: subprocess.run(
            [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
        )

    ways = {name: command(arguments) for name, arguments in STARTS.items()}
    timings = side_by_side(ways, repetitions)
    return [row(f"start: {name}", "ms", milliseconds(timings, name)) for name in STARTS]


def _beyond_epochs(work, repetitions):
    """Make the rows of what a small training takes beyond its epochs, with papermill or not."""
    draw_set(work / "drawn", DRAWN_PER_CLASS, jobs=-1)
    notebook = find_notebook("02_train_model")

    def config(kind, number):
        return RunConfig(
            data=str(work / "drawn"),
            prepared=str(work / "prepared"),
            results=str(work / "runs" / f"{kind}-{number}"),
            model="testing",
            epochs=1,
        )

    def papermill(of_run):
        run_notebook(notebook, of_run.notebook_path, asdict(of_run))

    def alone(of_run):
        train(of_run, open_inputs(of_run))

    rows = []
    for kind, way in {"training": alone, "training by papermill": papermill}.items():
        beyond = []
        for number in range(repetitions):
            of_run = config(kind.replace(" ", "-"), number)
            seconds = seconds_of(lambda way=way, of_run=of_run: way(of_run))
            beyond.append(seconds - read_record(of_run.run_path).wall_seconds)
        rows.append(row(f"{kind}, beyond its epochs", "s", spread(beyond)))
    return rows
