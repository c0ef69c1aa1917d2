"""Reading pages: drawn ones with known truth, turned and cut ones, and the real ones."""

import csv
from importlib import resources

import cv2
import numpy as np
import pytest
from PIL import Image

from ecg_lib.errors import InputError, PageRefused
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import Box


@pytest.fixture
def page(drawn):
    """A page of three rows with separators."""
    return drawn["standard_3x4_with_rhythm"][0]


def luma_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def mean_overlap(boxes, others):
    pairs = zip(boxes, others, strict=True)
    return np.mean([one.intersection_over_union(Box(*other)) for one, other in pairs])


def refusal(luma):
    with pytest.raises(PageRefused) as caught:
        detect(luma)
    return caught.value


def warped(luma, corners):
    """The page with its corners moved to `corners`, shares of its width and height."""
    height, width = luma.shape
    before = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * [width, height]
    after = np.float32(corners) * [width, height]
    homography = cv2.getPerspectiveTransform(before.astype(np.float32), after.astype(np.float32))
    return cv2.warpPerspective(luma, homography, (width, height), borderValue=230), homography


@pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)
def test_drawn_page_is_read(drawn, layout):
    luma, truth = drawn[layout]
    found = detect(luma)
    assert found.layout == layout
    assert mean_overlap(found.boxes, truth) >= 0.92
    assert found.flat
    assert found.size == luma.shape[::-1]
    assert rectify(luma, found) is luma
    assert found.confidence > 0.7


@pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)
def test_strip_shows_lead_ii(drawn, layout):
    found = detect(drawn[layout][0])
    if layout == "standard_6x2":
        assert found.rhythm_lead is None
        assert found.boxes[12] == found.boxes[1]
    else:
        assert found.rhythm_lead in ("II", None)


def test_size_of_the_sheet_does_not_matter(page):
    small = cv2.resize(page, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    sheet = np.full((2 * small.shape[0], 2 * small.shape[1]), 200, np.uint8)
    sheet[150 : 150 + small.shape[0], 400 : 400 + small.shape[1]] = small
    boxes = [
        Box(400 + b.left / 2, 150 + b.top / 2, 400 + b.right / 2, 150 + b.bottom / 2)
        for b in detect(page).boxes
    ]
    found = detect(sheet)
    assert found.layout == "standard_3x4_with_rhythm"
    assert found.flat
    assert mean_overlap(found.boxes, boxes) > 0.95


@pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)
def test_photographed_page_is_rectified(drawn, layout):
    luma, truth = drawn[layout]
    corners = [[0.05, 0.01], [0.97, 0.06], [0.93, 0.95], [0.02, 0.98]]
    tilted, homography = warped(luma, corners)
    found = detect(tilted)
    assert found.layout == layout
    assert not found.flat
    assert rectify(tilted, found).shape[::-1] == found.size
    for box, true in zip(found.boxes, truth, strict=True):
        middle = [[[(box.left + box.right) / 2, (box.top + box.bottom) / 2]]]
        seen = cv2.perspectiveTransform(np.float64(middle), found.homography)
        x, y = cv2.perspectiveTransform(seen, np.linalg.inv(homography))[0, 0]
        assert true[0] < x < true[2]
        assert true[1] < y < true[3]


def test_light_and_contrast_do_not_matter(page):
    light = np.linspace(0.4, 1, page.shape[1])
    dim = (page * light).astype(np.uint8)
    assert mean_overlap(detect(dim).boxes, detect(page).boxes) > 0.97


@pytest.mark.parametrize(
    ("reason", "turn"),
    [
        ("upside_down", lambda luma: luma[::-1, ::-1]),
        ("mirrored", lambda luma: luma[:, ::-1]),
        ("sideways", lambda luma: np.rot90(luma, 3)),
    ],
)
def test_turned_page_is_refused(page, reason, turn):
    refused = refusal(np.ascontiguousarray(turn(page)))
    assert refused.reason == reason


def test_missing_columns_are_named(drawn):
    luma, truth = drawn["standard_3x4_with_rhythm"]
    edge = truth[9][0]  # V4
    refused = refusal(np.ascontiguousarray(luma[:, : edge + 20]))
    assert refused.reason == "partial"
    assert str(refused).endswith("V4, V5, V6 and rhythm strip are missing")


def test_half_a_column_is_missing(drawn):
    """The trace that is left is long, but it runs off the page."""
    luma, truth = drawn["standard_3x4_with_rhythm"]
    middle = (truth[9][0] + truth[9][2]) // 2  # of V4
    refused = refusal(np.ascontiguousarray(luma[:, :middle]))
    assert str(refused).endswith(": V4, V5, V6 and rhythm strip are missing")


CUT_ON_THE_LEFT = {
    "standard_3x4_with_rhythm": "I, II, III and rhythm strip",
    "standard_6x2_with_rhythm": "I, II, III, aVR, aVL, aVF and rhythm strip",
    "portrait_3x4_with_rhythm": "I, II, III and rhythm strip",
    "landscape_3x4_with_rhythm": "I, II, III and rhythm strip",
}


@pytest.mark.parametrize("layout", CUT_ON_THE_LEFT)
def test_missing_pulses_and_first_column_are_named(drawn, layout):
    luma, truth = drawn[layout]
    middle = (truth[0][0] + truth[0][2]) // 2
    refused = refusal(np.ascontiguousarray(luma[:, middle:]))
    assert refused.reason == "partial"
    expected = f": calibration pulses, {CUT_ON_THE_LEFT[layout]} are missing"
    assert str(refused).endswith(expected)


def test_missing_strip_is_named(drawn):
    luma, truth = drawn["standard_3x4_with_rhythm"]
    refused = refusal(luma[: truth[12][1] + 10])
    assert refused.reason == "partial"
    assert str(refused).endswith(": rhythm strip is missing")


def test_missing_rows_are_named(drawn):
    luma, truth = drawn["standard_3x4_with_rhythm"]
    refused = refusal(luma[truth[0][3] - 10 :])
    assert str(refused).endswith(": I, aVR, V1 and V4 are missing")


def test_page_without_separators_and_with_six_lines_is_a_three_lead_strip(drawn):
    luma, truth = drawn["standard_6x2"]
    separator = truth[0][2]
    luma = luma.copy()
    luma[:, separator - 6 : separator + 6] = 255
    refused = refusal(luma)
    assert refused.reason == "three_lead_strip"


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (300, 300), (1572, 2213)])
def test_blank_sheet_is_refused(shape):
    assert refusal(np.full(shape, 255, np.uint8)).reason == "blank"


@pytest.mark.parametrize("shape", [(400, 600), (9, 3000), (3000, 9), (40, 40)])
def test_noise_is_refused(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert refusal(noise).reason == "not_ecg"


def test_form_is_refused():
    form = np.full((900, 1200), 255, np.uint8)
    for top in range(50, 850, 90):
        cv2.rectangle(form, (40, top), (60, top + 40), 0, 2)
        cv2.putText(form, "is it an ECG?", (90, top + 35), 0, 1, 0, 2)
    assert isinstance(refusal(form), InputError)


def khan2021():
    with (resources.files("ecg_lib.data") / "khan2021.csv").open() as file:
        return {row["page_id"]: row for row in csv.DictReader(file)}.values()


@pytest.mark.real
def test_real_pages_are_read(real_pages):
    pages = [row for row in khan2021() if row["layout"] != "three_lead_strip"][::25]
    for row in pages:
        found = detect(luma_of(real_pages / row["file"]))
        assert found.layout == row["layout"], row["file"]
        assert found.flat, row["file"]


@pytest.mark.real
@pytest.mark.parametrize("layout", CUT_ON_THE_LEFT)
def test_cut_real_page_is_refused(real_pages, layout):
    row = next(row for row in khan2021() if row["layout"] == layout)
    luma = luma_of(real_pages / row["file"])
    boxes = detect(luma).boxes
    middle = (boxes[0].left + boxes[0].right) // 2
    refused = refusal(np.ascontiguousarray(luma[:, middle:]))
    assert str(refused).endswith(f"calibration pulses, {CUT_ON_THE_LEFT[layout]} are missing")
    middle = (boxes[11].left + boxes[11].right) // 2  # of V6
    assert refusal(np.ascontiguousarray(luma[:, :middle])).reason == "partial"


@pytest.mark.real
@pytest.mark.parametrize(
    ("reason", "turn"),
    [("upside_down", lambda luma: luma[::-1, ::-1]), ("mirrored", lambda luma: luma[:, ::-1])],
)
def test_turned_real_page_is_refused(real_pages, reason, turn):
    for row in list(khan2021())[::400]:
        luma = luma_of(real_pages / row["file"])
        assert refusal(np.ascontiguousarray(turn(luma))).reason == reason


@pytest.mark.real
def test_real_three_lead_strip_is_refused(real_pages):
    (row,) = [row for row in khan2021() if row["layout"] == "three_lead_strip"]
    assert refusal(luma_of(real_pages / row["file"])).reason == "three_lead_strip"


@pytest.mark.real
def test_real_rhythm_strip_of_lead_iii_is_read(real_pages):
    """Seen by eye: the strip's name tag says III."""
    found = detect(luma_of(real_pages / "v1/normal/Normal (42).jpg"))
    assert found.rhythm_lead == "III"
