"""Text files that are written piece by piece."""

import pytest

from ecg_lib.errors import InputError
from ecg_lib.serving.outputs import open_text


def test_what_another_writes_is_left_alone(tmp_path):
    pytest.importorskip("fcntl", reason="the system has no locks of this kind")
    path = tmp_path / "answers.csv"
    path.write_text("an older and longer one", encoding="utf-8")
    with open_text(path) as write:
        write("first")
        with (
            pytest.raises(InputError, match=rf"another process is writing to {path}: expected"),
            open_text(path),
        ):
            pass
    assert path.read_text(encoding="utf-8") == "first"
    with open_text(path) as write:
        write("2")
    assert path.read_text(encoding="utf-8") == "2"
