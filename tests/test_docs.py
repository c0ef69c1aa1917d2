"""README and docs: their commands run, their tables and numbers are those of the code."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecg_lib.data.classes import CLASSES
from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.evaluation.documents import update_document
from ecg_lib.models import DISPLAY_NAMES, OURS, PUBLISHED, build
from ecg_lib.pages.leads import LEADS
from ecg_lib.runs.config import DEMO_PAGES_PER_CLASS
from ecg_lib.training.headless import parameters_of

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)

MAX_LINES, MAX_WORDS = 150, 1200
"""Of the README: a front page is read in a minute."""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


def test_every_command_is_checked_by_some_test():
    programs = {shlex.split(command)[0] for command in COMMANDS}
    assert programs == {"make", "python3", ".venv/bin/python", ".venv/bin/papermill"}


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make")])
def test_make_knows_the_target(command):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    program, target = shlex.split(command)
    dry = subprocess.run(
        [program, "--dry-run", target], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert dry.returncode == 0, dry.stderr


def ecg_lib_commands():
    return [shlex.split(line) for line in COMMANDS if "-m ecg_lib" in line]


def write_recording(path):
    """Ten seconds of an ECG, with one column per lead and one with the time."""
    signals = simulate("normal", np.random.default_rng(1)).T
    recording = pd.DataFrame(signals, columns=LEADS).add_suffix(" (mV)")
    recording.index /= RATE
    path.parent.mkdir(parents=True)
    recording.to_csv(path, index_label="time (s)")


def test_the_command_line_does_what_the_documents_say(tmp_path, monkeypatch, capsys):
    """Every ecg_lib command, in the documents' order, in a folder that has nothing yet."""
    from ecg_lib import cli

    trained, served = [], []
    monkeypatch.chdir(tmp_path)
    # Papermill and the training itself are test_notebooks' business.
    monkeypatch.setattr(
        "ecg_lib.training.headless.run_notebook", lambda *arguments: trained.append(arguments)
    )
    monkeypatch.setattr("ecg_lib.runs.inputs.DEMO_PAGES_PER_CLASS", 3)
    # Serving would never end.
    monkeypatch.setattr("ecg_lib.serving.app.serve", lambda *arguments: served.append(arguments))
    write_recording(Path("path/to/recordings/recording.csv"))
    for command in ecg_lib_commands():
        arguments = command[command.index("ecg_lib") + 1 :]
        if "path/to/pages" in arguments:
            continue
        if arguments == ["--help"]:
            with pytest.raises(SystemExit) as left:
                cli.main(arguments)
            assert left.value.code == 0
        else:
            assert cli.main(arguments) == 0, command
    asked_for = [(str(call[2]["model"]), call[2]["epochs"]) for call in trained]
    assert [model for model, _ in asked_for] == [*PUBLISHED, "cnn_2d"]
    assert asked_for[-1] == ("cnn_2d", 5)
    ((_, host, port),) = served
    assert f"http://{host}:{port}" in TEXT


def test_the_command_for_the_real_pages_is_understood(capsys):
    from ecg_lib import cli

    (command,) = [command for command in ecg_lib_commands() if "path/to/pages" in command]
    assert cli.main(command[command.index("ecg_lib") + 1 :]) == 2
    assert "path/to/pages is not a folder" in capsys.readouterr().err


def test_the_papermill_command_names_a_notebook_and_its_parameters():
    (command,) = [shlex.split(line) for line in COMMANDS if "bin/papermill" in line]
    known = parameters_of(ROOT / command[1])
    named = [command[place + 1] for place, word in enumerate(command) if word == "-p"]
    assert named
    assert set(named) <= set(known)


def test_the_python_examples_run(tmp_path):
    answers, crops = blocks("python")
    code = (
        "from pathlib import Path\n"
        "from ecg_lib.drawing.demo_set import draw_set\n"
        "draw_set(Path('data/asked'), 2, seed=3)\n"
        "draw_set(Path('data/more'), 1)\n"
        f"{answers}\n"
        f"{crops}\n"
        "assert answer.label in answer.probabilities\n"
        "assert crops.shape == (13, 64, 64) and crops.dtype == 'uint8'\n"
        "assert logits.shape == (1, 5)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert ran.returncode == 0, ran.stderr


def test_the_front_page_is_short():
    text = DOCUMENTS[0].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert len(text.split()) <= MAX_WORDS


def test_tables_are_those_of_the_committed_predictions(tmp_path):
    marked = [path for path in DOCUMENTS if "<!-- end of table -->" in path.read_text("utf-8")]
    assert len(marked) >= 2
    shutil.copytree(ROOT / "results", tmp_path / "results")
    for path in marked:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
        update_document(copy, tmp_path / "results")
        assert copy.read_text("utf-8") == path.read_text("utf-8")


def test_every_command_is_listed():
    from ecg_lib.cli.main import _parser

    (commands,) = [action.choices for action in _parser()._actions if action.choices]
    listed = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert {name for name in commands if f"`{name}`" not in listed} == set()


@pytest.mark.parametrize("name", (*PUBLISHED, *OURS))
def test_parameter_counts_are_those_of_the_networks(name):
    model = build(name)
    trainable = sum(int(weight.numpy().size) for weight in model.trainable_weights)
    (row,) = re.findall(rf"^\| {DISPLAY_NAMES[name]} \|.*\| ([\d,]+) \|$", TEXT, re.MULTILINE)
    assert row == f"{trainable:,}"


def test_lists_are_those_of_the_code():
    one_line = " ".join(TEXT.split())
    assert ", ".join(CLASSES) in one_line
    assert ", ".join(LEADS) in one_line
    for protocol in PROTOCOLS:
        assert f"| `{protocol}` |" in TEXT
    assert f"draws {DEMO_PAGES_PER_CLASS * len(CLASSES)} synthetic ECG pages" in TEXT


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_contents_list_every_page():
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in DOCUMENTS[1:]:
        assert path.name == "README.md" or f"]({path.name})" in contents, path.name
