"""Standard streams that are closed, full, narrow or no longer read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from ecg_lib.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")

DRAW = f"{sys.executable} -m ecg_lib draw"


@pytest.fixture
def shell(tmp_path):
    """A function that runs a line of shell in a folder of its own; what it prints is text."""

    def run(line, **environment):
        return subprocess.run(
            line,
            shell=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            encoding="utf-8",
        )

    return run


def pages(folder):
    return sorted(path.name for path in folder.rglob("*.jpg"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is full")
@pytest.mark.parametrize(
    ("output", "fault"),
    [("> /dev/full", "No space left on device"), (">&-", "it is closed")],
)
def test_what_cannot_be_printed_does_not_stop_the_work(shell, tmp_path, output, fault):
    done = shell(f"{DRAW} drawn --pages-per-class 1 {output}")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last == f"ecg_lib: standard output cannot be written: {fault}"
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert len(pages(tmp_path / "drawn")) == 5


def test_without_standard_error_the_work_is_done(shell, tmp_path):
    done = shell(f"{DRAW} drawn --pages-per-class 1 2>&-")
    assert done.returncode == 0
    assert "5 pages drawn" in done.stdout
    assert len(pages(tmp_path / "drawn")) == 5


def test_a_reader_that_ends_is_no_error(shell):
    done = shell(f"{{ {DRAW} --help; echo $? >&2; }} | true")
    status, *more = done.stderr.splitlines()
    assert status in ("0", "141") and more == []


def test_letters_that_the_output_lacks_are_escaped(shell, tmp_path):
    done = shell(f"{DRAW} übung --pages-per-class 1", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "drawn in \\xfcbung" in done.stdout
    assert len(pages(tmp_path / "übung")) == 5


def test_names_do_not_drive_the_terminal(tmp_path, capsys, monkeypatch):
    """Neither what is printed on the way, nor the error at the end, which is one line."""
    monkeypatch.chdir(tmp_path)
    Path("\x1b[2J\x9b\n.npy").write_bytes(b"no array")
    assert main(["signals", "inspect", "."]) == 2
    printed = capsys.readouterr()
    assert r"left out: \x1b[2J\x9b" in printed.out and "\x1b" not in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith(r"ecg_lib: no recording can be used; the first: \x1b[2J\x9b\x0a.npy")


def test_a_current_folder_that_was_removed(shell, tmp_path):
    line = f"mkdir gone && cd gone && rmdir ../gone && {DRAW} {tmp_path}/drawn --pages-per-class 1"
    done = shell(line)
    assert done.returncode == 2
    assert done.stderr == (
        "ecg_lib: the current folder cannot be used: No such file or directory; change into one "
        "that exists\n"
    )
