"""Copies and conflicts are found, whatever a file is called and however it was saved."""

import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from ecg_lib.data.catalogue import UNKNOWN, conflicts, find_pages
from ecg_lib.data.identity import (
    MAX_ECG_DISTANCE,
    MAX_PAGE_DISTANCE,
    hash_ecg,
    hash_pixels,
    hash_text,
    identify,
    number_pages,
)
from ecg_lib.data.khan2021 import bits_of_hashes, published_files
from ecg_lib.data.prepared import prepare
from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.image import read_luma


def first_of_each_class(folder):
    return sorted(folder.glob("*/*_0001.jpg"))


def test_planted_copies_and_a_planted_conflict_are_found(pages_folder, tmp_path):
    page = first_of_each_class(pages_folder)[0]
    for place in ("normal/page.jpg", "normal/renamed.jpg", "covid_19/elsewhere.jpg"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        shutil.copy(page, tmp_path / place)
    luma = Image.fromarray(read_luma(page))
    # Saved again without loss: other bytes, the same pixels.
    luma.save(tmp_path / "normal/saved_again.png")
    # With loss, and at another size: other pixels, but the same picture.
    luma.save(tmp_path / "normal/poor.jpg", quality=35)
    luma.resize([side * 7 // 10 for side in luma.size]).save(tmp_path / "normal/small.jpg")
    pages = prepare(tmp_path, tmp_path / "prepared", height=8, width=8, jobs=1).pages
    pages = pages.set_index("file")
    assert len(pages) == 6 and pages["sha256"].nunique() == 4
    assert pages["page_id"].nunique() == pages["group"].nunique() == 1
    assert pages["page_id"].iloc[0].startswith("pixels:")
    assert set(conflicts(pages.reset_index())["file"]) == set(pages.index)


def read(luma):
    """What `identify` takes: a page, rectified, and its boxes."""
    found = detect(luma)
    return luma, rectify(luma, found), found.boxes


def ecg_of(luma):
    return hash_ecg(*read(luma)[1:])


def test_two_drawn_pages_are_two_pages_and_none_of_the_published(pages_folder):
    pages = [read_luma(path) for path in first_of_each_class(pages_folder)]
    found = [identify(*read(luma))["page_id"] for luma in pages]
    assert len(set(found)) == len(found) == 5
    assert all(page_id.startswith("pixels:") for page_id in found)


def test_a_page_is_named_after_its_pixels_and_two_that_look_alike_have_one_number(pages_folder):
    luma = read_luma(first_of_each_class(pages_folder)[0])
    found = identify(*read(luma))
    assert found["page_id"] == found["group"] == f"pixels:{hash_pixels(luma)}"
    bits = bits_of_hashes([found["hash"]])[0]
    copy, other = bits.copy(), bits.copy()
    copy[:MAX_PAGE_DISTANCE] ^= True
    other[-MAX_PAGE_DISTANCE - 1 :] ^= True
    # More pages than are compared at a time.
    hashes = [*map(hash_text, (other, bits, copy)), *[hash_text(~bits)] * 600]
    numbers = number_pages(hashes)
    assert numbers[1] == numbers[2] != numbers[0]
    assert set(numbers[3:]) == {numbers[3]} and numbers[3] not in numbers[:3]


def saved_again(luma, path):
    Image.fromarray(luma).save(path, quality=40)
    return read_luma(path)


def in_another_frame(luma):
    """A page with a banner in place of what is printed above its ECG, and with wide margins."""
    _, rectified, boxes = read(luma)
    # Traces reach over their boxes.
    body = rectified[max(min(box.top for box in boxes) - 40, 0) :]
    framed = cv2.copyMakeBorder(body, 250, 90, 40, 160, cv2.BORDER_CONSTANT, value=255)
    framed[:80] = 60
    cv2.putText(framed, "12-LEAD ECG", (90, 160), cv2.FONT_HERSHEY_SIMPLEX, 2, 0, 3)
    return framed


@pytest.mark.parametrize("layout", ["standard_3x4_with_rhythm", "standard_6x2"])
def test_a_page_is_known_at_another_size_in_another_frame_and_others_are_not(
    drawn, tmp_path, layout
):
    luma, _ = drawn[layout]
    original = ecg_of(luma)
    copies = {
        "quality": luma,
        "half": cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        "frame": in_another_frame(luma),
    }
    for copy in copies.values():
        copy = saved_again(np.ascontiguousarray(copy), tmp_path / "copy.jpg")
        assert np.count_nonzero(ecg_of(copy) != original) <= MAX_ECG_DISTANCE
    rng = np.random.default_rng(4)
    other, _ = draw_page(simulate("normal", rng), RATE, layout, rng)
    assert np.count_nonzero(ecg_of(np.asarray(other.convert("L"))) != original) > MAX_ECG_DISTANCE


def test_files_of_unknown_bytes_are_left_to_be_looked_at(pages_folder):
    pages, _ = find_pages(pages_folder)
    assert pages["page_id"].str.startswith(UNKNOWN).all()


@pytest.mark.real
@pytest.mark.parametrize("layout", sorted(set(published_files()["layout"])))
def test_a_published_page_saved_again_or_framed_is_recognised(real_pages, tmp_path, layout):
    of_layout = published_files().query("layout == @layout").drop_duplicates("page_id")
    for _, page in of_layout.sample(min(3, len(of_layout)), random_state=5).iterrows():
        luma = read_luma(real_pages / page["file"])
        if layout == "three_lead_strip":
            continue  # Refused: nobody has a prepared page of it.
        expected = {"page_id": page["page_id"], "group": page["group"]}
        assert identify(*read(luma)) == expected
        assert identify(*read(in_another_frame(luma))) == expected
        with Image.open(real_pages / page["file"]) as image:
            half = image.resize([side * 6 // 10 for side in image.size])
            half.save(tmp_path / "copy.jpg", quality=40)
        assert identify(*read(read_luma(tmp_path / "copy.jpg"))) == expected


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
