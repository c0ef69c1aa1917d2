"""Pages are found by their bytes or their folders' names, in folders and archives."""

import hashlib
import itertools
import os
import shutil
import threading

import pandas as pd
import pytest
from PIL import Image

from ecg_lib.data import discovery
from ecg_lib.data.catalogue import find_pages
from ecg_lib.data.classes import CLASSES
from ecg_lib.data.discovery import find_data
from ecg_lib.data.protocols import has_folder_splits

_numbers = itertools.count()


def write_pages(folder, *names, number=2):
    """Write different tiny pages into folders of these names."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for page in range(number):
            column, row = divmod(next(_numbers), 32)
            image = Image.new("L", (32, 32))
            image.putpixel((column % 32, row), 255)
            image.save(folder / name / f"{page}.png")
    return folder


@pytest.fixture
def known(monkeypatch):
    """A function that makes the files of a folder the published ones."""

    def publish(folder):
        digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.png")]
        table = pd.DataFrame({"sha256": digests})
        monkeypatch.setattr(discovery, "published_files", lambda: table)

    return publish


def test_published_pages_are_found_by_their_bytes_whatever_the_folders_are_called(tmp_path, known):
    copy = write_pages(tmp_path / "input" / "mirror" / "set", "klass 1", "klass 2 (77)")
    write_pages(tmp_path / "input" / "other", "normal", "covid", number=9)
    known(copy)
    assert find_data([tmp_path / "gone", tmp_path / "input"]) == copy


def test_other_pages_are_found_by_the_names_of_their_class_folders(tmp_path, known):
    known(tmp_path)
    pages = write_pages(tmp_path / "mine", "Normal Person ECG Images (859)", "MI")
    write_pages(tmp_path / "holiday", "beach", number=5)
    assert find_data([tmp_path]) == pages


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes among its files")
def test_what_never_ends_is_not_opened(tmp_path, known):
    known(tmp_path)
    for name in ("page.jpg", "pages.zip"):
        os.mkfifo(tmp_path / name)
    found = []
    search = threading.Thread(target=lambda: found.append(find_data([tmp_path])), daemon=True)
    search.start()
    search.join(60)
    assert found == [None]


def test_train_and_test_folders_are_one_copy(tmp_path, known):
    known(tmp_path)
    folders = [f"{split}/{name}" for split in ("train", "Test") for name in ("normal", "mi")]
    assert find_data([write_pages(tmp_path / "data", *folders)]) == tmp_path / "data"


_OF_VERSION_2 = (
    "ECG Images of Myocardial Infarction Patients (240x12=2880)",
    "ECG Images of Patient that have History of MI (172x12=2064)",
    "ECG Images of Patient that have abnormal heartbeat (233x12=2796)",
    "Normal Person ECG Images (284x12=3408)",
)

MIRRORS = {
    "Mendeley version 1": (
        "ECG Images of COVID-19 Patients (250)",
        "ECG Images of Myocardial Infarction Patients (77)",
        "ECG Images of Patient that have History of MI (203)",
        "ECG Images of Patient that have abnormal heart beats (548)",
        "Normal Person ECG Images (859)",
    ),
    "Mendeley version 2": _OF_VERSION_2,
    "train and test folders": [
        f"ECG_DATA/{split}/{name}" for split in ("train", "test") for name in _OF_VERSION_2
    ],
    "renamed": (
        "Abnormal Heartbeat ECG Images",
        "Myocardial Infarction ECG Images",
        "Normal ECG Images",
        "Post MI History ECG Images",
    ),
    "renamed, train and test": [
        f"{split}/{name}"
        for split in ("Train", "Test")
        for name in ("Abnormal Heartbeat", "History of MI", "Myocardial Infarction", "Normal")
    ],
    "short names": [f"ECG_DATA/train/{name}" for name in ("hb", "mi", "normal", "pmi")],
}
"""Folders of copies of the data, as public code names them."""


@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_mirror_is_found_with_all_its_classes(tmp_path, known, mirror):
    known(tmp_path)
    place = tmp_path / "input" / "datasets" / "some-body" / "ecg"
    write_pages(place, *MIRRORS[mirror])
    found = find_data([tmp_path / "input"])
    assert found is not None and place in (found, *found.parents)
    pages, bad = find_pages(found)
    assert len(pages) == 2 * len(MIRRORS[mirror])
    assert bad.empty
    expected = set(CLASSES) if mirror == "Mendeley version 1" else set(CLASSES[:4])
    assert set(pages["class"]) == expected
    assert has_folder_splits(pages) == ("test" in mirror)


def test_of_two_versions_the_larger_is_taken(tmp_path, known):
    write_pages(tmp_path / "two" / "a", "normal", "mi")
    larger = write_pages(tmp_path / "two" / "b", "normal", "mi", number=3)
    known(tmp_path)
    assert find_data([tmp_path]) == larger


def test_an_archive_is_unpacked_once(tmp_path, known):
    write_pages(tmp_path / "set", "normal", "mi")
    known(tmp_path)
    place = tmp_path / "place"
    place.mkdir()
    shutil.make_archive(str(place / "pages"), "zip", tmp_path, "set")
    found = find_data([place], tmp_path / "unpacked")
    assert found == tmp_path / "unpacked" / "pages" / "set"
    assert len(list(found.rglob("*.png"))) == 4
    (found / "normal" / "0.png").unlink()
    assert find_data([place], tmp_path / "unpacked") == found
    assert len(list(found.rglob("*.png"))) == 3


def test_what_is_too_large_for_a_page_is_not_unpacked(tmp_path, known, monkeypatch, caplog):
    write_pages(tmp_path / "set", "normal", "mi")
    known(tmp_path)
    (tmp_path / "set" / "normal" / "bomb.png").write_bytes(bytes(10_000))
    shutil.make_archive(str(tmp_path / "place" / "pages"), "zip", tmp_path, "set")
    monkeypatch.setattr(discovery, "MAX_BYTES", 9_999)
    found = find_data([tmp_path / "place"], tmp_path / "unpacked")
    assert sorted(path.name for path in (found / "normal").iterdir()) == ["0.png", "1.png"]
    assert "set/normal/bomb.png in " in caplog.text
    assert "is not unpacked: it has 10,000 bytes, and a page has at most 9,999" in caplog.text


def test_a_damaged_archive_is_named_and_passed_over(tmp_path, known, caplog):
    write_pages(tmp_path / "set", "normal")
    shutil.make_archive(str(tmp_path / "place" / "pages"), "zip", tmp_path, "set")
    archive = tmp_path / "place" / "pages.zip"
    content = bytearray(archive.read_bytes())
    content[content.index(b"normal/0.png") + 30] ^= 0xFF
    archive.write_bytes(content)
    assert find_data([tmp_path / "place"], tmp_path / "unpacked") is None
    assert "pages.zip is passed over, it is damaged or encrypted: " in caplog.text


def test_where_there_are_no_pages_there_is_no_folder(tmp_path, known):
    known(tmp_path)
    write_pages(tmp_path, "beach")
    (tmp_path / "broken.zip").write_bytes(b"PK")
    assert find_data([tmp_path]) is None
