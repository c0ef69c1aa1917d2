"""Signals that end the program end it as Ctrl-C does."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecg_lib import cli
from ecg_lib.cli.signals import ended_as_by_ctrl_c

if sys.platform == "win32":
    pytest.skip("Windows has no SIGHUP", allow_module_level=True)

SIGNALS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def usual_handlers():
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_is_ended_says_so(number, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        "ecg_lib.runs.folder.folders_of_runs", lambda results: os.kill(os.getpid(), number)
    )
    assert cli.main(["table", "--results", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "ecg_lib: interrupted; what is finished is kept\n"
    assert signal.getsignal(number) is signal.SIG_DFL


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_as_by_ctrl_c():
        os.kill(os.getpid(), signal.SIGHUP)


def test_other_threads_change_no_handler():
    def inside():
        with ended_as_by_ctrl_c():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(inside).result() is signal.SIG_DFL
