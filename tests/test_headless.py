"""Strict papermill: what it refuses, and how it says what went wrong."""

import json
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

from ecg_lib.errors import InputError
from ecg_lib.training.headless import find_notebook, parameters_of, run_notebook

PARAMETERS = "epochs = 2  # rounds\nname = 'a'\nrate = -0.5"


@pytest.fixture
def notebook(tmp_path):
    """A function that writes a notebook of a parameters cell and code cells."""

    def write(*cells, parameters=(PARAMETERS,)):
        kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
        content = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
        content.cells = [
            *(
                nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
                for source in parameters
            ),
            nbformat.v4.new_markdown_cell("Text."),
            *(nbformat.v4.new_code_cell(source) for source in cells),
        ]
        nbformat.write(content, tmp_path / "small.ipynb")
        return tmp_path / "small.ipynb"

    return write


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "folder" / "done.ipynb"


# --- The parameters cell ---


def test_parameters_are_literals(notebook):
    assert parameters_of(notebook()) == {"epochs": 2, "name": "a", "rate": -0.5}


@pytest.mark.parametrize("number", [0, 2])
def test_there_is_one_parameters_cell(notebook, number):
    with pytest.raises(InputError, match=f"small.ipynb has {number} cells tagged parameters"):
        parameters_of(notebook(parameters=[PARAMETERS] * number))


@pytest.mark.parametrize(
    "line",
    ["steps = epochs * 3", "a = b = 1", "import os", "print(1)", "epochs: int = 2"],
)
def test_derived_values_and_other_statements_are_refused(notebook, line):
    with pytest.raises(InputError) as error:
        parameters_of(notebook(parameters=[f"epochs = 2\n{line}"]))
    assert line in str(error.value) and "expected assignments of literals" in str(error.value)


def test_unknown_parameter(notebook, output):
    with pytest.raises(InputError, match="no parameter 'epoch': expected some of epochs, name"):
        run_notebook(notebook(), output, {"epoch": 3})
    assert not output.exists()


def test_unwritable_output(notebook, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        run_notebook(notebook(), tmp_path / "file" / "done.ipynb", {})


# --- Running ---


def test_parameters_reach_the_cells_and_prints_are_shown(notebook, output, capfd):
    run_notebook(notebook("print(name * epochs, rate)"), output, {"name": "xy", "epochs": 3})
    assert "xyxyxy -0.5" in capfd.readouterr().out
    assert "xyxyxy -0.5" in output.read_text(encoding="utf-8")


def test_braces_in_a_path_are_part_of_its_name(notebook, tmp_path):
    output = tmp_path / "{name} {" / "done.ipynb"
    run_notebook(notebook("print(name)"), output, {"name": "xy"})
    assert "xy" in output.read_text(encoding="utf-8")


def test_an_exit_in_the_middle_is_no_success(notebook, output):
    path = notebook("import sys", "sys.exit(0)", "done = True\nprint(done)")
    with pytest.raises(RuntimeError, match=r"ended before its last cell.*'done = True'"):
        run_notebook(path, output, {})


def test_input_error_of_a_cell_keeps_its_sentence(notebook, output):
    path = notebook("from ecg_lib.errors import InputError", "raise InputError('no such folder')")
    with pytest.raises(InputError) as error:
        run_notebook(path, output, {})
    assert str(error.value) == "no such folder"


def test_other_errors_name_the_notebook_and_what_it_left(notebook, output):
    with pytest.raises(RuntimeError, match=r"small.ipynb failed with ZeroDivisionError") as error:
        run_notebook(notebook("1 / 0"), output, {})
    assert str(output) in str(error.value)
    assert output.exists()


def test_a_killed_kernel_is_one_sentence(notebook, output):
    path = notebook("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RuntimeError, match=r"ran small.ipynb was killed, .* start again to resume"):
        run_notebook(path, output, {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_under_the_notebook_is_one_sentence(notebook, output):
    output.parent.mkdir(parents=True)
    output.symlink_to("/dev/full")
    with pytest.raises(InputError, match=f"{output} cannot be written: No space left on device"):
        run_notebook(notebook(), output, {})


# --- The project's notebooks ---


def test_notebooks_are_found_from_anywhere(tmp_path, monkeypatch):
    """They are the package's own, whatever lies in the current folder."""
    foreign = tmp_path / "notebooks" / "02_train_model.ipynb"
    foreign.parent.mkdir()
    foreign.touch()
    monkeypatch.chdir(tmp_path)
    assert find_notebook("02_train_model") == ROOT / "notebooks" / "02_train_model.ipynb"


def test_notebook_that_is_not_there():
    with pytest.raises(InputError, match=r"no notebook at .*99_none.ipynb: expected .* clone"):
        find_notebook("99_none")


def test_no_foreign_kernel_or_package_is_used(notebook, output, tmp_path, monkeypatch):
    for name in ("ecg_lib.py", "ipykernel.py", "tornado.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('foreign')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    command = ["/gone/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    run_notebook(notebook("import ecg_lib, sys\nprint(sys.executable, ecg_lib)"), output, {})
    assert sys.executable in output.read_text(encoding="utf-8")
    assert str(ROOT / "ecg_lib") in output.read_text(encoding="utf-8")


def test_a_clone_is_imported_before_an_installed_package(notebook, output, monkeypatch):
    """Also where it is the current folder, which ipykernel takes off the path."""
    monkeypatch.chdir(ROOT)
    cell = "import sys\nfirst = next(i for i in sys.path if i.endswith('-packages'))\n"
    cell += f"print(sys.path.index({str(ROOT)!r}) < sys.path.index(first), 'is right')"
    run_notebook(notebook(cell), output, {})
    assert "True is right" in output.read_text(encoding="utf-8")
