"""Somebody's pages are found and split both ways, and what leaks is counted."""

import shutil

import pandas as pd
import pytest
from PIL import Image

from ecg_lib.data.khan2021 import published_files
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
    assert found.table.set_index("class").loc["all", "test_files"] == 7


def first_table(folder, tmp_path):
    """What the start notebook shows first for a folder of pages.

    Returns:
        The prepared pages, the split that is usual for them, and the sentence below the table.
    """
    config = RunConfig(
        data=find_or_draw(str(folder)), prepared=str(tmp_path / "prepared"), height=8, width=8
    )
    inputs = open_inputs(config)
    (_, usual), _ = split_both_ways(config, inputs)
    pages = inputs.prepared.pages
    return pages, usual.splits, audit.leaked_test_files(pages, usual.splits).meaning


def save_again(page, copy, quality=60):
    """Save a page at another size and quality, so that no pixel needs to stay as it was."""
    with Image.open(page) as image:
        smaller = image.convert("RGB").resize([side * 8 // 10 for side in image.size])
        smaller.save(copy, quality=quality)


def test_copies_saved_again_count_in_own_folders_too(pages_folder, tmp_path):
    own = shutil.copytree(pages_folder, tmp_path / "own" / "train")
    for page in own.glob("*/*_0005.jpg"):
        (tmp_path / "own" / "test" / page.parent.name).mkdir(parents=True)
        page.rename(tmp_path / "own" / "test" / page.parent.name / page.name)
    for name in ("normal", "covid_19"):
        save_again(own / name / f"{name}_0002.jpg", tmp_path / "own" / "test" / name / "new.jpg")
    config = RunConfig(data=str(own.parent), prepared=str(tmp_path / "sets"), height=8, width=8)
    inputs = open_inputs(config)
    found = audit.leaked_test_files(inputs.prepared.pages, inputs.splits)
    assert found.meaning.startswith("2 of 7 test files have a copy of their page in training")


# --- Trees built again from the real pages ---

EXAMS = 7
"""Exams of each class in a tree: enough for the folds of the clean protocol."""


def choose(version, exams=EXAMS):
    """Choose published files: all that show the first page of so many exams of each class.

    Returns:
        DataFrame with file, class, page_id and group, of pages that have one label.
    """
    files = published_files()
    labels = files.groupby("page_id")["class"].transform("nunique")
    readable = (labels == 1) & (files["layout"] != "three_lead_strip")
    of_version = files[readable & files["file"].str.startswith(f"{version}/")]
    of_exam = of_version.drop_duplicates("group").groupby("class").head(exams)
    return of_version[of_version["page_id"].isin(of_exam["page_id"])]


def copy_into(folder, real_pages, files):
    for file, class_name in zip(files["file"], files["class"], strict=True):
        (folder / class_name).mkdir(parents=True, exist_ok=True)
        shutil.copy(real_pages / file, folder / class_name / file.replace("/", "_"))


def sentence(copies, exams, test, pages):
    return (
        f"{copies} of {test} test files have a copy of their page in training and {exams} a page "
        f"of their exam; they are {pages} distinct pages"
    )


@pytest.mark.real
def test_the_first_table_of_a_clean_tree_and_of_one_with_planted_copies(real_pages, tmp_path):
    files = choose("v1").drop_duplicates("page_id")
    last = files.groupby("class").cumcount() >= EXAMS - 2
    copy_into(tmp_path / "clean" / "train", real_pages, files[~last])
    copy_into(tmp_path / "clean" / "test", real_pages, files[last])
    shutil.copytree(tmp_path / "clean", tmp_path / "planted")
    _, splits, found = first_table(tmp_path / "clean", tmp_path)
    assert splits.value_counts()["test"] == 10
    assert found.startswith(sentence(0, 0, 10, 10))

    train, test = (
        sorted((tmp_path / "planted" / name).rglob("*.jpg")) for name in ("train", "test")
    )
    shutil.copy(train[0], test[0].with_name("same bytes.jpg"))
    for number, page in enumerate(train[1::10]):
        save_again(page, tmp_path / "planted" / "test" / page.parent.name / f"{number}.jpg", 40)
    planted = 1 + len(train[1::10])
    *_, found = first_table(tmp_path / "planted", tmp_path)
    assert found.startswith(sentence(planted, planted, 10 + planted, 10 + planted))


@pytest.mark.real
def test_the_first_table_of_version_2_with_its_own_copies(real_pages, tmp_path):
    files = choose("v2")
    assert files["page_id"].duplicated().sum() >= 20
    copy_into(tmp_path / "v2", real_pages, files)
    pages, splits, found = first_table(tmp_path / "v2", tmp_path)
    assert len(pages) == len(files)
    # Counted from the published table, not from what was prepared.
    names = files["file"].str.replace("/", "_")
    truth = pd.DataFrame({"page_id": files["page_id"].to_numpy()}, index=names)["page_id"]
    of_page = pages["file"].str.split("/").str[-1].map(truth)
    train, test = of_page[splits == "train"], of_page[splits == "test"]
    copies = test.isin(train).sum()
    assert copies > 0
    assert found.startswith(f"{copies} of {len(test)} test files have a copy of their page in")
