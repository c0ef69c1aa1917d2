"""Answers for pages: calibrated probabilities, or the reason why there are none.

A page is read as training pages are, so it is refused where its leads cannot be found. By a network
that has an out-of-distribution score (`ecg_lib.evaluation.out_of_distribution`) it is also refused
where it looks like nothing that the network was trained on. Probabilities are temperature scaled;
the temperature was fitted on the run's validation pages.

If all training pages of a layout were of one class, a network may know the layout and not the ECG:
that class is never the answer for a page in that layout. Where the layout says less than that, or
the page is drawn at another scale than the training pages, a caution goes with the answer.

Where the network learnt statements of recordings, the findings among them go with the answer that
it was measured to see (`ecg_lib.serving.findings`).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

import ecg_lib
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError, one_of
from ecg_lib.evaluation.out_of_distribution import answering_of
from ecg_lib.models import LOGITS, SCORE, STATEMENTS
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import Detection, rectify
from ecg_lib.pages.image import list_pages
from ecg_lib.pages.reading import find_leads, odd_pages_refused
from ecg_lib.runs.folder import DEFAULT_RUN, check_boxes
from ecg_lib.runs.names import network_name
from ecg_lib.runs.record import RunRecord, read_record
from ecg_lib.serving.answers import Answer, find_files
from ecg_lib.serving.findings import FINDINGS, findings_above, read_findings
from ecg_lib.serving.occlusion import softmax
from ecg_lib.serving.runtimes import ONNX, Network, is_installed, keras_network, onnx_network

RUNTIMES = ("onnx", "keras")

MIN_PAGES = 10
"""Number of training pages of a layout from which on it matters that all were of one class: of
fewer, they may be so by chance, and a network learns little from them."""

OWN_LAYOUTS = 0.9
"""Share of a class's training pages in layouts that no other class had, from which on the class is
no answer: what the network learnt of it is how those layouts look, which other pages may share."""

SCALE = {"mm_per_second": (25, "mm/s"), "mm_per_mv": (10, "mm/mV")}
"""Paper speed and gain of the training pages, by the attribute of `Detection`."""

TOLERANCE = 0.2
"""Largest deviation from those, as a share; the next values in use are half and double."""


class Predictor:
    """A trained network that answers for pages.

    Args:
        run: the run folder; by default that of the committed network.
        runtime: `"onnx"`, to answer by ONNX Runtime with the run's exported network, without
            TensorFlow and without the weights; `"keras"`; or None: by ONNX Runtime where it is
            installed and the run was exported for it, else by Keras.

    Attributes:
        run: the run folder.
        record: its record.
        network: its `ecg_lib.serving.runtimes.Network`.
        answering: what else it takes to answer.
        known_findings: the findings that the network may list.

    Raises:
        InputError: if the folder holds no finished run, or one that cannot be used, if the network
            was trained with boxes that depend on the label, or if it has findings to list and no
            output for them.
    """

    def __init__(self, run: str | Path | None = None, runtime: str | None = None) -> None:
        self.run = Path(ecg_lib.__file__).parents[1] / DEFAULT_RUN if run is None else Path(run)
        if runtime is not None:
            one_of("runtime", runtime, RUNTIMES)
        self.record = read_record(self.run)
        check_boxes(self.run, self.record)
        self.answering = answering_of(self.run, self.record)
        self.known_findings = read_findings(self.run)
        self.network = self._open(runtime)
        if self.known_findings and STATEMENTS not in self.network.outputs:
            raise InputError(
                f"{self.run / FINDINGS} names findings, and the network beside it has no output "
                "for them: expected a network that learnt statements, or no such file"
            )

    def logits(self, crops: np.ndarray) -> np.ndarray:
        """Return the logits `(pages, classes)` of crops `(pages, 13, height, width)`."""
        return self.network(crops)[LOGITS]

    def _open(self, runtime: str | None) -> Network:
        exported = self.run / ONNX
        if runtime is None:
            runtime = "onnx" if exported.is_file() and is_installed("onnxruntime") else "keras"
        if runtime == "onnx":
            return onnx_network(exported, self.record)
        return keras_network(self.run, self.record)

    @property
    def summary(self) -> str:
        """One sentence that says which network answers, and how often it was right."""
        answering, record = self.answering, self.record
        right = ""
        if answering.test_pages:
            right = (
                f": right on {answering.test_accuracy:.3f} of {answering.test_pages:,} test pages"
            )
        return (
            f"{network_name(record)}, trained on {record.data} under the protocol "
            f"{record.config.protocol}{right}"
        )

    def answer_file(self, file: Path) -> list[Answer]:
        """Answer for each page of a file.

        Args:
            file: the file, or a page of it such as `fax.tif#2`.

        Returns:
            One `Answer` per page; one alone, with the reason, where the file cannot be read.
        """
        try:
            pages = list_pages(file)
        except InputError as error:
            return [Answer(file, str(error))]
        return [self.answer(page.path, page.note) for page in pages]

    def answer(self, page: Path, note: str | None = None) -> Answer:
        """Answer for a page.

        Args:
            page: path of the page.
            note: what else is to be known of the page, which becomes part of the caution.

        Returns:
            An `Answer`; where the page cannot be read, one with the reason.
        """
        try:
            found, crops = _read(page, self.record.config.crop_options)
        except InputError as error:
            return Answer(page, str(error))
        outputs = self.network(crops[np.newaxis])
        logits = outputs[LOGITS]
        score = float(outputs[SCORE].item()) if SCORE in outputs else None
        shares = softmax(logits[0] / self.answering.temperature).tolist()
        probabilities = dict(zip(self.record.classes, shares, strict=True))
        name = max(probabilities, key=probabilities.__getitem__)
        refusal = self._refusal(found.layout, logits, score, name)
        if refusal is not None:
            return Answer(page, f"{page}: {refusal}", found, crops, score)
        cautions = [note, _about_layout(self.record, found.layout, name), *_about_scale(found)]
        caution = "; ".join(filter(None, cautions)) or None
        known = self.known_findings
        findings = findings_above(known, outputs[STATEMENTS][0]) if known else None
        return Answer(page, None, found, crops, score, probabilities, caution, findings)

    def _refusal(self, layout, logits, score, name):
        """Why the class of this name, the most probable one, is no answer; or None."""
        limit = self.answering.largest_score
        if not np.isfinite(logits).all():
            return "the network gives no finite numbers for this page"
        if None not in (score, limit) and not score <= limit:  # NaN is not, either.
            return (
                "it looks like nothing that the network was trained on: its out-of-distribution "
                f"score is {score:.2f}, expected at most {limit:.2f}"
            )
        if name == only_class(self.record, layout):
            number = sum(_pages_by_class(self.record, layout).values())
            return (
                f"all {number:,} labelled training pages in its layout, {layout}, were "
                f"{DISPLAY_NAMES[name]}, so that the network would answer {DISPLAY_NAMES[name]} "
                "for the layout alone; expected a layout that several classes had in training"
            )
        if name in classes_of_own_layouts(self.record):
            alone, number = _pages_in_own_layouts(self.record, name)
            return (
                f"the network would answer {DISPLAY_NAMES[name]}, but {alone:,} of the {number:,} "
                "labelled training pages of that class were in layouts that no other class had, so "
                "that it may know those layouts and not the class; expected a network that was "
                "trained on the class in layouts of other classes as well"
            )
        return None


def predict(
    pages: str | Path | Iterable[str | Path],
    model: str | Path | None = None,
    runtime: str | None = None,
) -> list[Answer]:
    """Answer for pages with a trained network.

    Args:
        pages: an image or PDF file, a folder, a glob pattern, or a list of those.
        model: a run folder; by default that of the committed network.
        runtime: `"onnx"`, `"keras"`, or None for ONNX Runtime where it can be used, see
            `Predictor`.

    Returns:
        A list with one `Answer` per page; one without an answer gives the reason.

    Raises:
        InputError: if there is no page, or the run cannot be used.

    Example:
        >>> (answer,) = ecg_lib.predict("page.jpg")
        >>> answer.label, round(answer.confidence, 2)
        ('normal', 0.98)
    """
    files = find_files([pages] if isinstance(pages, str | Path) else pages)
    predictor = Predictor(model, runtime)
    return [answer for file in files for answer in predictor.answer_file(file)]


def only_class(record: RunRecord, layout: str) -> str | None:
    """Return the class that all training pages in a layout were of, if there were enough."""
    seen = _pages_by_class(record, layout)
    return next(iter(seen)) if len(seen) == 1 and sum(seen.values()) >= MIN_PAGES else None


def classes_of_own_layouts(record: RunRecord) -> list[str]:
    """Return the classes whose training pages were nearly all in layouts of no other class."""
    found = []
    for name in record.classes:
        alone, number = _pages_in_own_layouts(record, name)
        if alone >= max(MIN_PAGES, OWN_LAYOUTS * number):
            found.append(name)
    return found


def _pages_in_own_layouts(record: RunRecord, name: str) -> tuple[int, int]:
    """Return how many training pages of a class were in layouts of no other class, of how many."""
    seen = {layout: _pages_by_class(record, layout) for layout in record.layouts or {}}
    alone = sum(pages[name] for pages in seen.values() if list(pages) == [name])
    return alone, sum(pages.get(name, 0) for pages in seen.values())


def _pages_by_class(record: RunRecord, layout: str) -> dict[str, int]:
    """Number of training pages in a layout, by class; empty as well where the record is older."""
    seen = (record.layouts or {}).get(layout, {})
    return {name: number for name, number in seen.items() if number}


def _about_layout(record, layout, answer):
    """What the layout may have told the network; None where it saw every class in it.

    Drawn recordings that taught the network have no label, and their layouts are not counted.
    """
    if record.layouts is None:
        return None
    seen = _pages_by_class(record, layout)
    missing = [DISPLAY_NAMES[name] for name in record.classes if name not in seen]
    if not seen:
        return f"the network was trained on no labelled page of the layout {layout}"
    none_was = (
        f"of the {sum(seen.values()):,} labelled {layout} pages that the network was trained on, "
        "none was"
    )
    if answer not in seen:
        return f"{none_was} {DISPLAY_NAMES[answer]}"
    if missing:
        return f"{none_was} {' or '.join(missing)}, so the layout alone may have decided"
    return None


def _about_scale(found: Detection) -> list[str]:
    """What is unusual in how the page is drawn or held."""
    cautions = []
    for name, (usual, unit) in SCALE.items():
        value = getattr(found, name)
        if value is not None and abs(value / usual - 1) > TOLERANCE:
            cautions.append(
                f"it is drawn at {value:g} {unit}, and the network was trained on {usual:g} {unit}"
            )
    return cautions + found.cautions


def _read(page, options):
    """Find the page's `Detection` and cut its crops."""
    luma, found = find_leads(page)
    with odd_pages_refused(page):
        rectified = rectify(luma, found)
        return found, crop_leads(rectified, found.boxes, inverted=found.inverted, **options)
