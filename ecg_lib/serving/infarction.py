"""Which leads an infarction is seen in: the answer for a recording of one, drawn as a page.

An infarction of a territory of the heart changes the leads that face it. A network that has learnt
its signs loses the probability of infarction when those leads are removed.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from ecg_lib.drawing.recording_pages import draw_recordings
from ecg_lib.errors import InputError
from ecg_lib.pages.leads import CROPS, RHYTHM_STRIP
from ecg_lib.runs.config import project_path
from ecg_lib.runs.teachers import INFARCTIONS
from ecg_lib.serving.answers import Answer
from ecg_lib.serving.explain import Question, open_question, probabilities
from ecg_lib.serving.occlusion import blanked
from ecg_lib.serving.predictor import Predictor

LAYOUT = "standard_3x4_with_rhythm"

PTB_XL = "https://physionet.org/files/ptb-xl/1.0.3/records500"
"""The recordings of PTB-XL at 500 Hz, in folders of a thousand (CC BY 4.0)."""

EACH_LEAD = {name: (name,) for name in CROPS}

TERRITORIES = {
    "inferior": ("II", "III", "aVF", RHYTHM_STRIP),
    "anteroseptal": ("V1", "V2", "V3", "V4"),
    "lateral": ("I", "aVL", "V5", "V6"),
}
"""The leads that face each territory. The rhythm strip of `LAYOUT` is lead II.

Reference:
    Bayés de Luna et al., A New Terminology for Left Ventricular Walls and Location of Myocardial
    Infarcts That Present Q Wave, Circulation 114, 2006, where septal and anterior are apart.
"""


def open_recording(
    run: str | Path, recording: str | Path, model: keras.Model | None = None
) -> tuple[Question, Answer]:
    """Draw a digital recording as a page, and read it the way a run reads pages.

    Args:
        run: a run folder with its `model.keras`, such as `results/models/lead_attention`.
        recording: the recording's file; of a WFDB record, the header. The page is kept beside it.
        model: the run's network, if it is loaded already.

    Returns:
        The `Question`, and the `Answer` that `ecg_lib.predict` gives, with its findings.

    Raises:
        InputError: if there is no such file, if it cannot be drawn, or if the run cannot be used or
            answers with no kind of infarction.
    """
    predictor = Predictor(project_path(run))
    classes = predictor.record.classes
    if not set(classes) & set(INFARCTIONS):
        raise InputError(
            f"{run} answers with {', '.join(classes)}: expected {' or '.join(INFARCTIONS)} among "
            "the classes, to explain an infarction"
        )
    page = _drawn(project_path(recording))
    return open_question(run, page, model), predictor.answer(page)


def _drawn(file):
    """Draw the first recording of a file, beside it; return the page's path."""
    if not file.is_file():
        raise InputError(f"{file} is not a file: expected a digital recording{_source(file)}")
    outcomes = draw_recordings([file], file.parent, LAYOUT)
    pages = [outcome.page for outcome in outcomes if outcome.page is not None]
    if not pages:
        raise InputError(outcomes[0].text)
    return pages[0]


def _source(file):
    """Say where to get a recording of PTB-XL, which is not in a clone."""
    if not re.fullmatch(r"\d{5}_hr", file.stem):
        return ""
    address = f"{PTB_XL}/{file.stem[:2]}000/{file.stem}"
    return (
        f", such as this one of PTB-XL 1.0.3 (PhysioNet, CC BY 4.0): download {address}.hea and "
        f"{address}.dat into {file.parent}"
    )


def infarction_probability(question: Question) -> float:
    """Return the calibrated probability of an infarction, fresh or old."""
    return float(_of_infarction(question, question.answer.to_numpy()))


def drops_without(question: Question, groups: Mapping[str, Sequence[str]]) -> pd.Series:
    """Measure by how much the probability of infarction drops without groups of leads.

    Args:
        question: the page and the network.
        groups: names of crops by the group's name, such as `EACH_LEAD` or `TERRITORIES`. All crops
            of a group are replaced by paper at once.

    Returns:
        Series of the drop, -1 to 1, by group: positive where its leads speak for an infarction.
    """
    gone = np.array([[name in group for name in CROPS] for group in ((), *groups.values())])
    pages = blanked(question.crops, gone)
    found = probabilities(question.model, pages, question.temperature)
    complete, *without = _of_infarction(question, found)
    drops = complete - np.array(without)
    return pd.Series(drops, list(groups), name="drop of the probability of infarction")


def _of_infarction(question, shares):
    """Add up the probabilities of all kinds of infarction, along the last axis."""
    return shares[..., np.isin(question.classes, INFARCTIONS)].sum(axis=-1)
