"""The options: what is refused, and where a run lies."""

import math
import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from ecg_lib.data.protocols import PROTOCOLS
from ecg_lib.errors import InputError
from ecg_lib.models import PUBLISHED
from ecg_lib.runs.config import (
    DEMO,
    DEMO_PAGES_PER_CLASS,
    RunConfig,
    project_path,
)

NAMES = [field.name for field in fields(RunConfig)]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_another_type_is_refused(name):
    for wrong in (None, [1], b"1"):
        with pytest.raises(InputError, match=rf"{name} is .*: expected a value of type"):
            RunConfig(**{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("epochs", True),
        ("epochs", "3"),
        ("epochs", 3.0),
        ("seed", False),
        ("ink_only", 1),
        ("deterministic", "yes"),
        ("data", Path("pages")),
        ("learning_rate", "0.1"),
    ],
)
def test_neighbouring_types_are_told_apart(name, wrong):
    with pytest.raises(InputError, match=rf"{name} is .*: expected a value of type"):
        RunConfig(**{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong", "valid"),
    [
        ("protocol", "shuffled", "published"),
        ("model", "resnet", "cnn_2d"),
        ("strategy", "tpu", "mirrored"),
        ("fold", 1, "0"),
        ("fold", -1, "0"),
    ],
)
def test_unknown_values_are_refused_with_the_valid_ones(name, wrong, valid):
    with pytest.raises(InputError) as error:
        RunConfig(**{name: wrong})
    message = str(error.value)
    assert name in message and repr(wrong) in message and valid in message.split("expected")[1]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("height", 0),
        ("width", -1),
        ("epochs", -1),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -0.1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("seed", -1),
        ("seed", 2**32),
        ("epochs", 10**9),
        ("batch_size", 10**9),
        ("height", 100_000),
        ("width", 100_000),
        ("learning_rate", 1e30),
    ],
)
def test_numbers_out_of_range_are_refused(name, wrong):
    with pytest.raises(InputError, match=re.escape(f"{name} is {wrong}: expected")):
        RunConfig(**{name: wrong})


def test_every_fold_of_a_protocol_is_allowed():
    for name, protocol in PROTOCOLS.items():
        names = {RunConfig(protocol=name, fold=fold).run_name for fold in range(protocol.folds)}
        assert len(names) == protocol.folds


def test_run_name_tells_runs_apart_in_one_table():
    assert RunConfig().run_name == "cnn_2d-s1"
    assert RunConfig(model="hybrid", seed=7).run_name == "hybrid-s7"
    assert RunConfig(height=32, width=32, ink_only=True).run_name == "cnn_2d-32px-ink-s1"
    assert RunConfig(width=160).run_name == "cnn_2d-64x160px-s1"
    assert RunConfig(mixed_precision=True).run_name == "cnn_2d-mixed-s1"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/some/My Pages (2)", "my_pages_2"),
        ("/", "pages"),
        ("/some/été", "été"),
    ],
)
def test_data_is_named_by_its_folder(folder, name):
    assert RunConfig(data=folder).data_name == name


def test_published_protocol_names_its_data():
    config = RunConfig(data="/mnt/x", protocol="published", results="/r", prepared="/p")
    assert config.run_path == Path("/r/khan2021/published/cnn_2d-s1")
    assert config.prepared_path == Path("/p/khan2021")
    assert config.data_path == Path("/mnt/x")


def test_result_options_leaves_out_only_where_things_lie():
    config = RunConfig()
    assert set(asdict(config)) - set(config.result_options()) == {"data", "prepared", "results"}
    assert config.result_options()["epochs"] == config.epochs


def test_every_option_is_described():
    for option in fields(RunConfig):
        assert re.fullmatch(r"[a-z].{10,}[^.\n]", option.metadata["help"])


def test_demo_trains_the_six():
    assert tuple(DEMO) == PUBLISHED
    for model, options in DEMO.items():
        RunConfig(model=model, **options)
    assert DEMO_PAGES_PER_CLASS >= 30


# --- Relative paths ---


@pytest.fixture
def clone(tmp_path):
    notebooks = tmp_path / "clone" / "notebooks"
    notebooks.mkdir(parents=True)
    (notebooks / "02_train_model.ipynb").touch()
    return tmp_path / "clone"


@pytest.mark.parametrize("below", [".", "notebooks", "notebooks/.ipynb_checkpoints"])
def test_relative_paths_begin_at_the_project(clone, below, monkeypatch):
    (clone / below).mkdir(exist_ok=True)
    monkeypatch.chdir(clone / below)
    assert project_path("data/x") == clone / "data" / "x"
    assert project_path("/data/x") == Path("/data/x")
    assert project_path("~/x") == Path.home() / "x"


def test_relative_paths_begin_here_where_there_is_no_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project_path("data/x") == tmp_path / "data" / "x"
