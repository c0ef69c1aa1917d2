"""The five classes: their order, display names, and the names of their folders."""

import re
from collections.abc import Iterable

CLASSES = (
    "normal",
    "abnormal_heartbeat",
    "myocardial_infarction",
    "history_of_mi",
    "covid_19",
)
"""Class names in the order of every label number and logit."""

DISPLAY_NAMES = {
    "normal": "Normal",
    "abnormal_heartbeat": "Abnormal heartbeat",
    "myocardial_infarction": "Myocardial infarction",
    "history_of_mi": "History of infarction",
    "covid_19": "COVID-19",
}

# Folder names seen in copies of both versions of the published data, as `_plain` leaves them.
_FOLDERS = {
    "normal": ("normal", "normal person", "normal person ecg images", "normal ecg images"),
    "abnormal_heartbeat": (
        "hb",
        "abnormal",
        "abnormal heartbeat",
        "abnormal heartbeat patients",
        "abnormal heartbeat ecg images",
        "ecg images of patient that have abnormal heart beats",
        "ecg images of patient that have abnormal heartbeat",
    ),
    "myocardial_infarction": (
        "mi",
        "myocardial infarction",
        "myocardical infraction",
        "myocardial infarction patients",
        "myocardial infarction ecg images",
        "ecg images of myocardial infarction patients",
    ),
    "history_of_mi": (
        "pmi",
        "post mi",
        "post mi history ecg images",
        "history of mi",
        "history of myocardial infarction",
        "patient that have history of myocardial infraction",
        "patient that have history of myocardial infarction",
        "ecg images of patient that have history of mi",
    ),
    "covid_19": (
        "covid",
        "covid 19",
        "covid19",
        "covid 19 patients",
        "ecg images of covid 19 patients",
    ),
}
_DENIAL = re.compile(
    "no|not|non.*|neg|negatives?|controls?|exclu(de|ded|sions?)|others?|reject(ed|s)?|unknowns?|"
    "un(certain|clear|sure|labell?ed)|without"
)
"""Words in the name of a folder that takes its pages out of the class above it."""

_CLASS_OF_FOLDER = {folder: name for name, folders in _FOLDERS.items() for folder in folders}


def in_class_order(names: Iterable[str]) -> list[str]:
    """Return the distinct class names among `names`, in the order of `CLASSES`."""
    among = set(names)
    return [name for name in CLASSES if name in among]


def class_of_folder(folder_name: str) -> str | None:
    """Return the class that a folder of this name holds, or None if the name is not known.

    Case, underscores, hyphens, repeated spaces and a count in brackets do not matter, so
    `"ECG Images of Myocardial Infarction Patients (240x12=2880)"` is `"myocardial_infarction"`.
    """
    return _CLASS_OF_FOLDER.get(_plain(folder_name))


def denies_class(folder_name: str) -> bool:
    """Return whether a folder of this name holds pages that are not of the class above it.

    Examples are `"negative"`, `"non-covid"`, `"Controls (12)"` and `"not MI"`.
    """
    words = re.findall("[a-z]+", _plain(folder_name))
    return any(map(_DENIAL.fullmatch, words))


def _plain(folder_name):
    without_count = re.sub(r"\([^)]*\)", " ", folder_name)
    return re.sub(r"[\s_-]+", " ", without_count).strip().lower()
