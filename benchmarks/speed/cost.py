"""Measure what Lead attention costs: a training step, an answer on one core, its weights."""

import os
from itertools import cycle

from benchmarks.speed.answer import KERAS, ONNX, exported
from benchmarks.speed.elsewhere import elsewhere
from benchmarks.speed.prepare import some_files
from benchmarks.speed.steps import our_step
from benchmarks.speed.timing import milliseconds, ratio, row, side_by_side, spread, table
from ecg_lib.models import DISPLAY_NAMES
from ecg_lib.runs.folder import MODEL, read_record

MODEL_NAME, LARGEST = "lead_attention", "attention_vgg"

MOST_OF_A_STEP = 0.05
MOST_MILLISECONDS = 25
MOST_MEGABYTES = 4


def measure(pages_folder, work, repetitions, run):
    """Measure times of training steps and of answers, and the size of the weights.

    Args:
        pages_folder: real pages, one folder per class.
        work: folder to which the network may be exported.
        repetitions: how often each is timed.
        run: folder of a run of Lead attention, or of an ensemble of such runs, each of whose
            networks is trained separately.

    Returns:
        The part's table, see `benchmarks.speed.timing.COLUMNS`.
    """
    megabytes = spread([(run / MODEL).stat().st_size / 1e6])
    return table(
        [
            *_steps(repetitions, len(read_record(run).seeds)),
            *_answers(some_files(pages_folder), run, work, 5 * repetitions),
            row("weights", "MB", megabytes, at_most=MOST_MEGABYTES),
        ]
    )


def _steps(repetitions, networks):
    ways = ((MODEL_NAME, "augmented"), (LARGEST, "published"))
    with elsewhere(_step, ways[0]) as ours, elsewhere(_step, ways[1]) as largest:
        timings = side_by_side({MODEL_NAME: ours, LARGEST: largest}, repetitions)
    name, other = DISPLAY_NAMES[MODEL_NAME], DISPLAY_NAMES[LARGEST]
    return [
        row(f"step: {name}", "ms", milliseconds(timings, MODEL_NAME)),
        row(f"step: {other}", "ms", milliseconds(timings, LARGEST)),
        row(
            f"step: {networks} x {name} / {other}",
            "",
            {part: networks * times for part, times in ratio(timings, MODEL_NAME, LARGEST).items()},
            at_most=MOST_OF_A_STEP,
        ),
    ]


def _step(model_and_recipe):
    return our_step(*model_and_recipe)[1]


def _answers(files, run, work, repetitions):
    rows = []
    for name, folder in ({KERAS: run} | exported(run, work / "run")).items():
        with elsewhere(_answer_on_one_core, (folder, name == ONNX, files)) as answer:
            timings = side_by_side({name: answer}, repetitions)
        what = f"{name}: one more page, one core"
        rows.append(row(what, "ms", milliseconds(timings, name), at_most=MOST_MILLISECONDS))
    return rows


def _answer_on_one_core(arguments):
    """Return a function that answers for the next page; the libraries see only one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from ecg_lib.serving.predictor import Predictor

    folder, by_onnx, files = arguments
    predictor, pages = Predictor(folder, "onnx" if by_onnx else "keras"), cycle(files)
    return lambda: predictor.answer(next(pages))
