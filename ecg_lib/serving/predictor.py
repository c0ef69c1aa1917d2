"""Answers for single pages: calibrated probabilities, or the reason why there are none.

A page is read as training pages are, so it is refused where its leads cannot be found; and it is
refused where it looks like nothing that the network was trained on
(`ecg_lib.evaluation.out_of_distribution`).
Probabilities are temperature scaled, with the temperature fitted on the run's validation pages.
Where the layout tells of the class by itself, a caution goes with the answer: of a layout that came
with one class alone in training, a network learns the layout and says that class, whatever the ECG.
"""

from pathlib import Path

import numpy as np
from scipy.special import softmax

import ecg_lib
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError, PageRefused
from ecg_lib.evaluation.out_of_distribution import answering_of, out_of_distribution_score
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_luma
from ecg_lib.runs.config import project_path
from ecg_lib.runs.folder import (
    DEFAULT_RUN,
    MODEL,
    check_boxes,
    check_weights,
)
from ecg_lib.runs.record import read_record
from ecg_lib.serving.answers import Answer, find_files
from ecg_lib.serving.runtimes import ONNX, keras_logits, onnx_logits


class Predictor:
    """A trained network that answers for pages.

    Args:
        run: the run folder, with its weights; by default the committed network.
        onnx: whether ONNX Runtime answers with the run's exported network, without TensorFlow and
            without the weights.

    Attributes:
        run: the run folder, a `Path`.
        record: its record, a `RunRecord`.
        logits: the network, a function from crops `(pages, 13, height, width)`, 0 to 255, to
            float32 logits `(pages, classes)`.
        answering: what else it takes to answer, an `ecg_lib.runs.record.Answering`.

    Raises:
        InputError: if the folder holds no finished run, no network or predictions or others than
            the record tells of, or if the network was trained with boxes that depend on the label.
    """

    def __init__(self, run=None, onnx=False):
        self.run = _default_run() if run is None else Path(run)
        self.record = read_record(self.run)
        check_boxes(self.run, self.record)
        self.answering = answering_of(self.run, self.record)
        if onnx:
            self.logits = onnx_logits(self.run / ONNX, self.record.model_sha256)
        else:
            check_weights(self.run, self.record)
            self.logits = keras_logits(self.run / MODEL)

    def answer(self, file):
        """Answer for a page.

        Args:
            file: path of the page.

        Returns:
            An `Answer`; where the page cannot be read, one that says why.
        """
        try:
            found, crops = _read(file, self.record.config.crop_options)
        except InputError as error:
            return Answer(file, str(error))
        logits = self.logits(crops[np.newaxis])
        (score,) = out_of_distribution_score(logits, self.answering).tolist()
        refusal = probabilities = caution = None
        limit = self.answering.out_of_distribution_limit
        if not np.isfinite(logits).all():
            refusal = f"{file}: the network gives no finite numbers for this page"
        elif score > limit:
            refusal = (
                f"{file} looks like nothing that the network was trained on: its "
                f"out-of-distribution score is {score:.2f}, expected at most {limit:.2f}"
            )
        else:
            shares = softmax(logits[0].astype(float) / self.answering.temperature)
            probabilities = dict(zip(self.record.classes, shares.tolist(), strict=True))
            caution = _caution(self.record, found.layout)
        return Answer(file, refusal, found, crops, score, probabilities, caution)


def predict(pages, model=None, onnx=False):
    """Answer for pages with a trained network.

    Args:
        pages: a page's file, a folder of pages, a glob pattern, or a list of those.
        model: a run folder with its weights; by default the committed network.
        onnx: whether ONNX Runtime answers with the run's exported network, without TensorFlow.

    Returns:
        A list with an `Answer` a page. One that cannot be answered for says why.

    Raises:
        InputError: if there is no page, or the run cannot be used.

    Example:
        >>> (answer,) = ecg_lib.predict("page.jpg")
        >>> answer.label
        'normal'
    """
    files = find_files([pages] if isinstance(pages, str | Path) else pages)
    predictor = Predictor(model, onnx)
    return [predictor.answer(file) for file in files]


def _caution(record, layout):
    """What the layout may have told the network; None where it saw every class in it."""
    if record.layouts is None:
        return None
    seen = record.layouts.get(layout, {})
    missing = [DISPLAY_NAMES[name] for name in record.classes if not seen.get(name)]
    if not seen:
        return f"the network was trained on no page of the layout {layout}"
    if missing:
        return (
            f"of the {sum(seen.values()):,} {layout} pages that the network was trained on, none "
            f"was {' or '.join(missing)}, so the layout alone may have decided"
        )
    return None


def _default_run():
    folders = (project_path(DEFAULT_RUN), Path(ecg_lib.__file__).parents[1] / DEFAULT_RUN)
    return next((folder for folder in folders if folder.exists()), folders[0])


def _read(file, options):
    """The page's `Detection` and its crops."""
    luma = read_luma(file)
    try:
        found = detect(luma)
    except PageRefused as refused:
        raise InputError(f"{file}: {refused}") from None
    return found, crop_leads(rectify(luma, found), found.boxes, **options)
