"""Train the controls of a run with recordings: what is left of their effect without them.

    python -m benchmarks.controls RUN PAGES_FOLDER TEACHERS [--controls NAME ...] [--results FOLDER]

RUN is the folder of a run that was trained with teachers, PAGES_FOLDER its pages and TEACHERS the
folder of its recordings. Each of `CONTROLS` is the same training with one thing changed. It is
trained in the folder of results, in a folder of its name, and resumed if it was interrupted; then
the run is copied to FOLDER/NAME, where `benchmarks.external` and others take it from. A training
takes about as long as that of RUN.
"""

import argparse
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.files import write_csv
from ecg_lib.models.lead_attention import lead_attention
from ecg_lib.pages.leads import LEADS
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.record import read_record
from ecg_lib.runs.teachers import COLUMNS, LABELS
from ecg_lib.training.recipes import RECIPES
from ecg_lib.training.train import train

HEARTS = 1200
SEED = 77

FIRST_PATIENT = 1_000_000
"""Number of the first simulated patient, so that none has that of a patient of the recordings."""

STATEMENTS_OF = {
    "normal": ("NORM", "NORM SR"),
    "abnormal_heartbeat": ("CD", "AFIB PVC"),
    "myocardial_infarction": ("MI", "AMI INJAS"),
    "history_of_mi": ("MI", "IMI"),
}
"""Superclasses and statements of the simulated hearts, by their class."""


def with_frozen_encoder(*args, **kwargs) -> keras.Model:
    """Build `lead_attention` with an encoder that keeps its random initial weights."""
    model = lead_attention(*args, **kwargs)
    for layer in model.layers:
        if layer.name == "lead" or layer.name.startswith("block"):
            layer.trainable = False
    return model


def simulated_teachers(folder: Path, hearts: int = HEARTS) -> Path:
    """Write recordings of simulated hearts with statements, as a folder of teachers holds them.

    Nothing is written where they are already.
    """
    import wfdb

    if (folder / LABELS).exists():  # Written last, and whole.
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(hearts):
        name, class_name = f"s{number:05d}", list(STATEMENTS_OF)[number % len(STATEMENTS_OF)]
        rows.append((name, FIRST_PATIENT + number, *STATEMENTS_OF[class_name]))
        signals = simulate(class_name, np.random.default_rng([SEED, number]))
        leads = {"sig_name": list(LEADS), "units": ["mV"] * 12, "fmt": ["16"] * 12}
        wfdb.wrsamp(name, RATE, p_signal=signals.T, write_dir=str(folder), **leads)
    write_csv(folder / LABELS, pd.DataFrame(rows, columns=COLUMNS), index=False)
    return folder


@dataclass(frozen=True)
class Control:
    """What is changed: in words; the teachers, by the run's own and a folder to work in; the net.

    The teachers are a folder, or None for no teachers.
    """

    title: str
    teachers_of: Callable[[Path, Path], Path | None] = lambda own, work: own
    builder: Callable[..., keras.Model] = lead_attention


CONTROLS = {
    "no_teachers": Control("without recordings", lambda own, work: None),
    "simulated_teachers": Control(
        f"{HEARTS:,} simulated hearts in the place of the recordings",
        lambda own, work: simulated_teachers(work / "hearts"),
    ),
    "frozen_encoder": Control("a random encoder that learns nothing", builder=with_frozen_encoder),
}


def train_control(name: str, config: RunConfig, results: Path) -> Path:
    """Train a control of a run, unless it is finished.

    Args:
        name: a key of `CONTROLS`.
        config: the `RunConfig` of the run.
        results: the folder of the controls.

    Returns:
        The folder of the control.
    """
    control, work = CONTROLS[name], results.absolute() / "trainings" / name
    teachers = control.teachers_of(Path(config.teachers), work)
    config = replace(config, teachers=str(teachers or ""), results=str(work))
    usual = RECIPES[config.recipe]
    recipe = replace(usual, choice=f"{usual.choice}; here: {control.title}")
    run = train(config, open_inputs(config), control.builder, recipe)
    shutil.copytree(run, results / name, dirs_exist_ok=True)
    return results / name


def main() -> None:
    """Train the requested controls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pages_folder", type=Path)
    parser.add_argument("teachers", type=Path)
    parser.add_argument("--controls", nargs="*", choices=CONTROLS, default=list(CONTROLS))
    parser.add_argument("--prepared", type=Path, default=Path(RunConfig.prepared))
    parser.add_argument("--results", type=Path, default=Path("runs/controls"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    places = {"data": options.pages_folder, "teachers": options.teachers}
    places |= {"prepared": options.prepared, "results": options.results}
    recorded = asdict(read_record(options.run).config)
    config = RunConfig(**recorded | {name: str(at.absolute()) for name, at in places.items()})
    for name in options.controls:
        print(train_control(name, config, options.results))


if __name__ == "__main__":
    main()
