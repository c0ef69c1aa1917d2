"""The folder for a hosted Space answers for a page, with nothing but what lies in it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import free_port, response_to
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement

from ecg_lib.data.classes import DISPLAY_NAMES

SPACE = "jo-doe-ecg.hf.space"


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[1] / "docs" / "make_space.py"
    return SimpleNamespace(**runpy.run_path(str(path)))


@pytest.fixture(scope="module")
def space(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosted") / "space"
    assert script.main([str(folder)]) == 0
    return folder


def test_the_settings_are_read_by_the_hub(space):
    data = SpaceCard.load(space / "README.md").data
    assert (data.sdk, data.app_file, data.license) == ("gradio", "app.py", "mit")
    assert (space / data.app_file).is_file()
    lines = (space / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = {requirement.name: requirement for requirement in map(Requirement, lines)}
    assert data.sdk_version in needed["gradio"].specifier
    assert "onnxruntime" in needed and "tensorflow" not in needed


def test_what_cannot_be_hosted_is_refused(script, space, run_copy, tmp_path, capsys):
    assert script.main([str(space)]) == 2
    assert "exists: expected the name of a new folder" in capsys.readouterr().err
    assert script.main([str(tmp_path / "new"), "--model", str(run_copy)]) == 2
    assert "holds no model.onnx: python -m ecg_lib export" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.fixture
def port(space, tmp_path):
    """The port of the Space, which is started where there is no TensorFlow."""
    number = free_port()
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not in a Space')", encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path), "SPACE_HOST": SPACE}
    environment |= {"GRADIO_SERVER_PORT": str(number), "PATH": os.environ["PATH"]}
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=space,
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        assert f"http://localhost:{number}/" in process.stdout.readline()
        yield number
        process.kill()


def request(port, path, body=None, kind="application/json", host=SPACE):
    """Status, headers and text of a request as the host passes it on."""
    headers = {"Host": host, "Origin": f"https://{host}", "Content-Type": kind}
    return response_to(port, path, body, headers)


def test_a_drawn_page_is_answered(port, pages_folder):
    status, headers, _ = request(port, "/")
    assert status == 200
    assert "frame-ancestors https://huggingface.co" in headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in headers
    assert request(port, "/", host="attacker.example")[0] == 403

    page = (pages_folder / "abnormal_heartbeat" / "abnormal_heartbeat_0002.jpg").read_bytes()
    begin = b'--b\r\nContent-Disposition: form-data; name="files"; filename="page.jpg"\r\n\r\n'
    body = begin + page + b"\r\n--b--\r\n"
    _, _, text = request(port, "/gradio_api/upload", body, "multipart/form-data; boundary=b")
    (path,) = json.loads(text)
    upload = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = {"data": [upload], "fn_index": 0, "session_hash": "me"}
    assert request(port, "/gradio_api/queue/join", json.dumps(event))[0] == 200
    _, _, text = request(port, "/gradio_api/queue/data?session_hash=me")
    assert "calibrated probability" in text
    assert any(f"<b>{name}</b>" in text for name in DISPLAY_NAMES.values())
