"""Errors of the operating system at every place where a prepared set is written."""

import errno
import os
import shutil
import signal
from itertools import count
from unittest.mock import Mock

import cv2
import pytest
from full_disk import FullDisk
from PIL import Image
from test_prepared import noise_of

from ecg_lib.data import building
from ecg_lib.data.prepared import prepare
from ecg_lib.errors import InputError
from ecg_lib.pages import image

prepare_page = building._prepare_page

PAGES = 3
FILES = ("crops.npy", "pages.csv", "bad_pages.csv", "digests.json")


@pytest.fixture
def pages_of_noise(tmp_path, monkeypatch):
    """A folder of pages whose preparation costs nothing."""
    monkeypatch.setattr(building, "_prepare_page", noise_of)
    folder = tmp_path / "pages"
    for number in range(PAGES):
        path = folder / "normal" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (300, 300), number).save(path)
    (folder / "normal" / "empty.png").touch()
    return folder


@pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])
def test_an_error_at_any_place_of_writing_is_one_sentence_and_the_building_is_resumed(
    pages_of_noise, tmp_path, stays
):
    def build(folder):
        return prepare(pages_of_noise, folder, height=8, width=8, jobs=1).folder

    expected = {name: (build(tmp_path / "whole") / name).read_bytes() for name in FILES}
    for place in count():
        folder = tmp_path / "prepared"
        disk = FullDisk(folder, place, stays)
        with disk.inserted():
            try:
                build(folder)
                failed = False
            except InputError as error:
                assert "cannot be written: No space left on device" in str(error)
                failed = True
        if not disk.was_reached:
            assert not failed
            break
        built = build(folder)
        assert {name: (built / name).read_bytes() for name in FILES} == expected
        shutil.rmtree(folder)
    assert place > 10 + 3 * PAGES


def no_memory_for_opencv():
    error = cv2.error("Failed to allocate")
    error.code = cv2.Error.StsNoMem
    return error


@pytest.mark.parametrize(
    "error", [MemoryError(), no_memory_for_opencv(), OSError(errno.ENOMEM, "Cannot allocate")]
)
def test_a_page_on_which_memory_ran_out_is_not_left_out_for_good(
    pages_of_noise, tmp_path, monkeypatch, error
):
    def starved(folder, source, *rest):
        prepare_one = prepare_page if source == "normal/1.png" else noise_of
        return prepare_one(folder, source, *rest)

    def build():
        return prepare(pages_of_noise, tmp_path / "prepared", height=8, width=8, jobs=1)

    with monkeypatch.context() as patch:
        patch.setattr(building, "_prepare_page", starved)
        patch.setattr(image, "_decode", Mock(side_effect=error))
        with pytest.raises(
            InputError, match=r"memory ran out on 1 pages, .* normal/1\.png: .*resume"
        ):
            build()
    assert list(build().bad["file"]) == ["normal/empty.png"]
    assert len(build().pages) == PAGES


def test_a_killed_worker_is_one_sentence_and_the_building_is_resumed(
    pages_of_noise, tmp_path, monkeypatch
):
    def killed(folder, source, *rest):
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(building, "_prepare_page", killed)
        with pytest.raises(InputError, match=r"was killed, .* start again to resume"):
            prepare(pages_of_noise, tmp_path / "prepared", height=8, width=8, jobs=2)
    assert len(prepare(pages_of_noise, tmp_path / "prepared", height=8, width=8, jobs=1).pages) == 3
