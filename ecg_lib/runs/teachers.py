"""Digital recordings with statements, drawn as pages that teach a network beside the labelled ones.

A folder of teachers holds WFDB recordings and a `labels.csv` with the columns record, patient_id,
superclasses and scp_statements, the words of the last two separated by spaces, as PTB-XL has them.
Each recording is drawn in several layouts, styles and situations.

A recording's superclasses do not name a class of the published pages, but they exclude some. So a
drawn page has a set of classes, of which one is right: normal alone; fresh or old infarction; or
anything that is neither normal nor COVID-19. Beside this it has its statements.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from ecg_lib.data.classes import CLASSES
from ecg_lib.drawing.formats.wfdb import refuse_without_wfdb
from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.page_signals import page_signals
from ecg_lib.drawing.page_versions import flattened
from ecg_lib.drawing.photographs import photograph
from ecg_lib.drawing.recordings import read_recordings
from ecg_lib.drawing.simulation import RATE
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import random_style
from ecg_lib.drawing.varied_pages import ARRANGEMENTS
from ecg_lib.errors import InputError
from ecg_lib.files import read_csv, sha256
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.leads import CROPS, LEADS
from ecg_lib.runs.drawn import drawn_crops

LABELS = "labels.csv"

COLUMNS = ("record", "patient_id", "superclasses", "scp_statements")
"""The columns of `labels.csv`."""

TEACHERS_VERSION = 1
"""Increased whenever the crops of some recording change, so that all are drawn anew."""

STYLED_PAGES = 3
SMALL_LAYOUTS = ("portrait_3x4_with_rhythm", "landscape_3x4_with_rhythm")
"""The formats of the published COVID-19 pages, so that the format does not stand for the class."""

USUAL_LAYOUTS = {
    "standard_3x4_with_rhythm": 0.6,
    "standard_6x2_with_rhythm": 0.2,
    "standard_6x2": 0.2,
}
"""The published layouts, in which `USUAL` of the styled pages are drawn, by their odds."""

USUAL = 0.6
PX_PER_MM = (3.0, 9.0)
"""Range of the resolution; a crop has about one pixel per millimetre."""

SITUATIONS = {
    "untouched": 0.3,
    "file": 0.35,
    "scan": 0.1,
    "print": 0.1,
    "photograph": 0.1,
    "screen": 0.05,
}
"""What happens to a styled page, a key of `ecg_lib.drawing.photographs.SITUATIONS`, by its odds."""

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")

GROUPS = {
    "anterior infarction": {"ASMI", "AMI", "ALMI"},
    "inferior infarction": {"IMI", "ILMI", "IPMI", "IPLMI"},
    "lateral infarction": {"LMI", "ALMI", "ILMI", "IPLMI", "PMI"},
    "injury": {"INJAS", "INJAL", "INJIN", "INJLA", "INJIL"},
    "atrial fibrillation or flutter": {"AFIB", "AFLT"},
    "ectopic beats": {"PVC", "PAC", "BIGU", "TRIGU", "SVARR", "PRC(S)"},
    "left bundle branch block": {"CLBBB", "ILBBB"},
    "right bundle branch block": {"CRBBB", "IRBBB"},
    "fascicular block": {"LAFB", "LPFB"},
    "intraventricular conduction delay": {"IVCD"},
    "left ventricular hypertrophy": {"LVH", "VCLVH", "SEHYP"},
    "ischaemia": {"ISCAL", "ISCIN", "ISCIL", "ISCAS", "ISCLA", "ISCAN", "ISC_", "ANEUR"},
    "ST-T change": {"NDT", "NST_", "DIG", "LNGQT", "STD_", "STE_", "NT_", "INVT", "LOWT", "TAB_"},
    "AV block": {"1AVB", "2AVB", "3AVB"},
    "pacing": {"PACE"},
    "tachycardia": {"STACH", "SVTAC", "PSVT"},
    "bradycardia": {"SBRAD"},
}
"""Groups of SCP-ECG statements that PTB-XL has often enough to learn from."""

STATEMENTS = (*SUPERCLASSES, *GROUPS)
"""What a page's statements are, in the order of their columns."""

UNKNOWN = -1.0
"""Stands for a statement of a page that has none."""

INFARCTIONS = ("myocardial_infarction", "history_of_mi")
"""The classes of pages that count as infarction; labels of recordings do not separate them."""

PARTS = {"train": 0.75, "choice": 0.85, "test": 1.0}
"""Parts of the patients, by the end of their share: trained on, chosen on, tested on."""

USED_PARTS = ("train", "choice")


@dataclass(frozen=True)
class Teachers:
    """Drawn recordings of one part of the patients.

    Attributes:
        crops: uint8 array `(pages, 13, height, width)`.
        labels: float32 array `(pages, classes + statements)`: 1 for each class that may be right,
            else 0; then 1 or 0 for each of `STATEMENTS`.
    """

    crops: np.ndarray
    labels: np.ndarray


def part_of(patient: int) -> str:
    """Return the part of a patient, a key of `PARTS`; it depends on the number alone."""
    digest = hashlib.sha256(f"teachers {patient}".encode()).hexdigest()
    share = int(digest[:8], 16) / 2**32
    return next(part for part, end in PARTS.items() if share < end)


def read_statements(folder: Path) -> pd.DataFrame:
    """Read the labels of a folder of teachers.

    Returns:
        DataFrame of `COLUMNS` and part, one row per recording.

    Raises:
        InputError: if there is no usable `labels.csv`.
    """
    path = folder / LABELS
    if not any(folder.glob("*.dat")):
        raise InputError(f"{folder} holds no .dat file: expected WFDB recordings and {LABELS}")
    table = read_csv(path, dtype=str, encoding="utf-8").fillna("")
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.empty:
        raise InputError(
            f"{path} has {len(table)} rows, and lacks the columns {', '.join(missing) or 'none'}: "
            f"expected the columns {', '.join(COLUMNS)} and at least one row"
        )
    patients = table["patient_id"]
    wrong = patients[~patients.str.fullmatch(r"\d+(\.0)?")]
    if len(wrong):
        raise InputError(
            f"{path} has {wrong.iloc[0]!r} for a patient_id: expected a whole number in each row"
        )
    for name in table["record"]:
        if not name or Path(name).name != name:
            raise InputError(
                f"{path} has {name!r} for a record: expected the name of a recording in its folder"
            )
    return table[list(COLUMNS)].assign(part=patients.astype(float).astype(int).map(part_of))


def teachers_hash(folder: Path, options: dict) -> str:
    """Return a digest of what the crops of a folder of teachers depend on.

    Args:
        folder: the folder.
        options: keyword arguments of `crop_leads`.
    """
    digest = hashlib.sha256(json.dumps([TEACHERS_VERSION, options], sort_keys=True).encode())
    for file in [folder / LABELS, *sorted(folder.glob("*.dat"))]:
        digest.update(file.name.encode() + bytes.fromhex(sha256(file) or ""))
    return digest.hexdigest()[:12]


def open_teachers(
    folder: Path, cache: Path, classes: Sequence[str], options: dict
) -> dict[str, Teachers]:
    """Draw the recordings of the patients that are not tested on, unless they are drawn already.

    Args:
        folder: a folder of teachers.
        cache: where the crops are kept, one file per recording.
        classes: the classes of the run.
        options: keyword arguments of `crop_leads`.

    Returns:
        The `Teachers` of `USED_PARTS`.

    Raises:
        InputError: if the labels cannot be used, if a part has no recording that can be drawn, if
            the package wfdb is not installed, or if `cache` cannot be written to.
    """
    table = read_statements(folder)
    table = table[table["part"].isin(USED_PARTS)]
    arguments = {record: (folder / f"{record}.hea", options) for record in table["record"]}
    crops = drawn_crops(cache, draw_teacher, arguments, "drawing recordings")
    table = table[[len(crops[record]) > 0 for record in table["record"]]]
    missing = sorted(set(USED_PARTS) - set(table["part"]))
    if missing:
        raise InputError(
            f"{folder / LABELS} names no recording that can be drawn of the patients of the part "
            f"{' and '.join(missing)}: expected some dozens of patients"
        )
    return {part: _join(crops, table[table["part"] == part], classes) for part in USED_PARTS}


def _join(crops, table, classes):
    of_part = [crops[record] for record in table["record"]]
    labels = np.concatenate([allowed_classes(table, classes), statements_of(table)], axis=1)
    return Teachers(np.concatenate(of_part), np.repeat(labels, list(map(len, of_part)), axis=0))


def allowed_classes(table: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Return which classes may be right for each recording, `(recordings, classes)`, 1 or 0."""
    allowed = []
    for text in table["superclasses"]:
        named = text.split()
        right = set(CLASSES) - {"covid_19"} if not named else set(INFARCTIONS)
        if named == ["NORM"]:
            right = {"normal"}
        elif named and "MI" not in named:
            right.add("abnormal_heartbeat")
        # A run on other classes may have none of them; then the page says nothing of the class.
        allowed.append([name in right for name in classes] if right & set(classes) else [True])
    return np.array([np.resize(row, len(classes)) for row in allowed], np.float32)


def statements_of(table: pd.DataFrame) -> np.ndarray:
    """Return which of `STATEMENTS` each recording has, `(recordings, statements)`, 1 or 0."""
    rows = []
    for superclasses, statements in zip(
        table["superclasses"].str.split(), table["scp_statements"].str.split(), strict=True
    ):
        groups = [bool(members & set(statements)) for members in GROUPS.values()]
        rows.append([*(name in superclasses for name in SUPERCLASSES), *groups])
    return np.array(rows, np.float32)


def draw_teacher(file: Path, options: dict) -> np.ndarray:
    """Read a recording and draw it, see `teacher_crops`; no page of one that cannot be read.

    Raises:
        InputError: if the package wfdb is not installed, which is no fault of the recording.
    """
    refuse_without_wfdb(file.parent)
    recordings, _ = read_recordings(file)
    if not recordings:
        return np.empty((0, len(CROPS), options["height"], options["width"]), np.uint8)
    seed = int(hashlib.sha256(file.stem.encode()).hexdigest()[:16], 16)
    signals = page_signals(recordings[0]).signals
    return teacher_crops(signals, np.random.default_rng(seed), options)


def teacher_crops(signals: np.ndarray, rng: np.random.Generator, options: dict) -> np.ndarray:
    """Draw twelve leads in several ways, and cut the leads out where they were drawn.

    Args:
        signals: array `(12, samples)` in mV at `ecg_lib.drawing.simulation.RATE`.
        rng: a `numpy.random.Generator`.
        options: keyword arguments of `crop_leads`.

    Returns:
        uint8 array `(pages, 13, height, width)`: `STYLED_PAGES`, then the small ones.
    """
    pages = [_styled_crops(signals, rng, options) for _ in range(STYLED_PAGES)]
    for layout in SMALL_LAYOUTS:
        image, boxes = draw_page(signals, RATE, layout, rng)
        pages.append(crop_leads(np.asarray(image.convert("L")), boxes, **options))
    return np.stack(pages)


def _styled_crops(signals, rng, options):
    if rng.random() < USUAL:
        layout = str(rng.choice(list(USUAL_LAYOUTS), p=list(USUAL_LAYOUTS.values())))
    else:
        layout = str(rng.choice(ARRANGEMENTS))
    low, high = np.log(PX_PER_MM)
    style = replace(random_style(rng, layout), px_per_mm=float(np.exp(rng.uniform(low, high))))
    page = draw_styled(signals, RATE, layout, style)
    image, boxes = np.asarray(page.image), page.boxes
    situation = str(rng.choice(list(SITUATIONS), p=list(SITUATIONS.values())))
    if situation != "untouched":
        picture, homography = photograph(image, page.traces_and_pulses, situation, rng)
        image, boxes = flattened(picture, homography, image.shape[1::-1], boxes)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    inverted = [LEADS.index(lead) for lead in page.layout.inverted]
    return crop_leads(luma, boxes, inverted=inverted, **options)
