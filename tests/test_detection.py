"""Reading pages: drawn ones with known truth, turned and cut ones, and the real ones."""

import csv
import importlib
import json
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from styled import styled

from benchmarks.detection import own_pages
from benchmarks.detection.readings import judged
from ecg_lib.drawing.page import draw_page
from ecg_lib.drawing.page_versions import picture_of
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import PULSES, Style
from ecg_lib.drawing.varied_pages import ARRANGEMENTS
from ecg_lib.errors import InputError, PageRefused
from ecg_lib.pages.crops import keep_ink
from ecg_lib.pages.detection import detect, rectify
from ecg_lib.pages.detection.general.looks import see
from ecg_lib.pages.detection.general.reading import SUPPORT
from ecg_lib.pages.image import read_luma
from ecg_lib.pages.layouts import LAYOUTS, PUBLISHED_LAYOUTS, Layout
from ecg_lib.pages.leads import LEADS, Box


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


@pytest.mark.parametrize("layout", [name for name in PUBLISHED_LAYOUTS if name != "standard_6x2"])
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
    ("degrees", "turn"),
    [
        (180, lambda luma: luma[::-1, ::-1]),
        (90, np.rot90),
        (270, lambda luma: np.rot90(luma, 3)),
    ],
)
def test_turned_page_is_righted(degrees, turn):
    page, _ = styled("standard_3x4_with_rhythm")
    turned = np.ascontiguousarray(turn(page))
    found = detect(turned)
    assert found.turned == degrees
    assert found.layout == "standard_3x4_with_rhythm"
    boxes = detect(page).boxes
    # The rectified page stands upright: the first lead is at its upper left.
    assert found.boxes[0].right <= found.boxes[3].left < found.boxes[9].left
    seen = cv2.perspectiveTransform(np.float64([[found.boxes[0][:2]]]), found.homography)[0, 0]
    mark = np.zeros(page.shape, np.uint8)
    mark[boxes[0].top : boxes[0].bottom, boxes[0].left : boxes[0].right] = 1
    y, x = np.argwhere(turn(mark)).mean(axis=0)
    assert abs(seen[0] - x) < 0.2 * max(page.shape)
    assert abs(seen[1] - y) < 0.2 * max(page.shape)


def test_mirrored_page_is_refused(page):
    assert refusal(np.ascontiguousarray(page[:, ::-1])).reason == "mirrored"


def test_mirrored_page_is_told_from_one_upside_down(monkeypatch):
    """Names such as II look alike upside down; here three of them are enough for a page."""
    for name, value in {"SUPPORT": 2.0, "NAMES": 3, "CLEARLY": 0.0}.items():
        monkeypatch.setattr(f"ecg_lib.pages.detection.general.reading.{name}", value)
    page, _ = styled("standard_3x4_with_two_rhythm_strips", name_mm=3.5)
    assert refusal(np.ascontiguousarray(page[:, ::-1])).reason == "mirrored"


def test_picture_that_is_not_mostly_paper_is_looked_at_once(monkeypatch):
    monkeypatch.delattr("ecg_lib.pages.detection._read")
    noise = np.random.default_rng(0).integers(0, 256, (400, 600), dtype=np.uint8)
    assert refusal(noise).reason == "no_names"


def test_missing_columns_are_named(drawn):
    luma, truth = drawn["standard_3x4_with_rhythm"]
    edge = truth[9][0]  # V4
    refused = refusal(np.ascontiguousarray(luma[:, : edge + 20]))
    assert refused.reason == "partial"
    assert str(refused).startswith("found no traces in the places of V4, V5 and V6,")


def test_half_a_column_is_missing(drawn):
    """The trace that is left is long, but it runs off the page."""
    luma, truth = drawn["standard_3x4_with_rhythm"]
    middle = (truth[9][0] + truth[9][2]) // 2  # of V4
    refused = refusal(np.ascontiguousarray(luma[:, :middle]))
    assert str(refused).startswith("found no traces in the places of V4, V5 and V6,")


def test_missing_first_column_is_named(drawn):
    luma, truth = drawn["standard_3x4_with_rhythm"]
    middle = (truth[0][0] + truth[0][2]) // 2
    refused = refusal(np.ascontiguousarray(luma[:, middle:]))
    assert refused.reason == "partial"
    assert str(refused).startswith("found no traces in the places of I, II and III,")


def test_page_without_its_strip_is_read(drawn):
    luma, truth = drawn["standard_3x4_with_rhythm"]
    assert detect(luma[: truth[12][1] + 10]).layout == "standard_3x4"


@pytest.mark.parametrize("pulses", PULSES)
@pytest.mark.parametrize("layout", ARRANGEMENTS)
def test_every_layout_is_read_wherever_its_pulses_are(layout, pulses):
    luma, truth = styled(layout, pulses=pulses)
    found = detect(luma)
    assert found.layout == layout
    assert mean_overlap(found.boxes, truth) > 0.7


@pytest.mark.parametrize(
    ("layout", "pulses", "situation", "number"),
    [
        pytest.param("standard_3x4_with_rhythm", "right", "photograph", 22, id="fold"),
        pytest.param("cabrera_3x4", "left", "photograph", 23, id="edge of the sheet below"),
        pytest.param("cabrera_6x2", "none", "scan", 18, id="edge of the sheet above"),
        pytest.param("cabrera_6x2", "columns", "file", 22, id="pulses taller than rows"),
    ],
)
def test_what_resembles_a_line_is_not_read_as_one(layout, pulses, situation, number):
    """Pages of the benchmark on which something else was once taken for a row or a strip."""
    page = own_pages.draw(layout, pulses, situation, number)
    luma = cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)
    assert judged(layout, page.corners)(detect(luma))[0]


def test_shadow_on_a_tilted_page_leaves_no_ink():
    rng = np.random.default_rng(3)
    page, _ = draw_page(simulate("normal", rng), RATE, "standard_3x4_with_rhythm", rng)
    luma = np.asarray(page.rotate(2, fillcolor="white").convert("L"))
    shaded = (luma * np.linspace(0.3, 1, luma.shape[1])).astype(np.uint8)
    inked = [(keep_ink(rectify(one, detect(one))) < 255).mean() for one in (luma, shaded)]
    assert inked[1] == pytest.approx(inked[0], rel=0.2)


def test_tilted_photograph_of_small_print_is_looked_at_closer():
    rng = np.random.default_rng(5)
    page, _ = draw_page(simulate("normal", rng), RATE, "standard_3x4_with_rhythm", rng)
    picture, _ = picture_of(np.asarray(page.convert("L")), "photograph", rng)
    assert see(picture).support < SUPPORT
    assert detect(picture).layout == "standard_3x4_with_rhythm"


def test_faint_traces_beside_bold_letters_are_read():
    page = own_pages.draw("standard_3x4_with_rhythm", "none", "scan", 36)
    luma = cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)
    assert judged("standard_3x4_with_rhythm", page.corners)(detect(luma))[0]
    left, right = page.corners[LEADS.index("V5"), :2, 0]
    blank = luma.copy()
    blank[:, round(0.8 * left + 0.2 * right) :] = np.median(luma)
    assert refusal(blank).reason == "partial"


def test_nameless_page_is_refused_and_told_what_helps():
    refused = refusal(styled("standard_3x4", names="none", pulses="right")[0])
    assert refused.reason == "no_names"
    assert "Layouts that are read: 3x4" in str(refused)
    assert "lead names visible" in str(refused)


def test_nameless_page_with_pulses_is_taken_to_be_in_standard_order(drawn, monkeypatch):
    named = detect(drawn["standard_3x4_with_rhythm"][0])
    assert not named.order_assumed
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda *_, **options: None)
    rng = np.random.default_rng(3)
    page, _ = draw_page(simulate("normal", rng), RATE, "standard_3x4_with_rhythm", rng)
    nameless = detect(np.asarray(page.convert("L")))
    assert nameless.layout == named.layout
    assert nameless.order_assumed


@pytest.mark.parametrize(
    "style",
    [{"row_mm": 20.0, "pulses": "columns"}, {"row_mm": 16.0, "pulses": "none", "name_mm": 1.8}],
)
def test_small_print_is_read(style):
    """Letters of a page with ten seconds in each of two columns are half as tall as usual."""
    signals = simulate("normal", np.random.default_rng(4), seconds=12.0)
    style = Style(column_seconds=10.0, continuous=False, **style)
    page = draw_styled(signals, RATE, "cabrera_6x2", style)
    found = detect(np.asarray(page.image.convert("L")))
    assert found.layout == "cabrera_6x2"
    assert mean_overlap(found.boxes, page.boxes) > 0.7


def test_small_print_on_a_tall_page_is_read():
    luma, _ = styled("standard_12x1", row_mm=46.0, name_mm=1.8, pulses="none")
    assert luma.shape[0] > 2 * luma.shape[1]
    assert detect(luma).layout == "standard_12x1"


def test_leads_on_a_part_of_a_large_sheet_are_read():
    page, boxes = styled("standard_6x2", pulses="none")
    height, width = page.shape
    sheet = np.full((3 * height, 3 * width), 250, np.uint8)
    sheet[height : 2 * height, width : 2 * width] = page
    sheet[[40, -40], 40:-40] = 0
    assert see(sheet).support < SUPPORT
    found = detect(sheet)
    assert found.layout == "standard_6x2"
    assert mean_overlap(found.boxes, np.add(boxes, [width, height, width, height])) > 0.7


def test_leads_in_another_order_are_not_filed_under_wrong_names(monkeypatch):
    """Chest leads first, as no layout has them."""
    rows = (("V1", "V4", "I", "aVR"), ("V2", "V5", "II", "aVL"), ("V3", "V6", "III", "aVF"))
    monkeypatch.setitem(LAYOUTS, "chest_first", Layout("chest_first", rows))
    luma, _ = styled("chest_first")
    monkeypatch.undo()
    assert refusal(luma).reason in ("no_names", "order_unclear")


@pytest.mark.parametrize("shape", [(200, 102_400), (100_000, 1)])
def test_endless_strip_is_refused(shape):
    strip = np.full(shape, 255, np.uint8)
    strip[shape[0] // 2] = 0
    assert refusal(strip).reason == "no_traces"


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (300, 300), (1572, 2213)])
def test_blank_sheet_is_refused(shape):
    assert refusal(np.full(shape, 255, np.uint8)).reason == "blank"


@pytest.mark.parametrize("shape", [(400, 600), (9, 3000), (3000, 9), (40, 40)])
def test_noise_is_refused(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert refusal(noise).reason in ("no_traces", "no_names")


def test_form_is_refused():
    form = np.full((900, 1200), 255, np.uint8)
    for top in range(50, 850, 90):
        cv2.rectangle(form, (40, top), (60, top + 40), 0, 2)
        cv2.putText(form, "is it an ECG?", (90, top + 35), 0, 1, 0, 2)
    assert isinstance(refusal(form), InputError)


def khan2021():
    with (resources.files("ecg_lib.data") / "khan2021.csv").open(encoding="utf-8") as file:
        return {row["page_id"]: row for row in csv.DictReader(file)}.values()


@pytest.mark.real
def test_real_pages_are_read(real_pages):
    pages = [row for row in khan2021() if row["layout"] != "three_lead_strip"][::25]
    for row in pages:
        found = detect(luma_of(real_pages / row["file"]))
        assert found.layout == row["layout"], row["file"]
        assert found.flat, row["file"]


@pytest.mark.real
def test_real_three_lead_strip_is_refused(real_pages):
    (row,) = [row for row in khan2021() if row["layout"] == "three_lead_strip"]
    assert refusal(luma_of(real_pages / row["file"])).reason == "no_names"


WILD = Path(__file__).parents[1] / "../shared/data/wild"
RIGHT = 25
"""Minimum number of the 25 complete pictures that are read right."""


@pytest.mark.real
@pytest.mark.skipif(not WILD.is_dir(), reason="the pictures from anywhere are not here")
def test_pictures_from_anywhere_are_read(monkeypatch):
    monkeypatch.syspath_prepend(WILD)
    score = importlib.import_module("score")
    right, wrong = 0, []
    for annotation in json.loads((WILD / "annotations.json").read_text(encoding="utf-8")):
        try:
            found = detect(read_luma(WILD / annotation["file"]))
        except PageRefused:
            continue
        scores = score.score(annotation, found.boxes, found.homography)
        if annotation["complete"] and score.read_right(scores):
            right += 1
        else:
            wrong.append(annotation["file"])
    assert right >= RIGHT
    assert not wrong


@pytest.mark.real
def test_real_rhythm_strip_of_lead_iii_is_read(real_pages):
    """Seen by eye: the strip's name tag says III."""
    found = detect(luma_of(real_pages / "v1/normal/Normal (42).jpg"))
    assert found.rhythm_lead == "III"
