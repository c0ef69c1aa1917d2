"""The command line: what it does on tiny data, and what it says of bad input."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
from conftest import ROOT
from PIL import Image

from ecg_lib import cli
from ecg_lib.models import PUBLISHED
from ecg_lib.runs.config import DEMO, RunConfig

COMMANDS = (
    *("draw", "signals", "prepare", "look", "audit", "run", "table"),
    *("predict", "app", "export", "card"),
)


@pytest.fixture
def run_all(monkeypatch):
    """List of the configs that `run` would train."""
    from ecg_lib.training import headless

    trained = []
    monkeypatch.setattr(headless, "run_all", trained.extend)
    return trained


def refusal(capsys, *arguments):
    """The one line that a command prints about what it cannot use."""
    try:
        status = cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    shown = capsys.readouterr()
    assert status == 2
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("ecg_lib: ")
    return line


# --- Help ---


@pytest.mark.parametrize("arguments", [[], *[[command] for command in COMMANDS]])
def test_help(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--help"])
    assert end.value.code == 0
    assert "usage: python -m ecg_lib" in capsys.readouterr().out


def test_an_option_that_a_command_does_not_know_leads_to_its_own_help(capsys):
    line = refusal(capsys, "predict", "page.jpg", "--modle", "runs/mine")
    assert "unrecognized arguments: --modle runs/mine" in line
    assert "python -m ecg_lib predict --help" in line


def test_run_offers_every_option_with_its_text(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    shown = "".join(capsys.readouterr().out.split())
    for field in fields(RunConfig):
        if field.name != "model":
            assert f"--{field.name.replace('_', '-')}" in shown
            assert "".join(field.metadata["help"].split()) in shown


@pytest.mark.parametrize("arguments", [[], ["run"], ["predict"]])
def test_help_needs_no_docstrings(arguments):
    command = [sys.executable, "-OO", "-m", "ecg_lib", *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: python -m ecg_lib" in done.stdout


def test_help_is_light():
    """TensorFlow and pandas take seconds to import: help does not wait for them."""
    code = (
        "import sys, ecg_lib\n"
        "from ecg_lib import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*{'tensorflow', 'keras', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.splitlines()[-1] == ""


def test_it_is_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "ecg_lib", "--help"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "ECG page" in done.stdout


# --- Bad input ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--models", "resnet"], ["'resnet'", "cnn_2d"]),
        (["run", "--protocol", "shuffled"], ["'shuffled'", "plain"]),
        (["run", "--epochs", "0"], ["epochs is 0"]),
        (["run", "--epochs", "many"], ["many"]),
        (["run", "--epoch-count", "3"], ["--epoch-count"]),
        (["prepare", "--height", "-3"], ["height is -3"]),
        (["prepare", "--data", "missing"], ["missing", "folder"]),
        (["run", "--data", "missing", "--models", "testing"], ["missing", "folder"]),
        (["table", "--results", "missing"], ["missing", "no finished run"]),
        (["draw", "new", "--pages-per-class", "0"], ["0 pages"]),
        (["draw", "new", "--pages-per-class", "1000000000"], ["1000000000 pages", "100,000"]),
        (["look", "x" * 300], ["cannot be looked up", "File name too long"]),
        (["draw", "new\0"], ["cannot be looked up", "null byte"]),
        (["table", "--results", "x" * 300], ["cannot be looked up"]),
        (["paint"], ["paint"]),
        ([], ["COMMAND"]),
    ],
)
def test_bad_options_get_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refusal(capsys, *arguments)
    assert all(word in line for word in words)


def test_unwritable_folders(pages_folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = ["--data", pages_folder, "--prepared", tmp_path / "file"]
    assert "cannot be written" in refusal(capsys, "prepare", *arguments)


def test_missing_readme(finished_run, tmp_path, capsys):
    results = shutil.copytree(finished_run.results, tmp_path / "results")
    line = refusal(capsys, "table", "--results", results, "--documents", tmp_path / "none.md")
    assert "none.md" in line


def test_no_worker_imports_what_lies_in_the_current_folder(tmp_path):
    """Run by the console script, which does not look there itself."""
    for name in ("joblib.py", "numpy.py", "json.py"):
        (tmp_path / name).write_text("open('imported', 'w').close()", encoding="utf-8")
    program = "import sys; from ecg_lib.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "draw", "set", "--pages-per-class", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LOKY_MAX_CPU_COUNT": "2"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert "5 pages drawn" in done.stdout
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (MemoryError, 2)])
def test_interrupts(run_all, monkeypatch, capsys, raised, status):
    from ecg_lib.training import headless

    def interrupted(configs):
        raise raised

    monkeypatch.setattr(headless, "run_all", interrupted)
    assert cli.main(["run"]) == status
    assert "what is finished is kept" in capsys.readouterr().err


# --- The commands ---


def test_draw_and_prepare(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["draw", "pages", "--pages-per-class", "3", "--seed", "5"]) == 0
    assert len(list((tmp_path / "pages").glob("*/*.jpg"))) == 15
    assert cli.main(["prepare", "--data", "pages", "--height", "16", "--width", "16"]) == 0
    shown = capsys.readouterr().out
    assert "15 pages drawn" in shown
    assert "15 pages prepared" in shown
    assert "covid_19" in shown
    assert len(list((tmp_path / "prepared" / "pages").glob("*/crops.npy"))) == 1


def test_look(pages_folder, tmp_path, capsys):
    page = pages_folder / "normal" / "normal_0001.jpg"
    truth = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    picture = tmp_path / "leads.png"
    assert cli.main(["look", str(page), "--picture", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(truth["layout"])
    assert ", 25 mm/s, 10 mm/mV, confidence " in shown
    with Image.open(picture) as image:
        assert image.width > 1000


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_look_at_a_page_with_any_name(pages_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(pages_folder / "normal" / "normal_0001.jpg", "a$\\x$\udce9.jpg")
    assert cli.main(["look", "a$\\x$\udce9.jpg", "--picture", "leads.png"]) == 0


def test_look_says_how_a_page_was_turned(pages_folder, tmp_path, capsys):
    turned = tmp_path / "turned.png"
    with Image.open(pages_folder / "normal" / "normal_0001.jpg") as page:
        page.transpose(Image.Transpose.ROTATE_180).save(turned)
    assert cli.main(["look", str(turned), "--picture", str(tmp_path / "leads.png")]) == 0
    assert "; it was turned by 180 degrees clockwise to be read; written" in capsys.readouterr().out


def test_to_look_at_a_page_adds_no_page_to_its_class(pages_folder, tmp_path, monkeypatch):
    page = shutil.copy(pages_folder / "normal" / "normal_0001.jpg", tmp_path)
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    assert cli.main(["look", page]) == 0
    assert [file.name for file in tmp_path.glob("*.*")] == ["normal_0001.jpg"]
    assert [file.name for file in current.iterdir()] == ["normal_0001_leads.png"]


def test_look_at_each_page_of_a_file(pages_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with (
        Image.open(pages_folder / "normal" / "normal_0001.jpg") as page,
        Image.new("L", (800, 600), 255) as blank,
    ):
        page.save("fax.tif", save_all=True, append_images=[blank])
    assert cli.main(["look", "fax.tif"]) == 0
    shown = capsys.readouterr().out
    assert "written to fax_leads_1.png" in shown and "no picture: fax.tif#2: " in shown
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fax.tif", "fax_leads_1.png"]


def test_look_overwrites_no_page(pages_folder, tmp_path, capsys):
    page = shutil.copy(pages_folder / "normal" / "normal_0001.jpg", tmp_path / "page.jpg")
    before = page.read_bytes()
    line = refusal(capsys, "look", page, "--picture", tmp_path / "." / "page.jpg")
    assert "is read by this command: expected another file" in line
    assert page.read_bytes() == before
    assert "is a folder" in refusal(capsys, "look", page, "--picture", tmp_path)
    assert "unknown picture format 'xyz'" in refusal(
        capsys, "look", page, "--picture", tmp_path / "leads.xyz"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing.jpg", "is not a file"), ("text.jpg", "expected a JPEG, PNG, TIFF")],
)
def test_look_at_what_is_no_page(tmp_path, capsys, name, words):
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    line = refusal(capsys, "look", tmp_path / name)
    assert name in line
    assert words in line


def test_run_without_data_is_the_demo(run_all):
    assert cli.main(["run"]) == 0
    assert tuple(config.model for config in run_all) == PUBLISHED
    for config in run_all:
        assert config == RunConfig(model=config.model, **DEMO[config.model])


def test_what_is_asked_for_overrides_the_demo(run_all):
    cli.main(["run", "--models", "cnn_3d", "--epochs", "2", "--ink-only"])
    (config,) = run_all
    assert (config.epochs, config.ink_only) == (2, True)
    assert config.height == DEMO["cnn_3d"]["height"]


def test_run_on_other_data_takes_the_defaults(run_all, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli.main(["run", "--data", "pages", "--models", "hybrid", "cnn_2d"])
    assert run_all == [
        RunConfig(data=str(tmp_path / "pages"), model=model) for model in ("hybrid", "cnn_2d")
    ]


def test_table(finished_run, tmp_path, capsys):
    shutil.copytree(finished_run.results, tmp_path / "results")
    assert cli.main(["table", "--results", str(tmp_path / "results")]) == 0
    assert "| Testing |" in capsys.readouterr().out
    assert len(list(tmp_path.glob("results/*/plain/accuracy.md"))) == 1
