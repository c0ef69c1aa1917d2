"""Pages in all layouts, styles and situations, and the truth beside them."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from ecg_lib.drawing.photographs import SITUATIONS
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import Style, random_style
from ecg_lib.drawing.varied_pages import (
    ARRANGEMENTS,
    draw_varied,
    draw_varied_example,
    draw_varied_set,
    page_truth,
)
from ecg_lib.errors import InputError
from ecg_lib.pages.layouts import LAYOUTS

SIGNALS = simulate("normal", np.random.default_rng(0))
STYLE = Style(px_per_mm=3, pulses="right", header=(("ID: 1",),), footer="25 mm/s")
LAYOUT = "cabrera_3x4_with_two_rhythm_strips"


def darkness(image):
    luma = image.mean(axis=2)
    return cv2.blur(luma, (80, 80)) - cv2.blur(luma, (5, 5))


def test_truth_of_an_untouched_page_is_that_of_the_drawn_one():
    rng = np.random.default_rng(0)
    drawn = draw_varied(SIGNALS, RATE, LAYOUT, "untouched", rng, STYLE)
    page = draw_styled(SIGNALS, RATE, LAYOUT, STYLE)
    truth = json.loads(json.dumps(drawn.truth))
    assert np.array_equal(drawn.image, page.image)
    assert [[*corners[0], *corners[2]] for corners in truth["corners"]] == [
        list(box) for box in page.boxes
    ]
    assert truth["homography"] == np.eye(3).tolist()
    assert truth["size"] == list(page.image.size)
    assert (truth["layout"], truth["rhythm_strips"]) == (LAYOUT, ["V1", "II"])
    assert truth["px_per_mm"] == pytest.approx(3)
    assert (truth["pulses"], truth["pulses_cut"]) == ("right", False)
    assert [name["name"] for name in truth["names"]][:4] == ["aVL", "II", "V1", "V4"]
    assert [ends[0][1] for ends in truth["baselines"]] == pytest.approx(page.baselines, abs=0.01)
    assert [ends[0][0] for ends in truth["column_edges"]] == pytest.approx(
        page.column_edges, abs=0.01
    )


@pytest.mark.parametrize("situation", SITUATIONS)
def test_homography_leads_back_to_the_drawn_page(situation):
    page = np.asarray(draw_styled(SIGNALS, RATE, LAYOUT, STYLE).image)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        drawn = draw_varied(SIGNALS, RATE, LAYOUT, situation, rng, STYLE)
        back = cv2.warpPerspective(
            drawn.image, np.linalg.inv(drawn.truth["homography"]), page.shape[1::-1]
        )
        inside = (slice(30, -30), slice(45, -45))
        pair = darkness(page)[inside], darkness(back)[inside]
        assert np.corrcoef(*map(np.ravel, pair))[0, 1] > 0.8
        scale = np.sqrt(np.linalg.det(np.array(drawn.truth["homography"])[:2, :2]))
        assert drawn.truth["px_per_mm"] == pytest.approx(3 * scale, rel=0.4)


def test_truth_says_whether_the_picture_cuts_the_pulses_off():
    page = draw_styled(SIGNALS, RATE, "standard_3x4", STYLE)
    whole, height = page.image.size
    for width, cut in ((whole, False), (page.traces_and_pulses.right - 5, True)):
        truth = page_truth(page, np.eye(3), (width, height), "untouched")
        assert truth["pulses_cut"] is cut


def test_set_alternates_layouts_and_situations(tmp_path, monkeypatch):
    # Small pages are enough here.
    monkeypatch.setattr(
        "ecg_lib.drawing.varied_pages.random_style",
        lambda rng, layout: replace(random_style(rng, layout), px_per_mm=3.0, pen=1),
    )
    number = len(ARRANGEMENTS) + 2
    draw_varied_set(tmp_path, number, seed=5)
    truths = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    assert len(truths) == number
    assert tuple(truth["layout"] for truth in truths[: len(ARRANGEMENTS)]) == ARRANGEMENTS
    assert set(ARRANGEMENTS) < set(LAYOUTS) and len(ARRANGEMENTS) == 14
    situations = [truth["situation"] for truth in truths]
    assert situations[0] != situations[-1] and set(situations) < set(SITUATIONS)
    for truth, path in zip(truths, sorted(tmp_path.glob("*.png")), strict=True):
        with Image.open(path) as image:
            assert list(image.size) == truth["size"]
    again = draw_varied_example(5, number - 1)
    assert again.truth == truths[-1]


def test_pages_show_the_given_recordings_and_are_kept(tmp_path):
    flat = np.zeros((12, 10 * RATE))
    draw_varied_set(tmp_path / "flat", 1, recordings=[flat])
    path = tmp_path / "flat" / "00000.png"
    before = path.read_bytes()
    draw_varied_set(tmp_path / "flat", 1, recordings=[SIGNALS])
    assert path.read_bytes() == before
    draw_varied_set(tmp_path / "beating", 1, recordings=[SIGNALS])
    assert (tmp_path / "beating" / "00000.png").read_bytes() != before


def test_no_pages_cannot_be_drawn(tmp_path):
    with pytest.raises(InputError, match="expected at least 1"):
        draw_varied_set(tmp_path, 0)
