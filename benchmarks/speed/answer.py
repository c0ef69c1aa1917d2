"""Measure answers: for one more page, and for a folder; `start` measures the program's start."""

import shutil
from itertools import cycle

from benchmarks.speed.prepare import LUMA, luma_alone, ours, some_files
from benchmarks.speed.timing import milliseconds, ratio, row, side_by_side, table
from ecg_lib.errors import InputError
from ecg_lib.serving.export import export
from ecg_lib.serving.predictor import Predictor

KERAS, ONNX = "Keras", "ONNX"
READING, FOLDER = "reading alone", "answers for a folder"

MOST_MILLISECONDS = 60


def measure(pages_folder, work, repetitions, run):
    """Measure times of answers.

    Args:
        pages_folder: real pages, one folder per class.
        work: folder to which the network may be exported.
        repetitions: how often each is timed.
        run: folder of the run whose network answers.

    Returns:
        The part's table, see `benchmarks.speed.timing.COLUMNS`.
    """
    files = some_files(pages_folder)
    runs = {KERAS: run} | exported(run, work / "run")
    predictors = {
        name: Predictor(folder, "onnx" if name == ONNX else "keras")
        for name, folder in runs.items()
    }
    return table(
        [
            *_warm(files, predictors, 5 * repetitions),
            *_folder(files, predictors, repetitions),
        ]
    )


def exported(run, folder):
    """Copy the run and export its network; return an empty dict if it cannot be exported."""
    shutil.copytree(run, folder, dirs_exist_ok=True)
    try:
        export(folder, "onnx")
    except InputError as error:
        print(f"answers through ONNX are left out: {error}", flush=True)
        return {}
    return {ONNX: folder}


def _warm(files, predictors, repetitions):
    def next_page(answer):
        pages = cycle(files)
        return lambda: answer(next(pages))

    ways = {name: predictor.answer for name, predictor in predictors.items()} | {LUMA: luma_alone}
    timings = side_by_side({name: next_page(way) for name, way in ways.items()}, repetitions)
    return [
        *(
            row(f"{name}: one more page", "ms", milliseconds(timings, name), MOST_MILLISECONDS)
            for name in predictors
        ),
        row(f"{LUMA}: one more page", "ms", milliseconds(timings, LUMA)),
    ]


def _folder(files, predictors, repetitions):
    def over_pages(way):
        return lambda: [way(file) for file in files]

    ways = {name: predictor.answer for name, predictor in predictors.items()}
    ways |= {READING: ours, LUMA: luma_alone}
    timings = side_by_side({name: over_pages(way) for name, way in ways.items()}, repetitions)
    return [
        row(f"{name}: a folder, to {base}", "times as long", ratio(timings, name, base))
        for name in predictors
        for base in (READING, LUMA)
    ]
