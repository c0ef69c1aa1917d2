"""Copies and conflicts are found, whatever a file is called and however it was saved."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ecg_lib.data.catalogue import UNKNOWN, conflicts, find_pages
from ecg_lib.data.identity import hash_pixels, identify, perceptual_hash
from ecg_lib.data.khan2021 import published_files
from ecg_lib.data.prepared import prepare
from ecg_lib.pages.image import read_luma


def first_of_each_class(folder):
    return sorted(folder.glob("*/*_0001.jpg"))


def test_planted_copies_and_a_planted_conflict_are_found(pages_folder, tmp_path):
    page = first_of_each_class(pages_folder)[0]
    for place in ("normal/page.jpg", "normal/renamed.jpg", "covid_19/elsewhere.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(page, tmp_path / place)
    # Saved again without loss: other bytes, the same pixels.
    Image.fromarray(read_luma(page)).save(tmp_path / "normal/saved_again.png")
    pages = prepare(tmp_path, tmp_path / "prepared", height=8, width=8, jobs=1).pages
    pages = pages.set_index("file")
    assert pages["sha256"].nunique() == 2
    assert pages["page_id"].nunique() == pages["group"].nunique() == 1
    assert pages["page_id"].iloc[0] == f"pixels:{hash_pixels(read_luma(page))}"
    assert set(conflicts(pages.reset_index())["file"]) == set(pages.index)


def test_two_drawn_pages_are_two_pages_and_none_of_the_published(pages_folder):
    found = [identify(read_luma(path))["page_id"] for path in first_of_each_class(pages_folder)]
    assert len(set(found)) == len(found) == 5
    assert all(page_id.startswith("pixels:") for page_id in found)


@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize("scale", [1, 0.5])
def test_a_page_saved_again_is_nearer_to_itself_than_to_any_other(
    pages_folder, tmp_path, quality, scale
):
    pages = {path: perceptual_hash(read_luma(path)) for path in first_of_each_class(pages_folder)}
    for page in pages:
        with Image.open(page) as image:
            size = [round(scale * side) for side in image.size]
            image.resize(size).save(tmp_path / "copy.jpg", quality=quality)
        copy = perceptual_hash(read_luma(tmp_path / "copy.jpg"))
        distances = {path: np.count_nonzero(copy != found) for path, found in pages.items()}
        assert min(distances, key=distances.get) == page


def test_files_of_unknown_bytes_are_left_to_be_looked_at(pages_folder):
    pages, _ = find_pages(pages_folder)
    assert pages["page_id"].str.startswith(UNKNOWN).all()


@pytest.mark.real
@pytest.mark.parametrize("layout", sorted(set(published_files()["layout"])))
def test_a_published_page_saved_again_is_recognised(real_pages, tmp_path, layout):
    of_layout = published_files().query("layout == @layout").drop_duplicates("page_id")
    for _, page in of_layout.sample(min(3, len(of_layout)), random_state=5).iterrows():
        luma = read_luma(real_pages / page["file"])
        assert identify(luma) == {"page_id": page["page_id"], "group": page["group"]}
        with Image.open(real_pages / page["file"]) as image:
            half = image.resize([side * 6 // 10 for side in image.size])
            half.save(tmp_path / "copy.jpg", quality=40)
        assert identify(read_luma(tmp_path / "copy.jpg"))["page_id"] == page["page_id"]


@pytest.mark.real
def test_planted_published_copies_are_found_in_a_folder(real_pages, tmp_path):
    page = published_files().query("`class` == 'normal'").iloc[10]
    luma = read_luma(real_pages / page["file"])
    (tmp_path / "normal").mkdir()
    (tmp_path / "mi").mkdir()
    shutil.copy(real_pages / page["file"], tmp_path / "normal/renamed.jpg")
    Image.fromarray(luma).resize((1770, 1258)).save(tmp_path / "mi/saved_again.jpg", quality=70)
    pages = prepare(tmp_path, tmp_path / "prepared", height=8, width=8, jobs=1).pages
    assert set(pages["page_id"]) == {page["page_id"]}
    assert set(pages["group"]) == {page["group"]}
    assert set(conflicts(pages)["file"]) == {"normal/renamed.jpg", "mi/saved_again.jpg"}
    assert all(len(json.loads(boxes)) == 13 for boxes in pages["boxes"])
