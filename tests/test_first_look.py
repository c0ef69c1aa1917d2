"""Somebody's pages are found and split both ways, and what leaks is counted."""

import pytest

from ecg_lib.data.protocols import split_pages
from ecg_lib.errors import InputError
from ecg_lib.evaluation import audit
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.first_look import find_or_draw, split_both_ways
from ecg_lib.runs.inputs import open_inputs


def test_a_folder_without_pages_is_refused_and_none_given_means_the_drawn_ones(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match="notes holds no ECG pages: expected a folder or a ZIP"):
        find_or_draw("notes")
    assert find_or_draw() == RunConfig.data


def test_pages_are_found_where_the_program_runs(pages_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").symlink_to(pages_folder)
    assert find_or_draw() == find_or_draw("data/mine") == str(tmp_path / "data" / "mine")


def test_without_own_folders_files_are_split_at_random_and_pages_together(configure):
    config = configure(protocol="plain")
    (usual, files), (careful, pages) = split_both_ways(config, open_inputs(config))
    assert (usual.protocol, careful.protocol) == ("random", "plain")
    assert files.prepared is pages.prepared
    assert files.run_key.config.protocol == "random"


@pytest.fixture
def tree(prepared_set):
    """The drawn pages as train and test folders, with two training pages planted into the test."""
    pages = prepared_set.pages.reset_index(drop=True)
    number = pages.groupby("class").cumcount()
    pages["file"] = ["test/" if last else "train/" for last in number == 4] + pages["file"]
    planted = pages[number == 0].head(2)
    planted = planted.assign(file=planted["file"].str.replace("train/", "test/copy_of_"))
    return (
        pages.iloc[[*pages.index, *planted.index]]
        .assign(file=[*pages["file"], *planted["file"]])
        .reset_index(drop=True)
    )


def test_own_train_and_test_folders_are_used_and_the_planted_copies_counted(tree):
    splits = split_pages("plain", tree, seed=1)
    assert (splits == "test").equals(tree["file"].str.startswith("test/"))
    assert set(splits[tree["file"].str.startswith("train/")]) == {"train", "validation"}
    # Whichever of the training pages are held back for validation.
    found = audit.leaked_test_files(tree, splits)
    assert found.meaning.startswith("2 of 7 test files have a copy of their page in training")
