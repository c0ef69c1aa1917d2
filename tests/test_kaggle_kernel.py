"""What is built for Kaggle: the metadata as Kaggle's client reads it, and the kernel, run whole."""

import ast
import json
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import nbformat
import pytest
from conftest import imports_of, packages_used
from PIL import Image
from requests import HTTPError

from ecg_lib.data.catalogue import find_pages
from ecg_lib.data.classes import CLASSES
from ecg_lib.files import code_version
from ecg_lib.pages.image import PAGE_SUFFIXES
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import read_record
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.training.headless import parameters_of
from ecg_lib.training.train import train

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "kaggle_kernel"
DRIVER = FOLDER / "train_on_kaggle.ipynb"

OWNER = "jo-doe"
PAGES = "some-body/ecg-pages"

KAGGLE_HAS = {
    *("PIL", "cv2", "filelock", "h5py", "imagehash", "joblib", "jupyter_client", "keras"),
    *(
        "matplotlib",
        "nbclient",
        "nbformat",
        "numpy",
        "pandas",
        "papermill",
        "scipy",
        "sklearn",
        "statsmodels",
        "tensorflow",
        "tqdm",
    ),
}
"""Import names of what Kaggle's image has, of all that ecg_lib uses: Kaggle/docker-python's
kaggle_requirements.txt names ImageHash and papermill, the others are in Colab's image below it."""


ONLY_FOR_SOME_FILES = {"pillow_heif", "pypdfium2", "wfdb", "edfio"}
"""Import names of what reads HEIC and PDF files, which `ecg_lib.pages` names where it is missing,
and the recordings that teach a network; imported only when such a file is read."""


@pytest.fixture(scope="module")
def build():
    """`build.py`'s own names."""
    return SimpleNamespace(**runpy.run_path(str(FOLDER / "build.py")))


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    """The folder that `build.py` wrote: never write into it."""
    output = tmp_path_factory.mktemp("built")
    assert build.main(["--owner", OWNER, "--pages", PAGES, "--output", str(output)]) == 0
    return output


# --- build.py ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--owner, --pages"),
        (["--owner", "jo doe", "--pages", PAGES], "'jo doe' is not a name on Kaggle: exp"),
        (["--owner", OWNER, "--pages", "ecg-pages"], "'ecg-pages' is not a dataset on Kaggle"),
        (["--owner", OWNER, "--pages", PAGES, "--resum"], "unrecognized arguments: --resum"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(build, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        build.main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    assert message in line


def test_an_output_that_cannot_be_written(build, capsys, tmp_path):
    (tmp_path / "file").touch()
    output = str(tmp_path / "file")
    assert build.main(["--owner", OWNER, "--pages", PAGES, "--output", output]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert output in line


def test_the_wheel_holds_the_whole_package_and_says_its_version(built):
    (wheel,) = (built / "package").glob("ecg_lib-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("ecg_lib/")}
    package = ROOT / "ecg_lib"
    files = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    assert packed == {name for name in files if "__pycache__" not in name}
    assert (built / "package" / "code_version.txt").read_text(encoding="utf-8") == code_version()


def test_the_package_is_flat_since_kaggle_s_client_skips_folders(built):
    assert all(path.is_file() for path in (built / "package").iterdir())
    notebooks = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks == {path.name for path in (built / "package").glob("*.ipynb")}


# --- What Kaggle's own client makes of it ---


@pytest.fixture
def api(monkeypatch, tmp_path):
    """Kaggle's client, without credentials and without a way to the network."""
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    # Importing the client logs in, or says at length how to.
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", None)
    from kaggle.api.kaggle_api_extended import KaggleApi

    api = KaggleApi()
    api.config_values = {api.CONFIG_NAME_USER: OWNER}
    return api


class Client:
    """Stands for the connection to Kaggle: keeps the requests that would be sent."""

    def __init__(self):
        self.requests = []
        self.kernels = SimpleNamespace(kernels_api_client=self)
        self.datasets = SimpleNamespace(dataset_api_client=self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def save_kernel(self, request):
        self.requests.append(request)

    def create_dataset(self, request):
        self.requests.append(request)
        return SimpleNamespace(error="")


@pytest.fixture
def client(api, monkeypatch):
    client = Client()
    monkeypatch.setattr(api, "build_kaggle_client", lambda: client)
    return client


def test_the_push_request(api, client, built, capsys):
    api.kernels_push(str(built / "kernel"))
    (request,) = client.requests
    assert request.slug == f"{OWNER}/ecg-lib-training"
    assert request.machine_shape == "NvidiaTeslaT4"
    assert request.enable_gpu is True
    assert request.enable_internet is False
    assert request.is_private is True
    assert (request.language, request.kernel_type) == ("python", "notebook")
    assert request.dataset_data_sources == [f"{OWNER}/ecg-lib-package", PAGES]
    assert request.kernel_data_sources == []
    sent = json.loads(request.text)["cells"]
    assert [cell["source"] for cell in sent] == [
        cell.source for cell in nbformat.read(DRIVER, as_version=4).cells
    ]
    # The client warns where a title and a slug do not agree.
    assert capsys.readouterr().out == ""


def test_no_key_that_kaggle_s_client_would_leave_unread(api, built, tmp_path):
    known = json.loads(Path(api.kernels_initialize(str(tmp_path))).read_text(encoding="utf-8"))
    written = json.loads((built / "kernel" / "kernel-metadata.json").read_text(encoding="utf-8"))
    assert written.keys() <= known.keys()


def test_resuming_attaches_the_output_of_the_kernel_itself(api, client, build, built, monkeypatch):
    monkeypatch.setitem(build.build.__globals__, "_build_wheel", lambda folder: None)
    output = built.with_name("resuming")
    arguments = ["--owner", OWNER, "--pages", PAGES, "--output", str(output), "--resume"]
    assert build.main(arguments) == 0
    api.kernels_push(str(output / "kernel"))
    assert client.requests[0].kernel_data_sources == [f"{OWNER}/ecg-lib-training"]


def test_the_dataset_request(api, client, built, monkeypatch):
    uploaded = []

    def upload_files(request, resources, folder, *rest):
        uploaded.append(Path(folder))

    def not_there(dataset):
        raise HTTPError

    monkeypatch.setattr(api, "upload_files", upload_files)
    monkeypatch.setattr(api, "dataset_status", not_there)
    api.dataset_create_new(str(built / "package"))
    (request,) = client.requests
    assert (request.owner_slug, request.slug) == (OWNER, "ecg-lib-package")
    assert request.is_private is True
    assert uploaded == [built / "package"]


# --- The driver notebook ---


def driver_code():
    return [c.source for c in nbformat.read(DRIVER, as_version=4).cells if c.cell_type == "code"]


def test_the_driver_is_thin_and_holds_no_output():
    for cell in json.loads(DRIVER.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    nodes = [node for source in driver_code() for node in ast.walk(ast.parse(source))]
    assert not any(isinstance(node, defined) for node in nodes)
    assert parameters_of(DRIVER)["inputs"] == "/kaggle/input"


def test_the_parameters_of_the_driver_are_run_config_s_and_all_are_passed_on(tmp_path, monkeypatch):
    own = {"models", "hours", "inputs"}
    options = {name: value for name, value in parameters_of(DRIVER).items() if name not in own}
    RunConfig(**options)
    monkeypatch.chdir(tmp_path)
    given = parameters_of(DRIVER) | {
        "hours": 0.0,
        "mixed_precision": True,
        "pages": [tmp_path],
        "packages": [tmp_path],
    }
    passed_on = run_cell("The trainings", **given)["options"]
    assert {f"--{name.replace('_', '-')}" for name in options} <= set(passed_on)


def test_the_driver_imports_only_the_standard_library_and_ipython():
    """TensorFlow in the driver would take the memory of the GPUs from the trainings."""
    imported = set()
    for source in driver_code():
        imported |= imports_of(ast.parse(source))
    assert {name.split(".")[0] for name in imported} <= {*sys.stdlib_module_names, "IPython"}


def test_training_imports_only_what_kaggle_has():
    notebook = ROOT / "notebooks" / "02_train_model.ipynb"
    used = packages_used(notebook, "ecg_lib.training.headless", "ecg_lib.models.layers")
    assert {"tensorflow", "imagehash"} <= used
    assert used - ONLY_FOR_SOME_FILES <= KAGGLE_HAS


# --- Where Kaggle mounts what is attached ---

SHORT = ("Normal", "HB", "MI", "PMI", "Covid")
VERSION_1 = (
    "Normal Person ECG Images (859)",
    "ECG Images of Patient that have abnormal heart beats (548)",
    "ECG Images of Myocardial Infarction Patients (77)",
    "ECG Images of Patient that have History of MI (203)",
    "ECG Images of COVID-19 Patients (250)",
)
VERSION_2 = (
    "Normal Person ECG Images (284x12=3408)",
    "ECG Images of Patient that have abnormal heartbeat (233x12=2796)",
    "ECG Images of Myocardial Infarction Patients (240x12=2880)",
    "ECG Images of Patient that have History of MI (172x12=2064)",
)
SHAPES = {
    "class folders": [("", SHORT)],
    "version 1": [("", VERSION_1)],
    "version 1 in a folder": [("ECG images dataset/gwbz3fsgp8-1", VERSION_1)],
    "versions 1 and 2": [("v1", VERSION_1), ("v2", VERSION_2)],
    "version 2 in train and test": [("ECG_DATA/train", VERSION_2), ("ECG_DATA/test", VERSION_2)],
}
"""Shapes of users' copies of the pages: the folders that hold class folders, and their names."""

MOUNTS = {
    "flat": "{name}",
    "by kind and owner": "{kind}/{owner}/{name}",
}


def mount(inputs, shape, source, kind, owner, name):
    """Copy a folder to where Kaggle mounts an attachment; return the copy's path."""
    target = inputs / MOUNTS[shape].format(kind=kind, owner=owner, name=name)
    shutil.copytree(source, target)
    return target


@pytest.fixture
def package(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "ecg_lib-0.1.0-py3-none-any.whl").touch()
    return tmp_path / "package"


def run_cell(title, **names):
    """Run the driver's imports and the cell below a heading; return all names afterwards."""
    _, imports, *_ = driver_code()
    cells = nbformat.read(DRIVER, as_version=4).cells
    place = [cell.source for cell in cells].index(f"## {title}")
    exec(imports, names)
    exec(cells[place + 1].source, names)
    return names


def attach(inputs):
    return run_cell("What is attached", inputs=str(inputs))


@pytest.mark.parametrize("kinds", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("shape", MOUNTS)
def test_pages_are_found_wherever_they_are_mounted(tmp_path, package, shape, kinds):
    for parent, class_folders in kinds:
        for class_name, class_folder in zip(CLASSES, class_folders, strict=False):
            path = tmp_path / "pages" / parent / class_folder / f"{class_name}.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (8, 8)).save(path)
    inputs = tmp_path / "input"
    mount(inputs, shape, package, "datasets", OWNER, "ecg-lib-package")
    pages = mount(inputs, shape, tmp_path / "pages", "datasets", "some-body", "ecg-pages")

    assert attach(inputs)["pages"] == [pages]
    found, bad = find_pages(pages)
    assert bad.empty
    assert len(found) == sum(len(class_folders) for _, class_folders in kinds)
    assert list(found["class"]) == [Path(file).stem for file in found["file"]]


@pytest.fixture
def page(tmp_path):
    """A folder with one file that passes for a page."""
    path = tmp_path / "pages" / "normal" / "page.jpg"
    path.parent.mkdir(parents=True)
    path.touch()
    return tmp_path / "pages"


@pytest.fixture
def output(tmp_path):
    """The output of an earlier version, with one run."""
    run = tmp_path / "output" / "runs" / "ecg_pages" / "plain" / "cnn_2d-s1"
    run.mkdir(parents=True)
    (run / "run.json").touch()
    return tmp_path / "output"


def test_what_is_mounted_at_both_places_counts_once(tmp_path, package, page):
    for shape in MOUNTS:
        mount(tmp_path / "input", shape, package, "datasets", OWNER, "ecg-lib-package")
        mount(tmp_path / "input", shape, page, "datasets", "some-body", "ecg-pages")
    names = attach(tmp_path / "input")
    assert len(names["packages"]) == len(names["pages"]) == 1


def test_other_attachments_are_not_taken_for_pages(tmp_path, package, page, output):
    shape = "by kind and owner"
    mount(tmp_path / "input", shape, package, "datasets", OWNER, "ecg-lib-package")
    mount(tmp_path / "input", shape, page, "datasets", "some-body", "ecg-pages/versions/3")
    earlier = mount(tmp_path / "input", shape, output, "notebooks", OWNER, "ecg-lib-training")
    for place in ("models/google/bert/tensorflow2/base/1", "competitions/titanic"):
        (tmp_path / "input" / place).mkdir(parents=True)
        (tmp_path / "input" / place / "train.csv").touch()
    names = attach(tmp_path / "input")
    assert names["earlier"] == [earlier]
    (pages,) = names["pages"]
    assert pages.parts[-3:] == ("ecg-pages", "versions", "3")


def test_the_driver_knows_every_kind_of_page(tmp_path, package, page):
    mount(tmp_path / "input", "flat", package, "datasets", OWNER, "ecg-lib-package")
    mount(tmp_path / "input", "flat", page, "datasets", "some-body", "ecg-pages")
    assert attach(tmp_path / "input")["images"] == set(PAGE_SUFFIXES)


def test_two_owners_may_use_one_name(tmp_path, package, page):
    shape = "by kind and owner"
    mount(tmp_path / "input", shape, package, "datasets", OWNER, "ecg-lib-package")
    for owner in ("alice", "bob"):
        mount(tmp_path / "input", shape, page, "datasets", owner, "ecg-images")
    with pytest.raises(RuntimeError, match="2 attachments hold pages") as error:
        attach(tmp_path / "input")
    assert "alice/ecg-images" in str(error.value) and "bob/ecg-images" in str(error.value)


@pytest.mark.real
def test_two_attached_datasets_of_pages_are_both_named(cases):
    with pytest.raises(RuntimeError, match="2 attachments hold pages") as error:
        attach(cases / "30_kaggle_same_slug" / "input")
    assert "alice/ecg-images" in str(error.value) and "bob/ecg-images" in str(error.value)


def test_one_run_in_two_earlier_outputs_is_refused(tmp_path, package, page, output):
    shape = "by kind and owner"
    mount(tmp_path / "input", shape, package, "datasets", OWNER, "ecg-lib-package")
    mount(tmp_path / "input", shape, page, "datasets", "some-body", "ecg-pages")
    for owner in ("alice", "bob"):
        mount(tmp_path / "input", shape, output, "notebooks", owner, "ecg-lib-training")
    with pytest.raises(RuntimeError, match="more than one earlier output holds runs/ecg_pages/pla"):
        attach(tmp_path / "input")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ecg-pages"], "0 attachments hold the package"),
        (["package"], "0 attachments hold pages"),
        (["package", "ecg-pages", "cats"], "2 attachments hold pages"),
    ],
)
def test_what_is_missing_or_too_much_is_said_in_one_sentence(tmp_path, package, names, message):
    for name in names:
        source = package if name == "package" else tmp_path / name
        source.mkdir(exist_ok=True)
        if name != "package":
            (source / "page.jpg").touch()
        mount(tmp_path / "input", "flat", source, "datasets", OWNER, name)
    with pytest.raises(RuntimeError, match=message) as error:
        attach(tmp_path / "input")
    assert names[-1] in str(error.value)


@pytest.mark.slow
def test_without_two_gpus_the_driver_fails_before_it_trains(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(RuntimeError) as error:
        run_cell("The devices", strategy="mirrored")
    (line,) = str(error.value).splitlines()
    assert "strategy 'mirrored' needs two or more devices" in line


def test_when_time_is_up_the_driver_stops_without_failing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_cell(
        "The trainings",
        **parameters_of(DRIVER) | {"hours": 0.0, "pages": [tmp_path], "packages": [tmp_path]},
    )
    assert "a new version with this output attached resumes" in capsys.readouterr().out


# --- The whole kernel, as on Kaggle ---


@pytest.fixture(scope="module")
def kaggle_python(tmp_path_factory):
    """A Python with all that this one has but ecg_lib, which is to be installed into it."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", vars=paths))
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "ecg_lib" not in path.name:
            (site_packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


@pytest.fixture
def run_notebook(kaggle_python, tmp_path):
    """A function that runs a notebook by papermill in an empty folder, without ecg_lib.

    It returns the exit status, that folder, and the text that the notebook shows.
    """

    def run(notebook, **parameters):
        working = tmp_path / "working"
        working.mkdir(exist_ok=True)
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "-1"}
        # Whatever the wheel requires is there: nothing is fetched.
        environment |= {"PIP_NO_INDEX": "1"}
        # A few pages are prepared sooner than another process is started.
        environment |= {"LOKY_MAX_CPU_COUNT": "1"}
        executed = tmp_path / "executed.ipynb"
        command = [kaggle_python, "-m", "papermill", notebook, executed, "-k", "python3"]
        done = subprocess.run(
            [*command, "--parameters_yaml", json.dumps(parameters)],
            cwd=working,
            env=environment,
            capture_output=True,
            encoding="utf-8",
        )
        return done.returncode, working, text_of(executed)

    return run


@pytest.fixture
def run_kernel(run_notebook, built):
    """A function that runs the built kernel, see `run_notebook`."""
    tiny = {
        "protocol": "plain",
        "height": 16,
        "width": 16,
        "batch_size": 4,
        "strategy": "single",
    }

    def run(inputs, **parameters):
        driver = built / "kernel" / DRIVER.name
        return run_notebook(driver, **tiny | {"inputs": str(inputs), **parameters})

    return run


def text_of(executed):
    outputs = [
        output
        for cell in nbformat.read(executed, as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    return "".join(
        output.get("text", "")
        + output.get("data", {}).get("text/markdown", "")
        + output.get("evalue", "")
        for output in outputs
    )


@pytest.fixture
def inputs(built, pages_folder, tmp_path):
    """A function that mounts the built package and drawn pages, and returns the folder."""

    def mounted(shape):
        folder = tmp_path / "input"
        mount(folder, shape, built / "package", "datasets", OWNER, "ecg-lib-package")
        mount(folder, shape, pages_folder, "datasets", "some-body", "ecg-pages")
        return folder

    return mounted


@pytest.mark.slow
def test_ecg_lib_is_not_importable_before(kaggle_python, tmp_path):
    command = [kaggle_python, "-c", "import papermill, ecg_lib"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'ecg_lib'"


@pytest.fixture
def earlier_output(inputs, pages_folder, tmp_path, monkeypatch):
    """The output of a version that finished one network and was cut off in another's training."""
    # The pages lay elsewhere in that version: their place is not part of what a run is.
    shutil.copytree(pages_folder, tmp_path / "ecg-pages")
    options = {
        "data": str(tmp_path / "ecg-pages"),
        "prepared": str(tmp_path / "earlier-prepared"),
        "results": str(tmp_path / "output" / "runs"),
        "height": 16,
        "width": 16,
        "batch_size": 4,
        "epochs": 2,
        "strategy": "single",
    }
    finished = RunConfig(model="testing", **options)
    train(finished, open_inputs(finished))

    evaluate, epochs = keras.Model.evaluate, []

    def cut_off_in_the_second_epoch(model, *args, **kwargs):
        epochs.append(model)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return evaluate(model, *args, **kwargs)

    cut_off = RunConfig(model="cnn_2d", **options)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(keras.Model, "evaluate", cut_off_in_the_second_epoch)
        train(cut_off, open_inputs(cut_off))
    return tmp_path / "output"


@pytest.mark.slow
def test_the_kernel_trains_and_ends_with_the_table(run_kernel, inputs, built):
    options = {"epochs": 1, "seed": 2, "batch_size": 5}
    status, working, text = run_kernel(inputs("flat"), models=["testing", "cnn_2d"], **options)
    assert status == 0, text
    code_version = (built / "package" / "code_version.txt").read_text(encoding="utf-8")
    assert f"code: {code_version}" in text
    assert "strategy single" in text
    table = text[text.rindex("| model |") :]
    assert "| CNN 2D | 16x16 | 1 |" in table
    assert "| Testing | 16x16 | 1 |" in table
    folder = working / "runs" / "ecg_pages" / "plain"
    for name in ("testing-16px-s2", "cnn_2d-16px-s2"):
        record = read_record(folder / name)
        assert record.code_version == code_version
        assert vars(record.config).items() >= options.items()
        assert (folder / f"{name}.ipynb").exists()
    assert {path.name for path in working.iterdir()} == {"runs"}


@pytest.mark.slow
def test_the_start_notebook_runs_unchanged_where_only_the_wheel_is(run_notebook, inputs, built):
    assert inputs("by kind and owner").name == "input"
    notebook = built / "package" / "00_start_here.ipynb"
    status, working, text = run_notebook(notebook, epochs=1)
    assert status == 0, text
    assert "test files have a copy of their page in training" in text
    assert {"random", "plain"} == {path.name for path in working.glob("runs/*/*")}


@pytest.mark.slow
def test_the_start_notebook_installs_an_uploaded_wheel_and_unpacks_pages_as_on_colab(
    run_notebook, built, pages_folder, tmp_path
):
    working = tmp_path / "working"
    working.mkdir()
    (wheel,) = (built / "package").glob("ecg_lib-*.whl")
    shutil.copy(wheel, working)
    shutil.make_archive(str(working / "my pages"), "zip", pages_folder.parent, pages_folder.name)
    status, _, text = run_notebook(built / "package" / "00_start_here.ipynb", epochs=1)
    assert status == 0, text
    assert f"{working / 'data' / 'unpacked' / 'my pages'}" in text
    assert "25 pages prepared" in text
    assert "test files have a copy of their page in training" in text


@pytest.mark.slow
def test_a_new_version_resumes_from_the_earlier_output(run_kernel, inputs, earlier_output):
    shape = "by kind and owner"
    folder = inputs(shape)
    mount(folder, shape, earlier_output, "notebooks", OWNER, "ecg-lib-training")
    status, working, text = run_kernel(folder, models=["testing", "cnn_2d"], epochs=2)
    assert status == 0, text
    assert "testing-16px-s1, not trained again" in text
    assert "cnn_2d-16px-s1: resuming after epoch 1 of 2" in text
    folder = working / "runs" / "ecg_pages" / "plain"
    assert read_record(folder / "testing-16px-s1").resumed is False
    assert read_record(folder / "cnn_2d-16px-s1").resumed is True
    assert {path.name for path in folder.iterdir() if "~" in path.name} == set()


@pytest.mark.slow
def test_a_failed_training_fails_the_kernel(run_kernel, inputs):
    status, _, text = run_kernel(inputs("flat"), models=["testing"], height=1, width=1)
    assert status != 0
    assert "testing-1px-s1 was not trained" in text
    assert "not everything was trained (exit status 2)" in text
