"""Folder names, as they come in copies of the published data, against the five classes."""

import pytest

from ecg_lib.data.classes import CLASSES, DISPLAY_NAMES, class_of_folder, denies_class

FOLDERS = {
    "normal": (
        "Normal Person ECG Images (859)",
        "Normal Person ECG Images (284x12=3408)",
        "Normal Person",
        "Normal",
        "normal",
    ),
    "abnormal_heartbeat": (
        "ECG Images of Patient that have abnormal heart beats (548)",
        "ECG Images of Patient that have abnormal heartbeat (233x12=2796)",
        "Abnormal Heartbeat Patients",
        "abnormal",
        "abnormal_heartbeat",
        "HB",
        "hb",
    ),
    "myocardial_infarction": (
        "ECG Images of Myocardial Infarction Patients (77)",
        "ECG Images of Myocardial Infarction Patients (239x12=2868)",
        "Myocardial Infarction Patients",
        "Myocardical Infraction",
        "myocardial_infarction",
        "MI",
        "mi",
    ),
    "history_of_mi": (
        "ECG Images of Patient that have History of MI (203)",
        "ECG Images of Patient that have History of MI (172x12=2064)",
        "Patient that have History of Myocardial Infraction",
        "History_of_Myocardial_Infarction",
        "history_of_mi",
        "post_mi",
        "PMI",
        "pmi",
    ),
    "covid_19": (
        "ECG Images of COVID-19 Patients (250)",
        "covid_19",
        "Covid",
        "covid",
    ),
}


@pytest.mark.parametrize(
    ("folder", "name"), [(folder, name) for name, folders in FOLDERS.items() for folder in folders]
)
def test_published_folder_names(folder, name):
    assert class_of_folder(folder) == name
    assert class_of_folder(f"  {folder.upper().replace(' ', '__')} ") == name


@pytest.mark.parametrize("folder", ["", "(250)", "pages", "normality", "mi2", "abnormal mi"])
def test_other_names_are_of_no_class(folder):
    assert class_of_folder(folder) is None


@pytest.mark.parametrize(
    "folder", ["negative", "Non-COVID", "nonCOVID", "not_mi (3)", "no MI", "Controls", "unknown"]
)
def test_some_folders_deny_the_class_above_them(folder):
    assert denies_class(folder)
    assert class_of_folder(folder) is None


@pytest.mark.parametrize(
    "folder",
    [
        "positive",
        "2020",
        "notes",
        "november",
        *(name for names in FOLDERS.values() for name in names),
    ],
)
def test_others_do_not(folder):
    assert not denies_class(folder)


def test_class_order_and_display_names():
    assert tuple(FOLDERS) == CLASSES
    assert tuple(DISPLAY_NAMES) == CLASSES
