"""Measure one answer with the program's start, beside importing the libraries alone.

The time that passes depends on what else the machine does, so it is reported only where the machine
does nothing else. The ratio is one of processor times, which depend on it much less: it says how
much of a start is ours.
"""

import os
import subprocess
import sys

import pandas as pd

from benchmarks.speed.answer import KERAS, ONNX, exported
from benchmarks.speed.prepare import some_files
from benchmarks.speed.timing import milliseconds, ratio, row, side_by_side, table

IMPORTS = {KERAS: "import cv2, tensorflow", ONNX: "import cv2, onnxruntime"}
"""What no program that answers so can do without."""

MAX_MILLISECONDS = {KERAS: 4000, ONNX: 1000}
"""Targets, for two cores that do nothing else."""

MAX_LOAD = 0.5
"""Load average per core up to which a machine does nothing else."""


def measure(pages_folder, work, repetitions, run):
    """Measure the command `predict` for one page; arguments as in `answer.measure`."""
    quiet = os.getloadavg()[0] <= MAX_LOAD * (os.cpu_count() or 1)
    page = some_files(pages_folder)[0]
    is_exported = (run / "model.onnx").is_file()
    runs = {KERAS: run} | ({ONNX: run} if is_exported else exported(run, work / "run"))
    ways, spent = {}, []
    for name, folder in runs.items():
        runtime = ["--runtime", "onnx" if name == ONNX else "keras"]
        command = ["-m", "ecg_lib", "predict", page, "--model", folder, *runtime]
        ways[name] = _noting(spent, name, command)
        ways[IMPORTS[name]] = _noting(spent, IMPORTS[name], ["-c", IMPORTS[name]])
    timings = side_by_side(ways, repetitions)
    processor = pd.DataFrame(spent)
    # The first of each warmed up.
    processor["repetition"] = processor.groupby("name").cumcount() - 1
    processor = processor[processor["repetition"] >= 0]
    rows = []
    for name in runs:
        what, imports = f"{name}: one page, program started for it", IMPORTS[name]
        if quiet:
            rows.append(row(what, "ms", milliseconds(timings, name), MAX_MILLISECONDS[name]))
        rows += [
            row(f"{what}, processor", "ms", milliseconds(processor, name)),
            row(f"{imports}, processor", "ms", milliseconds(processor, imports)),
            row(
                f"{name}: processor time, to these imports",
                "times as long",
                ratio(processor, name, imports),
            ),
        ]
    return table(rows)


def _noting(spent, name, arguments):
    """A function that runs Python and notes the processor time of its process."""

    def run():
        before = os.times()
        # A page that is refused, for which the exit status is 2, takes as long.
        subprocess.run([sys.executable, *arguments], check=False, capture_output=True)
        after = os.times()
        user = after.children_user - before.children_user
        system = after.children_system - before.children_system
        spent.append({"name": name, "seconds": user + system})

    return run
