"""The answer for a page, as text, as a record, and as a table row."""

import csv
import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ecg_lib.data.catalogue import page_files
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.pages.detection import Detection
from ecg_lib.pages.leads import CROPS
from ecg_lib.runs.predictions import PROBABILITY
from ecg_lib.serving.findings import Finding
from ecg_lib.serving.outputs import open_text
from ecg_lib.text import as_utf_8, without_controls

DISCLAIMER = "Research software, not a diagnosis."

NOT_IN_TABLE = ("probabilities", "boxes", "homography")
"""Fields of `as_record` that have no single value for a column."""


@dataclass(frozen=True)
class Answer:
    """The answer for one page.

    Attributes:
        file: the page's file, or the page in it such as `fax.tif#2`.
        refusal: the sentence that says why there is no answer, or None where there is one.
        detection: the layout and the leads found, or None where the page cannot be read.
        crops: uint8 `(13, height, width)`, what the network sees, or None likewise.
        out_of_distribution_score: how far the page is from the network's training pages, see
            `ecg_lib.evaluation.out_of_distribution`; or None likewise, and of a network that has
            no such score.
        probabilities: calibrated probability of each class by its name, or None without an answer.
        caution: what limits the answer: classes that the network never saw in the page's layout,
            an unusual scale; or None.
        findings: the findings above their thresholds, the most probable first, or None without an
            answer or where the network may list none.
    """

    file: Path
    refusal: str | None = None
    detection: Detection | None = None
    crops: np.ndarray | None = field(default=None, repr=False)
    out_of_distribution_score: float | None = None
    probabilities: dict[str, float] | None = None
    caution: str | None = None
    findings: list[Finding] | None = None

    @property
    def label(self) -> str | None:
        """The most probable class, or None without an answer."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float | None:
        """The calibrated probability of `label`, 0 to 1, or None without an answer."""
        return None if self.probabilities is None else max(self.probabilities.values())


def find_files(pages: Iterable[str | Path]) -> list[Path]:
    """Find the files that paths stand for.

    Args:
        pages: paths of files, of folders, whose pages are taken at any depth, and glob patterns.

    Returns:
        The files, each once, in the order given. A file need not exist or be a page: reading it
        gives the reason.

    Raises:
        InputError: if a name is empty, if a folder holds no files, if a pattern matches none, or if
            the system cannot look a path up, such as one that is too long.
    """
    found: dict[Path, None] = {}
    for page in pages:
        if page == "":
            raise InputError("'' names no page: expected a file, folder or pattern")
        try:
            found |= dict.fromkeys(_files_of(Path(page)))
        except OSError as error:
            raise InputError(
                f"{page} cannot be looked up: {error.strerror}; expected a file, folder or pattern"
            ) from None
    return list(found)


def _files_of(page):
    if page.is_dir():
        files, fault = page_files(page), "holds no pages: expected image or PDF files"
    elif glob.has_magic(str(page)) and not page.exists():
        matches = sorted(map(Path, glob.glob(str(page), recursive=True)))  # noqa: PTH207
        files, fault = [path for path in matches if path.is_file()], "matches no file"
    else:
        files, fault = [page], None
    if not files:
        raise InputError(f"{page} {fault}")
    return files


def describe(answer: Answer) -> str:
    """Describe an answer in a line of text; what in a file's name would not be, is escaped."""
    return without_controls(as_utf_8(_in_words(answer)))


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
        + (f"; findings: {_listed(answer, ', ')}" if answer.findings else "")
        + (f"; caution: {answer.caution}" if answer.caution else "")
    )


def _listed(answer, separator):
    return separator.join(map(str, answer.findings or ()))


def as_record(answer: Answer) -> dict[str, Any]:
    """Make a dict for JSON of an answer.

    Returns:
        dict with file; answered; refusal (None if answered); label, confidence and probabilities
        (by class, 0 to 1; None if not answered); caution (None if there is none); findings (a list
        of dicts of finding, probability and auroc; None where the network may list none);
        out_of_distribution_score, layout, rhythm_lead, reading_confidence (0 to 1, how well the
        page fits its layout), boxes (by crop: left, top, right, bottom, in pixels of the rectified
        page) and homography (3x3, from those pixels to the file's; the identity for a flat page),
        all None if the page cannot be read.
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
        "findings": answer.findings and list(map(asdict, answer.findings)),
        "out_of_distribution_score": answer.out_of_distribution_score,
        "layout": found and found.layout,
        "rhythm_lead": found and found.rhythm_lead,
        "reading_confidence": found and found.confidence,
        "boxes": found and dict(zip(CROPS, map(list, found.boxes), strict=True)),
        "homography": found and found.homography.tolist(),
    }


@contextmanager
def open_table(path: Path, classes: Sequence[str]) -> Iterator[Callable[[Answer], None]]:
    """Begin a CSV file of answers, whose rows are safe as soon as they are written.

    Its columns are the fields of `as_record` without those in `NOT_IN_TABLE`, the findings as text,
    and the probabilities under `p_<class>`.

    Args:
        path: the file.
        classes: the class names.

    Yields:
        A function of an `Answer` that adds its row.

    Raises:
        InputError: if the file cannot be written.
    """
    names = [name for name in as_record(Answer(path)) if name not in NOT_IN_TABLE]
    columns = [*names, *(PROBABILITY + name for name in classes)]
    with open_text(path) as write:
        table = csv.DictWriter(SimpleNamespace(write=write), columns, extrasaction="ignore")
        table.writeheader()

        def add(answer: Answer) -> None:
            shares = (answer.probabilities or {}).items()
            table.writerow(
                as_record(answer)
                | {"findings": _listed(answer, "; ")}
                | {PROBABILITY + name: share for name, share in shares}
            )

        yield add
