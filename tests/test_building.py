"""Errors of the operating system at every place where a prepared set is written."""

import builtins
import errno
import io
import os
import shutil
import signal
from itertools import count

import pytest
from PIL import Image
from test_prepared import noise_of

from ecg_lib.data import building
from ecg_lib.data.prepared import prepare
from ecg_lib.errors import InputError

PAGES = 3
FILES = ("crops.npy", "pages.csv", "bad_pages.csv", "digests.json")


class FullDisk:
    """Raise an error at one place of writing, or at it and all later ones.

    Args:
        folder: what is written below it counts.
        place: number of the place, from 0.
        stays: whether it fails from then on.
    """

    def __init__(self, folder, place, stays):
        self.folder, self.place, self.stays = str(folder), place, stays
        self.places = 0

    def step(self):
        number = self.places
        self.places += 1
        if number == self.place or (self.stays and number > self.place):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def function(self, function):
        """Wrap a function of a path, or of a file's number."""

        def checked(path, *args, **options):
            if isinstance(path, int) or os.fspath(path).startswith(self.folder):
                self.step()
            return function(path, *args, **options)

        return checked

    def opener(self, function):
        """Wrap `open`."""

        def checked(path, mode="r", *args, **options):
            writes = not isinstance(path, int) and os.fspath(path).startswith(self.folder)
            if not writes or not set(mode) & set("wax+"):
                return function(path, mode, *args, **options)
            self.step()
            return CheckedFile(function(path, mode, *args, **options), self.step)

        return checked


class CheckedFile:
    """A file whose every way to write may fail."""

    def __init__(self, file, step):
        self._file, self._step = file, step

    def __getattr__(self, name):
        if name in ("write", "truncate", "flush"):
            self._step()
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self._file.close()


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
        with pytest.MonkeyPatch.context() as patch:
            for module, name in ((builtins, "open"), (io, "open")):
                patch.setattr(module, name, disk.opener(getattr(module, name)))
            for name in ("mkdir", "replace", "rename", "unlink", "posix_fallocate"):
                patch.setattr(os, name, disk.function(getattr(os, name)))
            try:
                build(folder)
                failed = False
            except InputError as error:
                assert "cannot be written: No space left on device" in str(error)
                failed = True
        if disk.places <= place:  # This place is beyond the last.
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
