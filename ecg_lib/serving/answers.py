"""What is said of a page: an answer as text, as a record and as a table row."""

import csv
import glob
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ecg_lib.data.catalogue import as_utf_8, page_files
from ecg_lib.data.classes import DISPLAY_NAMES
from ecg_lib.errors import InputError
from ecg_lib.evaluation.calibration import PROBABILITY
from ecg_lib.pages.detection import Detection
from ecg_lib.pages.leads import CROPS

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
        strangeness: how far the page is from what the network knows, see
            `out_of_distribution_score`; or None.
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
