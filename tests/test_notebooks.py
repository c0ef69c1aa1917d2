"""The rules for notebooks, and each notebook run by strict papermill."""

import ast
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import nbformat
import pytest
from conftest import change_record

from ecg_lib.models import build
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import MODEL
from ecg_lib.serving.explain import open_question
from ecg_lib.training.headless import parameters_of, run_notebook

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
START = FOLDER / "00_start_here.ipynb"
EXPLAIN = FOLDER / "05_explain_prediction.ipynb"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(path):
    """The source of the code cells, without the one magic that makes figures show."""
    cells = nbformat.read(path, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    return [source.removeprefix("%matplotlib inline\n") for source in sources]


def test_the_notebooks_of_the_design_are_there():
    names = {path.stem for path in NOTEBOOKS}
    assert names == {
        "00_start_here",
        "01_look_at_pages",
        "02_train_model",
        "03_results",
        "04_audit_data",
        "05_explain_prediction",
    }


@each_notebook
def test_no_output_is_stored(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@each_notebook
def test_it_is_thin(path):
    for source in code_of(path):
        assert not re.search(r"^\s*[!%]|/home|/root|/kaggle|[A-Z]:\\", source, re.MULTILINE)
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, defined) for node in ast.walk(ast.parse(source)))


@each_notebook
def test_it_begins_with_its_purpose_and_ends_with_how_to_read_it(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    for word in ("**Input**", "**Cost**", "**Expect**", "not a diagnosis"):
        assert word in cells[0].source
    assert cells[-1].source.startswith("## How to read this")


@each_notebook
def test_it_begins_with_a_report_of_the_environment(path):
    assert "print(environment_report(" in code_of(path)[1]


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path not in (START, EXPLAIN)], ids=lambda path: path.stem
)
def test_its_parameters_are_fields_of_run_config_with_their_defaults(path):
    options = {field.name: field.default for field in fields(RunConfig)}
    parameters = parameters_of(path)
    assert parameters.items() <= options.items()


def test_the_training_notebook_has_every_parameter():
    parameters = parameters_of(FOLDER / "02_train_model.ipynb")
    assert list(parameters) == [field.name for field in fields(RunConfig)]


def test_the_start_notebook_is_short_and_needs_no_change():
    assert len(code_of(START)) <= 8
    assert parameters_of(START) == {"data": "", "epochs": 5}


def test_the_explaining_notebook_draws_its_default_page_for_the_committed_network(
    pages_folder, tmp_path, monkeypatch
):
    parameters = parameters_of(EXPLAIN)
    assert list(parameters) == ["run", "page", "recording"]
    # The set with fewer pages than the page's number: drawing them all would take longer.
    shutil.copytree(pages_folder, tmp_path / RunConfig.data)
    assert not (tmp_path / parameters["page"]).exists()
    monkeypatch.chdir(tmp_path)
    question = open_question(FOLDER.parent / parameters["run"], parameters["page"])
    assert question.crops.shape == (13, 64, 64)
    assert question.network == "Lead attention, mean of 3 seeds"


@pytest.fixture(scope="module")
def folders(tmp_path_factory, pages_folder):
    """Parameters that place everything a notebook writes into a temporary folder."""
    root = tmp_path_factory.mktemp("notebooks")
    return {
        "data": str(pages_folder),
        "prepared": str(root / "prepared"),
        "results": str(root / "runs"),
    }


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """Run the training notebook on the tiny model; return its executed copy."""
    output = tmp_path_factory.mktemp("executed") / "02.ipynb"
    parameters = {**folders, "model": "testing", "height": 32, "width": 32, "epochs": 2}
    run_notebook(FOLDER / "02_train_model.ipynb", output, parameters)
    return output


def text_of(executed):
    return "".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in nbformat.read(executed, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def pictures_of(executed):
    cells = nbformat.read(executed, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_training_under_papermill_shows_and_records_what_it_did(trained, folders):
    text = text_of(trained)
    assert "strategy auto" in text
    assert "epochs: 2" in text
    # Curves, architecture, and a confusion matrix for test, validation and both.
    assert pictures_of(trained) == 5
    (record,) = Path(folders["results"]).glob("*/plain/testing-32px-s1/run.json")
    assert json.loads(record.read_text(encoding="utf-8"))["epochs_done"] == 2


def test_results_under_papermill_show_the_table(trained, folders, tmp_path):
    parameters = {name: folders[name] for name in ("data", "results")}
    run_notebook(FOLDER / "03_results.ipynb", tmp_path / "03.ipynb", parameters)
    cells = nbformat.read(tmp_path / "03.ipynb", as_version=4).cells
    shown = str([cell.get("outputs") for cell in cells])
    assert "| Testing | 32x32 | 2 |" in shown
    assert pictures_of(tmp_path / "03.ipynb") == 3


def test_the_audit_under_papermill_shows_every_finding(folders, tmp_path):
    parameters = {name: folders[name] for name in ("data", "prepared")} | {
        "height": 32,
        "width": 32,
    }
    run_notebook(FOLDER / "04_audit_data.ipynb", tmp_path / "04.ipynb", parameters)
    cells = nbformat.read(tmp_path / "04.ipynb", as_version=4).cells
    shown = str([cell.get("outputs") for cell in cells])
    for title in ("Copies", "Label conflicts", "Leaks", "Shortcuts", "Leave one", "Blank crops"):
        assert f"## {title}" in shown


def test_looking_at_pages_under_papermill_shows_every_class(folders, tmp_path):
    parameters = {
        "data": folders["data"],
        "prepared": folders["prepared"],
        "height": 32,
        "width": 32,
    }
    run_notebook(FOLDER / "01_look_at_pages.ipynb", tmp_path / "01.ipynb", parameters)
    assert pictures_of(tmp_path / "01.ipynb") == 10


def test_explaining_under_papermill_shows_what_the_answer_depends_on(finished_run, tiny, tmp_path):
    run = shutil.copytree(finished_run.run_path, tmp_path / "run")
    build("attention_vgg", (13, 32, 32), **tiny["attention_vgg"]).save(run / MODEL)
    change_record(run, {"model": "attention_vgg", "height": 32, "width": 32})
    page = finished_run.data_path / "normal" / "normal_0001.jpg"
    recording = tmp_path / Path(parameters_of(EXPLAIN)["recording"]).name
    parameters = {"run": str(run), "page": str(page), "recording": str(recording)}
    run_notebook(EXPLAIN, tmp_path / "05.ipynb", parameters)
    # Page and crops, bars and page of each of two explanations, three attention maps, deletion.
    assert pictures_of(tmp_path / "05.ipynb") == 10
    text = text_of(tmp_path / "05.ipynb")
    assert "AttentionVGG, temperature" in text
    assert f"{recording} is not a file: expected a digital recording" in text
    address = f"https://physionet.org/files/ptb-xl/1.0.3/records500/00000/{recording.stem}"
    assert f"download {address}.hea and {address}.dat into {tmp_path}" in text


@pytest.mark.real
def test_explaining_under_papermill_shows_a_real_infarction(ptbxl_sample, pages_folder, tmp_path):
    name = Path(parameters_of(EXPLAIN)["recording"]).stem
    for suffix in (".hea", ".dat"):
        shutil.copy(ptbxl_sample / f"{name}{suffix}", tmp_path)
    page = pages_folder / "normal" / "normal_0001.jpg"
    parameters = {"page": str(page), "recording": str(tmp_path / f"{name}.hea")}
    run_notebook(EXPLAIN, tmp_path / "05.ipynb", parameters)
    text = text_of(tmp_path / "05.ipynb")
    assert f"{name}.jpg: " in text and "13 leads found" in text
    assert "probability of an infarction: 0." in text
    assert all(territory in text for territory in ("inferior", "anteroseptal", "lateral"))
    # Attention as bars and a page; page, bars and page of the recording.
    assert pictures_of(tmp_path / "05.ipynb") == 12


def test_starting_under_papermill_counts_copies_trains_twice_and_answers(
    pages_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pages_folder, tmp_path / "data" / "mine")
    # Under a name of its own: a copy that a random split may put on both sides.
    page = tmp_path / "data" / "mine" / "normal" / "normal_0001.jpg"
    shutil.copyfile(page, page.with_name("again.jpg"))
    run_notebook(START, tmp_path / "00.ipynb", {"epochs": 1})
    cells = nbformat.read(tmp_path / "00.ipynb", as_version=4).cells
    shown = str([cell.get("outputs") for cell in cells])
    assert "of 5 test files have a copy of their page in training" in shown
    assert "random" in shown and "plain" in shown
    assert "13 leads found" in shown or "no answer:" in shown
    assert pictures_of(tmp_path / "00.ipynb") >= 1


def test_a_path_means_the_same_in_jupyter_and_in_a_terminal(monkeypatch):
    in_terminal = RunConfig().run_path
    monkeypatch.chdir(FOLDER)
    assert RunConfig().run_path == in_terminal
    assert in_terminal.parts[-4:] == ("runs", "synthetic", "plain", "cnn_2d-s1")
