"""The list of the published pages for other people's tools is what the package itself says."""

import runpy
from pathlib import Path

import mlcroissant as mlc
import pandas as pd
import pytest

DOCS = Path(__file__).parents[1] / "docs"
COMMITTED = DOCS / "croissant"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("croissant")
    runpy.run_path(str(DOCS / "make_croissant.py"))["write"](folder)
    return folder


@pytest.mark.parametrize("name", ["pages.csv", "khan2021.json"])
def test_the_committed_files_are_what_the_command_writes(written, name):
    assert (written / name).read_bytes() == (COMMITTED / name).read_bytes()


def test_it_is_valid_and_its_records_can_be_read():
    dataset = mlc.Dataset(jsonld=COMMITTED / "khan2021.json")
    assert not dataset.metadata.ctx.issues.errors
    record = next(iter(dataset.records("pages")))
    assert record["pages/page_id"] == b"P0001"


def test_its_folds_separate_pages_and_exams():
    pages = pd.read_csv(COMMITTED / "pages.csv")
    for fold in ("clean_fold", "clean_3x4_fold"):
        used = pages.dropna(subset=fold)
        assert not used["page_id"].duplicated().any()
        assert not used["label_conflict"].any()
        assert (used.groupby("exam")[fold].nunique() == 1).all()
        assert sorted(used[fold].unique()) == [0, 1, 2, 3, 4]
