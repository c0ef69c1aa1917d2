"""Digital recordings drawn as pages in several ways, and read as any page is read.

Beside our own renderer there are packages that drew no page of any training set. They are used
where they are installed:

    pip install pmecg "ecg_plot[matplotlib]"
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib import pyplot

from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.page_signals import page_signals
from ecg_lib.drawing.recording_pages import draw_recordings
from ecg_lib.drawing.recordings import read_recordings
from ecg_lib.drawing.simulation import RATE
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import random_style
from ecg_lib.errors import InputError
from ecg_lib.pages.leads import LEADS
from ecg_lib.runs.record import RunRecord
from ecg_lib.runs.teachers import read_statements, teachers_hash

LAYOUT = "standard_3x4_with_rhythm"
SEED = 2021
DPI = 150

ATTRIBUTION = (
    "Recordings: PTB-XL 1.0.3, Wagner et al., Scientific Data 7 (2020) 154, doi "
    "10.1038/s41597-020-0495-6, PhysioNet, CC BY 4.0; a sample of them, drawn as pages for this "
    "test and not shown here."
)


def _in_random_style(signals, rng, path):
    draw_styled(signals, RATE, LAYOUT, random_style(rng, LAYOUT)).image.save(path)


def _by_pmecg(signals, rng, path):
    import pmecg

    data = pd.DataFrame(signals.T, columns=list(LEADS))
    configuration = pmecg.template_factory("4x3+1", data, None)
    _save(pmecg.ECGPlotter().plot(data, configuration, RATE, show=False), path)


def _by_ecg_plot(signals, rng, path):
    import ecg_plot

    options = {"layout": "12lead", "time_mode": "sequential", "rhythm_lead": "II"}
    chart = ecg_plot.plot(signals, sample_rate=RATE, lead_names=LEADS, **options)
    _save(chart.to_matplotlib()[0], path)


def _save(figure, path):
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)


EXPORTS = "as exports"
STYLED = "in random styles"
RENDERERS = {STYLED: _in_random_style, "by pmecg": _by_pmecg, "by ecg_plot": _by_ecg_plot}
"""Other ways of drawing a recording: our own in the styles of other machines, which may have drawn
training pages, and packages that never did."""


def installed_renderers() -> list[str]:
    """Name the ways of drawing that can be had here: as exports, and the usable `RENDERERS`."""
    there = [name for name in RENDERERS if name == STYLED or find_spec(name.split()[-1])]
    return [EXPORTS, *there]


def draw_by(renderer: str, files: Sequence[Path], folder: Path, jobs: int = -1) -> list[str]:
    """Draw each recording as a page in `LAYOUT`, into a folder of one class.

    Args:
        renderer: one of `installed_renderers`.
        files: the recordings' files.
        folder: the folder that gets the pages, each named after its recording.
        jobs: number of processes.

    Returns:
        A sentence for each recording that cannot be drawn.
    """
    if renderer == EXPORTS:
        outcomes = draw_recordings(files, folder, LAYOUT, jobs=jobs)
        return [outcome.text for outcome in outcomes if outcome.status == "left out"]
    folder.mkdir(parents=True, exist_ok=True)
    draw = RENDERERS[renderer]
    drawn = Parallel(n_jobs=jobs)(
        delayed(_draw)(draw, file, np.random.default_rng([SEED, number]), folder)
        for number, file in enumerate(files)
    )
    return [fault for faults in drawn for fault in faults]


def _draw(draw, file, rng, folder):
    recordings, faults = read_recordings(file)
    if recordings:
        draw(page_signals(recordings[0]).signals, rng, folder / f"{file.stem}.png")
    return faults


def read_drawn(
    pages: Path, prepared: Path, options: dict, jobs: int = -1
) -> tuple[list[str], np.ndarray, list[str]]:
    """Read drawn pages as any page is read.

    Args:
        pages: the folder of class folders with the pages.
        prepared: the folder that gets the prepared set.
        options: keyword arguments of `ecg_lib.pages.crops.crop_leads`.
        jobs: number of processes.

    Returns:
        `(names, crops, faults)`: of each page that could be read the name of its recording and its
        crops, `(pages, 13, height, width)`; and a sentence for each other one.
    """
    read = prepare(pages, prepared, **options, jobs=jobs)
    names = [Path(file).stem for file in read.pages["file"]]
    faults = list(read.bad["file"] + ": " + read.bad["reason"])
    return names, np.array(read.crops[read.pages.index]), faults


def patients_who_taught(teachers: Sequence[Path], record: RunRecord, run: Path) -> set[int]:
    """Return the patients whose recordings a run was trained or chosen on.

    Args:
        teachers: folders of recordings, that of the run among them if it had any.
        record: the run's record.
        run: the run folder, for messages.

    Raises:
        InputError: if the run had teachers and none of `teachers` is their folder.
    """
    if not record.config.teachers:
        return set()
    for folder in teachers:
        if teachers_hash(folder, record.config.crop_options) == record.config.teachers:
            table = read_statements(folder)
            return set(table.loc[table["part"] != "test", "patient_id"].astype(float).astype(int))
    raise InputError(
        f"{run} had other recordings as teachers than {', '.join(map(str, teachers)) or 'none'}: "
        f"expected --teachers with these recordings, so that their patients are left out"
    )
