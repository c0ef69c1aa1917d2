"""Errors of the operating system at every place where a prepared set is written."""

import os
import shutil
import signal
from itertools import count

import pytest
from full_disk import FullDisk
from PIL import Image
from test_prepared import noise_of

from ecg_lib.data import building
from ecg_lib.data.prepared import prepare
from ecg_lib.errors import InputError

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
