"""Pages that several test modules share: drawn ones, and the real ones where they are."""

import ast
import http.client
import json
import os
import shutil
import socket
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.recordings import Recording
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.files import sha256
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import LEADS
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import MODEL, finished_runs
from ecg_lib.runs.predictions import PREDICTIONS
from ecg_lib.runs.record import RECORD

ROOT = Path(__file__).parents[1]

SHARED = Path(os.environ.get("ECG_LIB_SHARED", ROOT.parent / "shared"))
"""Data that are too large or not ours to commit; tests that need them are skipped without them."""

PAGES_PER_CLASS = 5
SIDE = 16

TINY = {
    "cnn_2d": {"filters": (4, 8), "dense_units": 8},
    "cnn_3d": {"filters": (4, 4, 4, 8, 8), "dense_units": (8, 8)},
    "attention_lstm": {"units": 8},
    "hybrid": {"filters": (4, 8), "units": 8, "dense_units": 8},
    "attention_vgg": {"filters": (4, 4, 8, 8)},
    "time_distributed_cnn": {"filters": (4, 8), "dense_units": 8},
    # Without dropout, whose masks are not the same on one replica and on two.
    "lead_attention": {
        "filters": (4, 8, 8),
        "units": 8,
        "heads": 2,
        "dense_units": 8,
        "dropout": 0.0,
    },
}
"""Arguments by network that make it narrow; "testing" is narrow as it is."""

SIGNALS = simulate("normal", np.random.default_rng(7))

LOCAL = "127.0.0.1"


def recording(*leads, signals=SIGNALS, rate=RATE):
    """A recording of some leads of the signals, or of all."""
    leads = leads or LEADS
    signals = signals[[LEADS.index(lead) for lead in leads]]
    sources = dict.fromkeys(("rate", "unit", "leads"), "file")
    return Recording("one", signals, leads, rate, "mV", sources, ())


def free_port():
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        return free.getsockname()[1]


def response_to(port, path, body, headers):
    """Status, headers and text of the response to a request, a POST where it has a body."""
    with closing(http.client.HTTPConnection(LOCAL, port)) as connection:
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()


@pytest.fixture(scope="session")
def pages_folder(tmp_path_factory):
    """A set of drawn pages, five per class: never write into it, copy it."""
    folder = tmp_path_factory.mktemp("pages") / "drawn"
    draw_set(folder, PAGES_PER_CLASS, jobs=1)
    return folder


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="session")
def prepared_set(pages_folder, prepared_folder):
    """The drawn pages, prepared at 16x16 pixels: `configure` opens the same set."""
    return prepare(pages_folder, prepared_folder / "drawn", height=SIDE, width=SIDE, jobs=1)


@pytest.fixture(scope="session")
def configure_in(pages_folder, prepared_folder, prepared_set):
    """A function that makes a tiny `RunConfig` whose runs lie in a given folder."""

    def config(results, **options):
        tiny = {
            "data": str(pages_folder),
            "prepared": str(prepared_folder),
            "results": str(results),
            "model": "testing",
            "height": SIDE,
            "width": SIDE,
            "epochs": 2,
            "batch_size": 4,
        }
        return RunConfig(**tiny | options)

    return config


@pytest.fixture
def configure(configure_in, tmp_path):
    """A function that makes a tiny `RunConfig`, with a results folder of the test's own."""
    return partial(configure_in, tmp_path / "results")


@pytest.fixture(scope="session")
def drawn():
    """For each layout one drawn page: its luma and its true boxes."""
    pages = {}
    for layout in PUBLISHED_LAYOUTS:
        rng = np.random.default_rng(3)
        page, boxes = draw_page(simulate("normal", rng), RATE, layout, rng)
        pages[layout] = np.asarray(page.convert("L")), boxes
    return pages


@pytest.fixture(scope="session")
def tiny():
    """Arguments by network that make it narrow."""
    return TINY


@pytest.fixture(scope="session")
def finished_run(configure_in, tmp_path_factory):
    """The `RunConfig` of a run that is finished: never write into its folder, copy it."""
    from ecg_lib.runs.inputs import open_inputs
    from ecg_lib.training.train import train

    config = configure_in(tmp_path_factory.mktemp("finished"))
    train(config, open_inputs(config))
    return config


@pytest.fixture
def folder(finished_run, tmp_path):
    """A folder of runs that holds one finished run, of the testing network."""
    copy = tmp_path / "results" / "drawn" / "plain"
    shutil.copytree(finished_run.table_path, copy)
    return copy


@pytest.fixture
def run(folder):
    """The one run in `folder`."""

    (found,) = finished_runs(folder)
    return found


@pytest.fixture
def run_copy(finished_run, tmp_path):
    """A run folder that may be written into."""
    return shutil.copytree(finished_run.run_path, tmp_path / "run")


def write_recording(folder, name, seed, recipe="normal"):
    """Write a simulated recording of twelve leads as a WFDB record."""
    import wfdb

    signals = simulate(recipe, np.random.default_rng(seed))
    leads = {"sig_name": list(LEADS), "units": ["mV"] * 12, "fmt": ["16"] * 12}
    wfdb.wrsamp(name, fs=RATE, p_signal=signals.T, write_dir=str(folder), **leads)


def change_record(run, config=None, **fields):
    """Change values in a run's record, and let it name the files that lie beside it."""
    path = run / RECORD
    record = json.loads(path.read_text(encoding="utf-8"))
    record["config"] |= config or {}
    digests = {"predictions_sha256": sha256(run / PREDICTIONS), "model_sha256": sha256(run / MODEL)}
    path.write_text(json.dumps(record | digests | fields), encoding="utf-8")


@pytest.fixture(scope="session")
def shared():
    """The folder with the facts about the published experiment."""
    if not (SHARED / "data" / "khan2021" / "manifest.csv").exists():
        pytest.skip(
            f"the facts about the published experiment are not in {SHARED}: "
            "name their folder in ECG_LIB_SHARED"
        )
    return SHARED


@pytest.fixture(scope="session")
def cases():
    """The folder of small difficult inputs that lies beside the repository."""
    folder = SHARED / "cases"
    if not folder.is_dir():
        pytest.skip(f"the difficult inputs are not in {folder}: see ECG_LIB_SHARED")
    return folder


@pytest.fixture(scope="session")
def real_pages():
    """The folder of the published pages, both versions."""
    folder = Path(os.environ.get("ECG_LIB_REAL_PAGES", ROOT / "data" / "khan2021"))
    if not (folder / "v1").is_dir() or not (folder / "v2").is_dir():
        pytest.skip(
            f"the real pages are not in {folder}: .ci/run restores them into data/khan2021, "
            "or name their folder in ECG_LIB_REAL_PAGES"
        )
    return folder


@pytest.fixture(scope="session")
def ptbxl_sample():
    """The folder of real recordings with labels, a sample of PTB-XL."""
    folder = SHARED / "data" / "ptbxl_sample"
    if not (folder / "labels.csv").exists():
        pytest.skip(f"the recordings of PTB-XL are not in {folder}: see ECG_LIB_SHARED")
    return folder


def imports_of(tree):
    """Names of the modules that a syntax tree imports, at its top or anywhere."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # What is imported from a package may be a module of it.
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def packages_used(notebook, *modules):
    """Import names of the packages that a notebook needs, through all modules of ecg_lib.

    Args:
        notebook: its path.
        modules: names of modules of ecg_lib that it loads without importing them.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code = "\n".join(sources).replace("%matplotlib inline", "")
    todo, seen = {*imports_of(ast.parse(code)), *modules}, set()
    while todo:
        name = todo.pop()
        seen.add(name)
        path = ROOT.joinpath(*name.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                todo |= imports_of(ast.parse(file.read_text(encoding="utf-8"))) - seen
    return {name.split(".")[0] for name in seen} - {"ecg_lib", *sys.stdlib_module_names}
