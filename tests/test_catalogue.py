"""Which files are pages, of which class, and what is known of the published ones."""

import errno
import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ecg_lib.data import catalogue
from ecg_lib.data.catalogue import find_pages
from ecg_lib.data.classes import class_of_folder
from ecg_lib.data.khan2021 import published_files
from ecg_lib.errors import InputError
from ecg_lib.files import sha256


def write_page(path, grey=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (300, 300), grey).save(path)


# --- Folders of pages ---


def test_nearest_known_folder_gives_the_class(tmp_path):
    write_page(tmp_path / "Normal" / "a.png")
    write_page(tmp_path / "v1" / "HB" / "2020" / "b.jpg")
    write_page(tmp_path / "normal" / "mi" / "c.jpg")
    pages, bad = find_pages(tmp_path)
    assert dict(zip(pages["file"], pages["class"], strict=True)) == {
        "Normal/a.png": "normal",
        "normal/mi/c.jpg": "myocardial_infarction",
        "v1/HB/2020/b.jpg": "abnormal_heartbeat",
    }
    assert bad.empty


def test_a_class_folder_itself_can_be_named(tmp_path):
    write_page(tmp_path / "post_mi" / "a.png")
    pages, _ = find_pages(tmp_path / "post_mi")
    assert pages[["file", "class"]].to_numpy().tolist() == [["a.png", "history_of_mi"]]


def test_a_folder_that_denies_the_class_above_it_is_of_none(tmp_path):
    write_page(tmp_path / "covid" / "positive" / "a.png")
    for name in ("negative", "non-covid", "Not COVID (12)", "controls", "other/2020", "unlabelled"):
        write_page(tmp_path / "covid" / name / "b.png")
    write_page(tmp_path / "covid" / "other" / "normal" / "c.png")
    pages, bad = find_pages(tmp_path)
    assert dict(zip(pages["file"], pages["class"], strict=True)) == {
        "covid/other/normal/c.png": "normal",
        "covid/positive/a.png": "covid_19",
    }
    assert len(bad) == 6
    assert bad["reason"].str.startswith("in no folder with a known class name").all()
    with pytest.raises(InputError, match="known class name"):
        find_pages(tmp_path / "covid" / "negative")


def test_a_published_page_has_its_class_where_no_folder_gives_one(tmp_path, monkeypatch):
    for place in ("klass 2/a.png", "klass 2/rejected/b.png", "normal/c.png"):
        write_page(tmp_path / place)
    write_page(tmp_path / "klass 2" / "unknown.png", grey=254)
    of_bytes = {sha256(tmp_path / "klass 2" / "a.png"): "covid_19"}
    monkeypatch.setattr(catalogue, "published_classes", lambda: of_bytes)
    hashed = []
    monkeypatch.setattr(catalogue, "sha256", lambda path: hashed.append(path) or sha256(path))
    pages, bad = find_pages(tmp_path)
    assert len(hashed) == len(set(hashed)) == 3
    assert dict(zip(pages["file"], pages["class"], strict=True)) == {
        "klass 2/a.png": "covid_19",
        "normal/c.png": "normal",
    }
    assert list(bad["file"]) == ["klass 2/rejected/b.png", "klass 2/unknown.png"]


@pytest.mark.real
def test_folders_of_negatives_are_of_no_class(cases):
    pages, bad = find_pages(cases / "29_class_folders" / "pages")
    assert dict(zip(pages["file"], pages["class"], strict=True)) == {
        "covid/positive/a.jpg": "covid_19",
        "normal/d.jpg": "normal",
    }
    assert list(bad["file"]) == ["covid/negative/b.jpg", "covid/non-covid/c.jpg"]


def test_each_page_of_a_file_is_a_page(tmp_path, caplog):
    picture = Image.new("L", (300, 300), 255)
    (tmp_path / "normal").mkdir()
    others = {"save_all": True, "append_images": [picture.point(lambda grey: 0)] * 10}
    picture.save(tmp_path / "normal" / "fax.tif", **others)
    picture.save(tmp_path / "normal" / "moving.gif", **others)
    pages, bad = find_pages(tmp_path)
    assert list(pages["file"]) == [
        *(f"normal/fax.tif#{number}" for number in range(1, 12)),
        "normal/moving.gif",
    ]
    assert pages["sha256"].is_unique
    assert bad.empty
    assert "only the first of its pictures is read" in caplog.text


def test_deep_folders_take_a_time_that_grows_with_their_depth(tmp_path, monkeypatch):
    deep = tmp_path / "normal"
    for _ in range(300):
        deep = deep / "d"
    write_page(deep / "a.png")
    looked_up = []

    def lstat(path, *args, look_up=os.lstat, **options):
        looked_up.append(path)
        return look_up(path, *args, **options)

    monkeypatch.setattr(os, "lstat", lstat)
    pages, _ = find_pages(tmp_path)
    assert len(pages) == 1
    # Resolving the 300 folders above each of 300 folders takes 13 million.
    assert len(looked_up) < 1000


def test_files_come_in_the_order_of_their_names(pages_folder):
    pages, bad = find_pages(pages_folder)
    assert bad.empty
    assert len(pages) == 25
    assert list(pages["file"]) == sorted(pages["file"])
    assert (pages["class"] == pages["file"].str.split("/").str[0]).all()


def test_unpublished_pages_stand_for_themselves_and_copies_for_each_other(tmp_path):
    for name, grey in (("a", 255), ("b", 255), ("c", 254)):
        write_page(tmp_path / "normal" / f"{name}.png", grey)
    pages, _ = find_pages(tmp_path)
    first, copy, other = pages["page_id"]
    assert first == copy != other
    assert list(pages["group"]) == list(pages["page_id"])
    assert list(pages["layout"]) == [None] * 3


def test_what_lies_beside_pages_is_no_page_and_no_fault(tmp_path):
    write_page(tmp_path / "normal" / "a.png")
    for name in (".DS_Store", "._a.png", ".hidden/b.png", "a.json", "Thumbs.db", "README.txt"):
        path = tmp_path / "normal" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    pages, bad = find_pages(tmp_path)
    assert len(pages) == 1
    assert bad.empty


def test_every_other_file_is_a_page_or_listed_with_its_reason(tmp_path):
    pytest.importorskip("pypdfium2")
    write_page(tmp_path / "normal" / "a.png")
    write_page(tmp_path / "elsewhere" / "b.png")
    write_page(tmp_path / "c.png")
    (tmp_path / "normal" / "empty.jpg").touch()
    (tmp_path / "normal" / "report.docx").write_bytes(b"x")
    (tmp_path / "normal" / "letter.pdf").write_bytes(b"%PDF-1.7")
    os.mkfifo(tmp_path / "normal" / "pipe.png")
    pages, bad = find_pages(tmp_path)
    assert list(pages["file"]) == ["normal/a.png"]
    reasons = dict(zip(bad["file"], bad["reason"], strict=True))
    assert set(reasons) == {"elsewhere/b.png", "c.png"} | {
        f"normal/{name}" for name in ("empty.jpg", "report.docx", "letter.pdf", "pipe.png")
    }
    assert "no folder with a known class" in reasons["c.png"] == reasons["elsewhere/b.png"]
    assert "empty" in reasons["normal/empty.jpg"]
    assert ".jpg" in reasons["normal/report.docx"]
    assert "cannot be decoded" in reasons["normal/letter.pdf"]
    assert "a pipe" in reasons["normal/pipe.png"]


def test_linked_folders_are_gone_into_but_never_round_and_round(tmp_path):
    write_page(tmp_path / "elsewhere" / "mi" / "b.png")
    folder = tmp_path / "pages"
    write_page(folder / "normal" / "a.png")
    (folder / "mi").symlink_to(tmp_path / "elsewhere" / "mi")
    (folder / "normal" / "self").symlink_to(folder / "normal")
    (folder / "normal" / "other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "normal")
    (tmp_path / "elsewhere" / "top").symlink_to(tmp_path)
    pages, bad = find_pages(folder)
    assert list(pages["file"]) == ["mi/b.png", "normal/a.png", "normal/other/mi/b.png"]
    assert bad.empty


def test_links_that_lead_nowhere_and_closed_folders_are_listed(tmp_path, monkeypatch):
    write_page(tmp_path / "normal" / "a.png")
    (tmp_path / "normal" / "b.png").symlink_to(tmp_path / "missing.png")
    (tmp_path / "mi").symlink_to(tmp_path / "missing")
    (tmp_path / "hb").mkdir()

    def scandir(path, scan=os.scandir):
        # The tests may run as a user to whom no folder is closed.
        if path == str(tmp_path / "hb"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    pages, bad = find_pages(tmp_path)
    assert list(pages["file"]) == ["normal/a.png"]
    assert dict(zip(bad["file"], bad["reason"], strict=True)) == {
        "hb": "the folder cannot be opened",
        "mi": "a link that leads to no file",
        "normal/b.png": "a link that leads to no file",
    }


def test_a_name_that_is_not_utf_8_is_listed_in_letters_that_are(tmp_path):
    write_page(tmp_path / "normal" / "a.png")
    write_page(tmp_path / "normal" / "café.png")
    write_page(tmp_path / "normal" / os.fsdecode(b"caf\xe9.png"))
    pages, bad = find_pages(tmp_path)
    assert list(pages["file"]) == ["normal/a.png", "normal/café.png"]
    ((file, reason),) = bad.to_numpy().tolist()
    assert file == r"normal/caf\udce9.png"
    assert "UTF-8" in reason
    bad.to_csv(tmp_path / "bad_pages.csv")


def test_a_file_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        write_page(tmp_path / "normal" / f"{name}.png")

    def opened(path, *args, open_path=Path.open):
        # The tests may run as a user to whom no file is closed.
        if path.name == "b.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_path(path, *args)

    monkeypatch.setattr(Path, "open", opened)
    pages, bad = find_pages(tmp_path)
    assert list(pages["file"]) == ["normal/a.png", "normal/c.png"]
    assert bad.to_numpy().tolist() == [
        ["normal/b.png", f"{tmp_path}/normal/b.png cannot be read: Permission denied"]
    ]


def refusal(folder):
    with pytest.raises(InputError) as error:
        find_pages(folder)
    message = str(error.value)
    assert str(folder) in message and "\n" not in message
    return message


def test_missing_folder(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "missing")


def test_file_instead_of_folder(tmp_path):
    write_page(tmp_path / "a.png")
    assert "is not a folder" in refusal(tmp_path / "a.png")


def test_empty_folder(tmp_path):
    assert "holds no files" in refusal(tmp_path)


def test_no_known_class(tmp_path):
    write_page(tmp_path / "cats" / "a.png")
    message = refusal(tmp_path)
    assert "known class name" in message and "abnormal_heartbeat" in message and "pmi" in message


def test_known_class_without_a_usable_page(tmp_path):
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "a.jpg").touch()
    assert "normal/a.jpg: the file is empty" in refusal(tmp_path)


# --- The published pages ---


@pytest.fixture(scope="module")
def files():
    return published_files()


@pytest.fixture(scope="module")
def used(files):
    return files.dropna(subset="published_order").sort_values("published_order")


def test_published_files_are_whole(files):
    assert len(files) == 2860
    assert files["file"].is_unique
    assert files["page_id"].nunique() == files["sha256"].nunique() == 1930
    assert (files.groupby("page_id")["sha256"].nunique() == 1).all()
    assert (files.groupby("page_id")["group"].nunique() == 1).all()
    assert (files["file"].str.split("/").str[1].map(class_of_folder) == files["class"]).all()


def test_published_split(used):
    assert list(used["published_order"]) == list(range(2746))
    assert list(used["published_split"]) == (
        ["train"] * 2196 + ["validation"] * 275 + ["test"] * 275
    )
    assert used["page_id"].nunique() == 1816


def test_only_the_files_of_the_experiment_have_its_split_and_boxes(files):
    in_it = files["published_order"].notna()
    assert (files["published_split"].notna() == in_it).all()
    assert (files["published_boxes"].notna() == in_it).all()
    boxes = json.loads(
        resources.files("ecg_lib.data").joinpath("published_boxes.json").read_text(encoding="utf-8")
    )
    assert set(files["published_boxes"].dropna()) == set(boxes)


def test_tables_are_read_as_utf_8_whatever_the_system_s_encoding_is():
    code = """
import warnings
from ecg_lib.data import khan2021
warnings.simplefilter("error", EncodingWarning)
khan2021.published_files()
khan2021.published_hashes()
khan2021.published_boxes()
khan2021.published_accuracies()
"""
    subprocess.run([sys.executable, "-X", "warn_default_encoding", "-c", code], check=True)


@pytest.mark.real
def test_table_is_the_manifest(files, shared):
    manifest = pd.read_csv(shared / "data" / "khan2021" / "manifest.csv", dtype={"exam": str})
    both = files.merge(manifest, on="file", suffixes=("", "_of_manifest"), validate="1:1")
    assert len(both) == len(files)
    assert (both["class"] == both["class_of_manifest"].map(class_of_folder)).all()
    for column in ("page_id", "sha256", "layout"):
        assert both[column].equals(both[f"{column}_of_manifest"])
    # Two pairs of pages without an exam show the same ECG at two sizes.
    twins = both["page_id"].replace({"P0165": "P0133", "P0183": "P0174"})
    assert both["group"].equals(both["exam"].fillna(twins))
    assert (both["published_order"].notna() == (both["in_original"] == 1)).all()


@pytest.mark.real
def test_order_and_split_are_the_original_s(used, shared):
    split = pd.read_csv(shared / "original" / "split.csv").sort_values("order")
    assert list(used["published_order"]) == list(split["order"])
    assert list(used["file"]) == list(split["file"])
    assert list(used["page_id"]) == list(split["page_id"])
    names = split["split"].replace({"val": "validation"})
    assert list(used["published_split"]) == list(names)


@pytest.mark.real
def test_a_published_page_is_known_by_its_bytes(real_pages, files, tmp_path):
    row = files[files["layout"].notna() & (files["group"] != files["page_id"])].iloc[0]
    renamed = tmp_path / "covid" / "something else.jpg"
    renamed.parent.mkdir()
    shutil.copy(real_pages / row["file"], renamed)
    pages, _ = find_pages(tmp_path)
    (page,) = pages.to_dict("records")
    assert page["class"] == "covid_19"
    for column in ("page_id", "group", "layout", "sha256"):
        assert page[column] == row[column]
