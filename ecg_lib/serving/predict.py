"""Answers for single pages: calibrated probabilities, or the reason why there are none.

A page is read as training pages are, so it is refused where its leads cannot be found; and it is
refused where it looks like nothing that the network was trained on (`ecg_lib.serving.familiarity`).
Probabilities are temperature scaled, with the temperature fitted on the run's validation pages.
Where the layout tells of the class by itself, a caution goes with the answer: of a layout that came
with one class alone in training, a network learns the layout and says that class, whatever the ECG.
"""

import csv
import glob
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import softmax

import ecg_lib
from ecg_lib.data.catalogue import as_utf_8, page_files
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.experiment import runs
from ecg_lib.experiment.config import crop_options, project_path
from ecg_lib.experiment.judgement import PROBABILITY, temperature_of
from ecg_lib.pages.detect import Detection, detect, rectify
from ecg_lib.pages.leads import CROPS
from ecg_lib.pages.preprocess import crop_leads, read_luma
from ecg_lib.pages.refusal import PageRefused
from ecg_lib.serving.card import read_predictions
from ecg_lib.serving.familiarity import familiarity
from ecg_lib.serving.runtimes import ONNX, keras_logits, onnx_logits

DEFAULT_RUN = "results/models/lead_attention"
"""The one run folder that is committed with its weights, seen from the project's folder."""


NOT_IN_TABLE = ("probabilities", "boxes", "homography")
"""Fields of `as_record` that have no one value for a column."""


@dataclass(frozen=True)
class Answer:
    """What is said of one page.

    Attributes:
        file: the page's file.
        refusal: the sentence that says why there is no answer, or None where there is one.
        detection: the layout and the leads found, a `Detection`, or None where the page cannot
            be read.
        crops: uint8 `(13, height, width)`, what the network sees, or None as before.
        strangeness: how far the page is from what the network knows, see `Familiarity`; or None.
        probabilities: calibrated probability of each class by its name, or None without an answer.
        caution: the sentence that says which classes the network never saw in the page's layout,
            or None: there are none, the run's record is older, or there is no answer.
    """

    file: Path
    refusal: str | None = None
    detection: Detection | None = None
    crops: np.ndarray | None = field(default=None, repr=False)
    strangeness: float | None = None
    probabilities: dict[str, float] | None = None
    caution: str | None = None

    @property
    def label(self):
        """The most probable class, or None."""
        return self.probabilities and max(self.probabilities, key=self.probabilities.get)

    @property
    def confidence(self):
        """The calibrated probability of `label`, 0 to 1, or None."""
        return self.probabilities and self.probabilities[self.label]


class Predictor:
    """A trained network that answers for pages.

    Args:
        run: the run folder, with its weights; by default the committed network.
        onnx: whether ONNX Runtime answers with the run's exported network, without TensorFlow and
            without the weights.

    Attributes:
        run: the run folder, a `Path`.
        record: its record, a dict.
        logits: the network, a function from crops `(pages, 13, height, width)`, 0 to 255, to
            float32 logits `(pages, classes)`.
        temperature: what logits are divided by.
        familiarity: the run's `Familiarity`.

    Raises:
        InputError: if the folder holds no finished run, no network or predictions or others than
            the record tells of, or if the network was trained with boxes that depend on the label.
    """

    def __init__(self, run=None, onnx=False):
        self.run = _default_run() if run is None else Path(run)
        self.record = runs.read_record(self.run)
        runs.check_boxes(self.run, self.record)
        predictions = read_predictions(self.run)
        _check_bytes(self.run / runs.PREDICTIONS, self.record["predictions_sha256"])
        self.temperature = temperature_of(predictions)
        self.familiarity = familiarity(predictions)
        if onnx:
            self.logits = onnx_logits(self.run / ONNX, self.record["model_sha256"])
        else:
            _check_weights(self.run, self.record)
            self.logits = keras_logits(self.run / runs.MODEL)

    def answer(self, file):
        """Answer for a page.

        Args:
            file: path of the page.

        Returns:
            An `Answer`; where the page cannot be read, one that says why.
        """
        try:
            found, crops = _read(file, crop_options(self.record["config"]))
        except InputError as error:
            return Answer(file, str(error))
        logits = self.logits(crops[np.newaxis])
        (strangeness,) = self.familiarity.strangeness(logits).tolist()
        refusal = probabilities = caution = None
        if strangeness > self.familiarity.limit:
            refusal = (
                f"{file} looks like nothing that the network was trained on: its strangeness is "
                f"{strangeness:.2f}, expected at most {self.familiarity.limit:.2f}"
            )
        else:
            shares = softmax(logits[0].astype(float) / self.temperature)
            probabilities = dict(zip(self.record["classes"], shares.tolist(), strict=True))
            caution = _caution(self.record, found.layout)
        return Answer(file, refusal, found, crops, strangeness, probabilities, caution)


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
        >>> answer.label, round(answer.confidence, 2)
        ('normal', 0.87)
    """
    files = find_files([pages] if isinstance(pages, str | Path) else pages)
    predictor = Predictor(model, onnx)
    return [predictor.answer(file) for file in files]


def find_files(pages):
    """The files that are meant by paths.

    Args:
        pages: paths of files, of folders, whose pages are taken at any depth, and glob patterns.

    Returns:
        A list of `Path`s, each once, in the order given. A file need not be there or be a page:
        that is said when it is read.

    Raises:
        InputError: if a folder holds no files, if a pattern matches none, or if the system cannot
            look a path up, such as one that is too long.
    """
    found = {}
    for page in map(Path, pages):
        try:
            found |= dict.fromkeys(_files_of(page))
        except OSError as error:
            raise InputError(
                f"{page} cannot be looked up: {error.strerror}; expected a file, folder or pattern"
            ) from None
    return list(found)


def _files_of(page):
    if page.is_dir():
        files, fault = page_files(page), "holds no pages: expected image files"
    elif glob.has_magic(str(page)) and not page.exists():
        matches = sorted(map(Path, glob.glob(str(page), recursive=True)))  # noqa: PTH207
        files, fault = [path for path in matches if path.is_file()], "matches no file"
    else:
        files, fault = [page], None
    if not files:
        raise InputError(f"{page} {fault}")
    return files


def describe(answer):
    """An answer as a line of text; what in a file's name is no UTF-8 is escaped."""
    return as_utf_8(_in_words(answer))


def _in_words(answer):
    if answer.refusal is not None:
        return f"no answer: {answer.refusal}"
    shares = sorted(answer.probabilities.items(), key=lambda item: -item[1])
    (label, confidence), *others = [(DISPLAY_NAMES[name], share) for name, share in shares]
    found = answer.detection
    return (
        f"{answer.file}: {label} {confidence:.2f} ("
        + ", ".join(f"{name} {share:.2f}" for name, share in others)
        + f"); {found.layout}, 13 leads found, read with confidence {found.confidence:.2f}"
        + (f"; caution: {answer.caution}" if answer.caution else "")
    )


def as_record(answer):
    """An answer as a dict for JSON.

    Returns:
        dict with file; answered; refusal (None if answered); label, confidence and probabilities
        (by class, 0 to 1; None if not answered); caution (None if there is none); strangeness,
        layout, rhythm_lead, reading_confidence (0 to 1, how well the page fits its layout), boxes
        (by crop: left, top, right, bottom, in pixels of the rectified page) and homography (3x3,
        from those pixels to the file's; the identity for a flat page), all None if the page cannot
        be read.
    """
    found = answer.detection
    return {
        "file": str(answer.file),
        "answered": answer.refusal is None,
        "refusal": answer.refusal,
        "label": answer.label,
        "confidence": answer.confidence,
        "probabilities": answer.probabilities,
        "caution": answer.caution,
        "strangeness": answer.strangeness,
        "layout": found and found.layout,
        "rhythm_lead": found and found.rhythm_lead,
        "reading_confidence": found and found.confidence,
        "boxes": found and dict(zip(CROPS, map(list, found.boxes), strict=True)),
        "homography": found and found.homography.tolist(),
    }


@contextmanager
def open_table(path, classes):
    """Begin a CSV file of answers, whose rows are safe as soon as they are written.

    Its columns are the fields of `as_record` without boxes and homography, and the probabilities
    under `p_<class>`.

    Args:
        path: the file.
        classes: the class names.

    Yields:
        A function of an `Answer` that adds its row.

    Raises:
        InputError: if the file cannot be written.
    """
    names = [name for name in as_record(Answer(path)) if name not in NOT_IN_TABLE]
    try:
        # A page's name need not be UTF-8.
        file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    with file:
        columns = [*names, *(PROBABILITY + name for name in classes)]
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()

        def add(answer):
            shares = (answer.probabilities or {}).items()
            table.writerow(
                as_record(answer) | {PROBABILITY + name: share for name, share in shares}
            )
            file.flush()

        yield add


def _caution(record, layout):
    """What the layout may have told the network; None where it saw every class in it."""
    if "layouts" not in record:
        return None
    seen = record["layouts"].get(layout, {})
    missing = [DISPLAY_NAMES[name] for name in record["classes"] if not seen.get(name)]
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


def _check_weights(run, record):
    weights = run / runs.MODEL
    if not weights.is_file():
        raise InputError(
            f"{run} holds no {runs.MODEL}: train one with python -m ecg_lib run --data PAGES, or "
            f"take {DEFAULT_RUN} of the project's repository"
        )
    _check_bytes(weights, record["model_sha256"])


def _check_bytes(path, sha256):
    if runs.sha256(path) != sha256:
        raise InputError(
            f"{path} is not the one that {runs.RECORD} tells of: expected the file that was "
            f"written with it"
        )


def _read(file, options):
    """The page's `Detection` and its crops."""
    luma = read_luma(file)
    try:
        found = detect(luma)
    except PageRefused as refused:
        raise InputError(f"{file}: {refused}") from None
    return found, crop_leads(rectify(luma, found), found.boxes, **options)
