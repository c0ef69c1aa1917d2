"""Locks, and files that are written whole or not at all."""

import errno
import multiprocessing
from pathlib import Path

import pytest

from ecg_lib.errors import InputError
from ecg_lib.files import (
    code_version,
    locked,
    only_process_in,
    refuse_other_files,
    replacing,
    sha256,
)

processes = multiprocessing.get_context("spawn")


def hold(path, held, leave):
    with locked(path, 0):
        held.set()
        leave.wait()


def test_another_process_is_kept_out_until_it_is_killed(tmp_path):
    path, held, leave = tmp_path / "lock", processes.Event(), processes.Event()
    process = processes.Process(target=hold, args=(path, held, leave))
    process.start()
    assert held.wait(60)
    with pytest.raises(TimeoutError), locked(path, 0):
        pass
    process.kill()
    process.join()
    with locked(path, 0):
        pass


def test_one_process_at_a_time_works_in_a_folder(tmp_path, monkeypatch):
    folder = tmp_path / "table" / "run"
    with only_process_in(folder, 0):
        with (
            pytest.raises(InputError, match=r"another process is writing to .*run: expected"),
            only_process_in(folder, 0),
        ):
            pass
        with only_process_in(folder.with_name("other"), 0):
            pass
    with only_process_in(folder, 0):
        assert folder.is_dir()
    monkeypatch.chdir(folder)
    with only_process_in(Path()), pytest.raises(InputError), only_process_in(folder, 0):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_nothing_can_be_locked_nobody_is_kept_out(tmp_path, monkeypatch, code):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*args):
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with locked(tmp_path / "lock", 0), locked(tmp_path / "lock", 0):
        pass


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old", encoding="utf-8")
    message = rf"{path} cannot be written: No space left on device"
    with pytest.raises(InputError, match=message), replacing(path) as part:
        part.write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text(encoding="utf-8") == "old"
    with replacing(path) as part:
        part.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "new"


def test_of_several_that_write_one_file_at_once_the_last_decides(tmp_path):
    path = tmp_path / "table.csv"
    with replacing(path) as first:
        first.write_text("first", encoding="utf-8")
        with replacing(path) as second:
            second.write_text("second", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "second"
    assert path.read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_completed_is_removed(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "pages") as part:
        part.mkdir()
        (part / "page.jpg").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    (tmp_path / "set" / "mi").mkdir(parents=True)
    for name in (".hidden", ".part-0123", "mi/.part-4567"):
        (tmp_path / "set" / name).touch()
    (tmp_path / "set" / ".part-89ab" / "unpacked").mkdir(parents=True)
    with only_process_in(tmp_path / "set"):
        assert {path.name for path in (tmp_path / "set").rglob("*")} == {".hidden", "mi"}


def test_a_folder_in_which_another_process_begins_meanwhile_is_not_refused(tmp_path, monkeypatch):
    glob = Path.glob

    def begun(folder, pattern):
        (tmp_path / "set.json").touch()
        (tmp_path / "mi").mkdir()
        return glob(folder, pattern)

    monkeypatch.setattr(Path, "glob", begun)
    refuse_other_files(tmp_path, "set.json", "a drawn set")


def test_digest(tmp_path):
    assert sha256(tmp_path / "absent") is None
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")


def test_code_version_follows_the_code():
    assert code_version() == code_version()
    assert len(code_version().partition("+")[2]) == 12
