"""The prepared set: what is in it, when it is built again, and what becomes of bad pages."""

import errno
import json
import os
import shutil
import warnings
from fnmatch import fnmatch
from importlib import resources

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import SIDE
from PIL import Image

from ecg_lib.data import building
from ecg_lib.data.building import _prepare_page
from ecg_lib.data.catalogue import find_pages
from ecg_lib.data.khan2021 import PUBLISHED_CROP_ORDER, published_files, published_pages
from ecg_lib.data.prepared import crop_names, prepare
from ecg_lib.errors import InputError
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_exchanged_grey, read_luma
from ecg_lib.pages.leads import CROPS


@pytest.fixture
def few(pages_folder, tmp_path):
    """Two pages per class, which a test may change."""
    for number in (1, 2):
        for page in pages_folder.glob(f"*/*_{number:04d}.jpg"):
            folder = tmp_path / "pages" / page.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(page, folder)
    return tmp_path / "pages"


@pytest.fixture
def build(few, tmp_path):
    """A function that prepares `few`."""

    def prepare_few(**options):
        return prepare(
            few, tmp_path / "prepared", **{"height": SIDE, "width": SIDE, "jobs": 1} | options
        )

    return prepare_few


@pytest.fixture
def worked_on(monkeypatch):
    """List of the pages that are prepared, not only opened."""
    sources = []

    def noted(folder, source, *rest):
        sources.append(source)
        return _prepare_page(folder, source, *rest)

    monkeypatch.setattr(building, "_prepare_page", noted)
    return sources


@pytest.fixture
def quick(monkeypatch):
    """Let pages be prepared without reading them, for tests of what becomes of their crops."""
    monkeypatch.setattr(building, "_prepare_page", noise_of)


def noise_of(folder, source, box_sets, options, known):
    """Crops and an entry that depend on the page's name alone."""
    rng = np.random.default_rng(list(source.encode()))
    size = (1, 13, options["height"], options["width"])
    entry = {"source": source, "layout": "standard_6x2", "boxes": "[]", "width": 1, "height": 1}
    return rng.integers(0, 256, size, dtype=np.uint8), entry


# --- What is in it ---


def test_crops_are_those_of_the_page_at_its_boxes(prepared_set, pages_folder):
    pages = prepared_set.pages
    assert prepared_set.crops.shape == (25, 13, SIDE, SIDE)
    assert prepared_set.crops.dtype == np.uint8
    assert list(pages.index) == list(range(25))
    for row, page in pages.iloc[::4].iterrows():
        luma = read_luma(pages_folder / page["file"])
        found = detect(luma)
        assert json.loads(page["boxes"]) == [list(box) for box in found.boxes]
        assert page["layout"] == found.layout
        crops = crop_leads(rectify(luma, found), found.boxes, SIDE, SIDE)
        np.testing.assert_array_equal(prepared_set.crops[row], crops)


def test_pages_are_those_of_the_catalogue(prepared_set, pages_folder):
    pages, _ = find_pages(pages_folder)
    for column in ("file", "class", "sha256"):
        assert list(prepared_set.pages[column]) == list(pages[column])
    assert prepared_set.bad.empty
    assert "25 pages prepared" in prepared_set.summary
    assert "none left out" in prepared_set.summary


def test_crops_may_be_wider_than_tall(build, few):
    wide = build(width=3 * SIDE)
    luma = read_luma(few / wide.pages["file"].iloc[0])
    found = detect(luma)
    crops = crop_leads(rectify(luma, found), found.boxes, SIDE, 3 * SIDE)
    assert crops.shape == (13, SIDE, 3 * SIDE)
    np.testing.assert_array_equal(wide.crops[wide.pages.index[0]], crops)
    assert f"{SIDE}x{3 * SIDE}px" in wide.folder.name


def test_no_crop_is_blank(prepared_set):
    assert (prepared_set.crops.max(axis=(2, 3)) > 60).all()


def test_number_of_processes_changes_nothing(build):
    one = build(jobs=1)
    crops, pages = np.array(one.crops), one.pages
    shutil.rmtree(one.folder)
    two = build(jobs=2)
    np.testing.assert_array_equal(two.crops, crops)
    pd.testing.assert_frame_equal(two.pages, pages)


# --- When it is built ---


def test_it_is_built_once(build, worked_on):
    first = build()
    assert len(worked_on) == 10
    second = build()
    assert len(worked_on) == 10
    assert second.folder == first.folder
    assert second.fingerprint == first.fingerprint


def test_anything_that_its_bytes_depend_on_makes_another(build, few, monkeypatch):
    others = {"height": 20, "width": 20}, {"width": 20}, {"ink_only": True}
    folders = [build(**options).folder for options in ({}, *others)]
    (few / "normal" / "normal_0002.jpg").unlink()
    folders.append(build().folder)
    Image.new("L", (400, 300), 200).save(few / "normal" / "normal_0001.jpg")
    folders.append(build().folder)
    (few / "normal").rename(few / "covid")
    folders.append(build().folder)
    monkeypatch.setattr("ecg_lib.data.prepared.PREPROCESSING_VERSION", "next")
    folders.append(build().folder)
    assert len(set(folders)) == 8
    assert all((folder / "pages.csv").exists() for folder in folders)


def test_an_interrupted_building_goes_on(build, worked_on):
    whole = build()
    crops, pages = np.array(whole.crops), whole.pages
    journal = whole.folder / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    # Four pages were finished and a fifth was being noted down.
    journal.write_text("".join(lines[:4]) + lines[4][:30], encoding="utf-8")
    (whole.folder / "pages.csv").unlink()
    unfinished = [json.loads(line)["source"] for line in lines[4:]]
    damaged = np.lib.format.open_memmap(whole.folder / "crops.npy", "r+")
    # And the crops of a finished page never reached the disk.
    unfinished.append(json.loads(lines[1])["source"])
    damaged[pages.index[pages["file"].isin(unfinished)]] = 7
    damaged.flush()
    worked_on.clear()
    again = build()
    assert sorted(worked_on) == sorted(unfinished)
    np.testing.assert_array_equal(again.crops, crops)
    pd.testing.assert_frame_equal(again.pages, pages)
    assert [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()][:4] == [
        json.loads(line) for line in lines[:4]
    ]


def test_a_journal_is_read_up_to_its_first_damaged_line(build, worked_on):
    whole = build()
    journal = whole.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for damage in (b"\0" * 30 + b"\n", b'{"source": "\xe9"}\n', lines[4][:30] + lines[5]):
        journal.write_bytes(b"".join(lines[:4]) + damage)
        (whole.folder / "pages.csv").unlink()
        worked_on.clear()
        pd.testing.assert_frame_equal(build().pages, whole.pages)
        assert len(worked_on) == 6
        assert len([json.loads(line) for line in journal.read_bytes().splitlines()]) == 10


def test_a_finished_page_without_the_digest_of_its_crops_is_prepared_again(build, worked_on):
    whole = build()
    journal = whole.folder / "journal.jsonl"
    first, *others = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    entry = json.loads(first)
    del entry["crops_sha256"]
    journal.write_text(json.dumps(entry) + "\n" + "".join(others), encoding="utf-8")
    (whole.folder / "pages.csv").unlink()
    worked_on.clear()
    pd.testing.assert_frame_equal(build().pages, whole.pages)
    assert worked_on == [entry["source"]]


def test_a_damaged_set_is_named_and_made_again_once_it_is_removed(build):
    folder = build().folder
    for file in (folder / "crops.npy", folder / "bad_pages.csv", folder / "pages.csv"):
        content = file.read_bytes()
        damages = [b"", b"[1]"] if file.suffix == ".csv" else [b"", content[:50], content[:-50]]
        for damaged in damages:
            file.write_bytes(damaged)
            assert_damaged(build, folder)
        if file.name != "pages.csv":  # Without it, the set is not finished.
            file.unlink()
            assert_damaged(build, folder)
        file.write_bytes(content)
    shutil.rmtree(folder)
    assert len(build().pages) == 10


def test_an_unfinished_set_with_damaged_crops_is_begun_anew(build):
    """Such as an empty file, where a building was killed before it had written the header."""
    folder = build().folder
    crops = (folder / "crops.npy").read_bytes()
    for damaged in (b"", crops[:50], crops[:-50]):
        (folder / "pages.csv").unlink()
        (folder / "crops.npy").write_bytes(damaged)
        build()
        assert (folder / "crops.npy").read_bytes() == crops


def exchange_a_class(folder):
    table = (folder / "pages.csv").read_text(encoding="utf-8")
    (folder / "pages.csv").write_text(table.replace(",normal,", ",covid_19,"), "utf-8")


def lose_all_ink(folder):
    crops = np.lib.format.open_memmap(folder / "crops.npy", "r+")
    crops[:] = 0
    crops.flush()


def name_a_row(row):
    def change(folder):
        pages = pd.read_csv(folder / "pages.csv")
        pages.loc[0, "row"] = row
        pages.to_csv(folder / "pages.csv", index=False)

    return change


def store(change):
    return lambda folder: np.save(folder / "crops.npy", change(np.load(folder / "crops.npy")))


SEEN_BY_ALL = [
    name_a_row(-1),
    name_a_row(3),
    name_a_row(10),
    store(lambda crops: crops[:5]),
    store(lambda crops: crops[:, :12]),
    store(lambda crops: crops.astype(float)),
]
SEEN_BY_DIGEST = [exchange_a_class, lose_all_ink, store(lambda crops: crops[..., :8])]


@pytest.mark.parametrize("change", SEEN_BY_ALL + SEEN_BY_DIGEST)
def test_a_set_that_was_changed_is_refused(build, quick, change):
    folder = build().folder
    change(folder)
    assert_damaged(build, folder)
    if change in SEEN_BY_ALL:
        (folder / "digests.json").unlink()
        assert_damaged(build, folder)


def test_a_set_of_an_earlier_version_has_no_digests(build):
    first = build()
    (first.folder / "digests.json").unlink()
    pd.testing.assert_frame_equal(build().pages, first.pages)


def assert_damaged(build, folder):
    with pytest.raises(InputError) as error:
        build()
    assert f"{folder} cannot be read" in str(error.value)
    assert "remove this folder" in str(error.value)


def test_an_interrupt_keeps_what_is_done(build, worked_on, monkeypatch):
    work = building._prepare_page

    def interrupted(folder, source, *rest):
        if len(worked_on) == 3:
            raise KeyboardInterrupt
        return work(folder, source, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(building, "_prepare_page", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build()
    worked_on.clear()
    assert len(build().pages) == 10
    assert len(worked_on) == 7


# --- Bad pages ---


def test_bad_pages_are_listed_and_counted(build, few):
    cut = few / "normal" / "normal_0001.jpg"
    cut.write_bytes(cut.read_bytes()[:20_000])
    (few / "covid_19" / "text.jpg").write_bytes(b"no picture")
    (few / "covid_19" / "empty.jpg").touch()
    Image.new("L", (500, 20), 255).save(few / "covid_19" / "strip.png")
    Image.new("1", (200, 102_400), 1).save(few / "covid_19" / "tall.png")
    Image.new("1", (33_000, 300), 1).save(few / "covid_19" / "wide.png")
    os.mkfifo(few / "covid_19" / "pipe.png")
    Image.new("L", (600, 400), 255).save(few / "covid_19" / "white.png")
    expected = {
        "normal/normal_0001.jpg",
        *(f"covid_19/{name}" for name in ("text.jpg", "empty.jpg", "strip.png", "white.png")),
        *(f"covid_19/{name}" for name in ("tall.png", "wide.png", "pipe.png")),
    }
    for opened in (build(), build()):
        assert set(opened.bad["file"]) == expected
        assert opened.bad["reason"].str.len().min() > 10
        assert len(opened.pages) == 9
        assert not set(opened.pages["file"]) & expected
        assert "9 pages prepared" in opened.summary and "8 left out" in opened.summary
        assert str(opened.folder / "bad_pages.csv") in opened.summary
    for row, page in opened.pages.iterrows():
        luma = read_luma(few / page["file"])
        found = detect(luma)
        crops = crop_leads(rectify(luma, found), found.boxes, SIDE, SIDE)
        np.testing.assert_array_equal(opened.crops[row], crops)


def test_a_file_that_is_no_page_is_listed_although_the_set_is_there(build, few, worked_on):
    build()
    (few / "normal" / "empty.jpg").touch()
    worked_on.clear()
    opened = build()
    assert list(opened.bad["file"]) == ["normal/empty.jpg"]
    assert "1 left out" in opened.summary
    assert worked_on == []
    (few / "normal" / "empty.jpg").unlink()
    assert build().bad.empty


def test_a_read_only_set_is_opened_beside_a_new_bad_file(build, few, quick, monkeypatch, caplog):
    folder = build().folder
    (few / "normal" / "empty.jpg").touch()

    def refuse(path, target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "replace", refuse)
    opened = build()
    assert list(opened.bad["file"]) == ["normal/empty.jpg"]
    assert f"{folder / 'bad_pages.csv'} cannot be written" in caplog.text
    assert "Read-only file system" in caplog.text


def test_a_page_on_which_detection_fails_stops_no_other(build, few, monkeypatch):
    def detect_or_fail(luma, detect=building.find_boxes):
        if len(luma) == 600:
            raise cv2.error("too wide,\nor too tall")
        return detect(luma)

    monkeypatch.setattr(building, "find_boxes", detect_or_fail)
    Image.new("L", (800, 600), 255).save(few / "normal" / "odd.png")
    opened = build()
    assert opened.bad.to_numpy().tolist() == [
        ["normal/odd.png", "the page cannot be read: too wide, or too tall"]
    ]
    assert len(opened.pages) == 10


def test_each_page_of_a_file_is_prepared(build, few):
    (page, *others) = sorted(few.glob("normal/*.jpg"))
    pictures = [Image.open(path) for path in (page, *others)]
    pictures[0].save(few / "covid_19" / "fax.tif", save_all=True, append_images=pictures[1:])
    opened = build()
    rows = {file: row for row, file in opened.pages["file"].items()}
    for number, path in enumerate((page, *others), 1):
        of_fax = opened.crops[rows[f"covid_19/fax.tif#{number}"]].astype(int)
        assert np.abs(of_fax - opened.crops[rows[f"normal/{path.name}"]]).mean() < 1


def test_only_bad_pages(build, few):
    for page in few.rglob("*.jpg"):
        Image.new("L", (600, 400), 255).save(page)
    for _ in range(2):
        with pytest.raises(InputError, match=r"no page could be read; the first: .*jpg"):
            build()


def test_unwritable_folder(few, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/.* cannot be written"):
        prepare(few, tmp_path / "file", jobs=1)


@pytest.mark.parametrize(
    "options", [{"height": 0}, {"width": -8}, {"width": 100_000}, {"boxes": "guessed"}]
)
def test_bad_options(build, options):
    with pytest.raises(InputError, match="expected"):
        build(**options)


# --- The published boxes ---


@pytest.fixture(scope="module")
def box_sets():
    return json.loads(
        resources.files("ecg_lib.data").joinpath("published_boxes.json").read_text(encoding="utf-8")
    )


def test_published_crops_come_in_the_text_order_of_their_numbers():
    numbers = [crop + 1 for crop in PUBLISHED_CROP_ORDER]
    assert numbers == sorted(range(1, 14), key=str)
    assert crop_names("published") == tuple(f"box {number}" for number in numbers)
    assert crop_names("detected") == CROPS


def test_published_boxes_are_thirteen_boxes(box_sets):
    for boxes in box_sets.values():
        assert len(boxes) == 13
        assert all(left < right and top < bottom for left, top, right, bottom in boxes)


def test_published_needs_every_file(build):
    with pytest.raises(InputError) as error:
        build(boxes="published")
    message = str(error.value)
    first = published_files().dropna(subset="published_order").sort_values("published_order")
    assert "2,746 are missing" in message
    assert f"the first is {first['file'].iloc[0]}:" in message
    assert "version 1 of Mendeley Data gwbz3fsgp8" in message


def test_version_1_alone_serves_the_published_order():
    files = published_files()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pages = published_pages(files[files["file"].str.startswith("v1/")])
    assert len(pages) == 2746
    assert pages["source"].str.startswith("v1/").all()
    assert pages["file"].str.startswith("v2/").sum() > 900
    assert pages["boxes"].map(len).eq(13).all()
    assert list(pages["published_split"][:2196].unique()) == ["train"]


def _is_meant(rule, file, number):
    """Whether a rule's `numbers`, such as "1-37 and 78-" or "files named COVID*", mean a file."""
    which = rule["numbers"]
    if which == "all":
        return True
    if which.startswith("files named "):
        return fnmatch(file.split("/")[-1], which.removeprefix("files named "))
    ranges = [part.split("-") for part in which.split(" and ")]
    return any(int(first) <= number <= int(last or 10**6) for first, last in ranges)


@pytest.mark.real
def test_published_boxes_are_the_original_s_by_its_rules(box_sets, shared):
    rules = json.loads((shared / "original" / "crop_boxes.json").read_text(encoding="utf-8"))[
        "rules"
    ]
    manifest = pd.read_csv(shared / "data" / "khan2021" / "manifest.csv")
    boxes_of = published_files().set_index("file")["published_boxes"]
    used = manifest[manifest["in_original"] == 1]
    for page in used.to_dict("records"):
        (rule,) = (
            rule
            for rule in rules
            if rule["class"] == page["class"]
            and _is_meant(rule, page["file"], page["original_number"])
        )
        assert box_sets[boxes_of[page["file"]]] == rule["boxes"], page["file"]


@pytest.mark.real
def test_published_crops_of_real_pages(real_pages, box_sets):
    """One page of each set of boxes: the whole set takes a minute."""
    files = published_files()
    pages = published_pages(files[files["file"].str.startswith("v1/")])
    options = {"height": 32, "width": 32, "ink_only": False}
    for page in pages.loc[~pages["boxes"].astype(str).duplicated()].itertuples():
        crops, entry = _prepare_page(real_pages, page.source, [page.boxes] * 2, options)
        assert "reason" not in entry
        luma = read_exchanged_grey(real_pages / page.source)
        (tenth,) = (boxes[9] for boxes in box_sets.values() if sorted(boxes) == sorted(page.boxes))
        np.testing.assert_array_equal(crops[1, 1], crop_leads(luma, [tenth], **options)[0])


def test_copies_are_read_once_and_share_their_crops(pages_folder, tmp_path):
    folder = tmp_path / "pages"
    for name in ("normal_0001", "normal_0002"):
        (folder / "normal").mkdir(parents=True, exist_ok=True)
        shutil.copy(pages_folder / "normal" / f"{name}.jpg", folder / "normal")
    shutil.copy(folder / "normal" / "normal_0001.jpg", folder / "normal" / "renamed.jpg")
    opened = prepare(folder, tmp_path / "prepared", height=16, width=16, jobs=1)
    rows = {file: row for row, file in opened.pages["file"].items()}
    original, copy = rows["normal/normal_0001.jpg"], rows["normal/renamed.jpg"]
    assert opened.pages.loc[copy, "source"] == "normal/normal_0001.jpg"
    np.testing.assert_array_equal(opened.crops[copy], opened.crops[original])
    assert opened.crops[copy].any()
    assert (opened.crops[copy] != opened.crops[rows["normal/normal_0002.jpg"]]).any()
