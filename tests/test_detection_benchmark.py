"""The benchmark of the reader: what it counts as right, as true, and as without an ECG."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from benchmarks.detection import own_pages
from benchmarks.detection.image_kit import MM_PER_INCH, draw_like_image_kit
from benchmarks.detection.readings import Picture, judged, read, summarised
from benchmarks.detection.report import report, targets
from benchmarks.without_ecg import EACH, EACH_GRIDDED, GRIDDED
from ecg_lib.drawing.photographs import IN_PLACE, SITUATIONS, moved
from ecg_lib.drawing.simulation import RATE, simulate
from ecg_lib.drawing.varied_pages import ARRANGEMENTS
from ecg_lib.pages.detection import detect
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes

LAYOUT = "standard_3x4_with_rhythm"


@pytest.fixture(scope="module")
def page(drawn):
    luma, truth = drawn[LAYOUT]
    return luma, moved(truth, IN_PLACE)


def test_reading_is_right_where_layout_and_every_lead_are(page):
    luma, corners = page
    found = detect(luma)
    right, overlap = judged(LAYOUT, corners)(found)
    assert right and overlap > 0.9
    assert not judged("cabrera_3x4_with_rhythm", corners)(found)[0]
    assert not judged("standard_3x4", corners)(found)[0]
    misplaced = corners.copy()
    misplaced[4] += 400
    assert not judged(LAYOUT, misplaced)(found)[0]


def test_answers_about_pictures_without_an_ecg_are_wrong(page):
    luma, corners = page
    assert read(Picture("a", "b"), luma, judged(LAYOUT, corners))["outcome"] == "right"
    assert read(Picture("a", "b", shows="no leads"), luma)["outcome"] == "wrong"


def test_reasons_are_true_or_false_of_a_picture(page):
    luma, _ = page
    mirrored, blank = np.ascontiguousarray(luma[:, ::-1]), np.full((300, 400), 255, np.uint8)
    row = read(Picture("a", "b", shows="no leads"), mirrored)
    assert (row["reason"], row["true_reason"]) == ("mirrored", False)
    assert read(Picture("a", "b", shows="no leads"), blank)["true_reason"]
    assert not read(Picture("a", "b"), blank)["true_reason"]


@pytest.mark.parametrize("kind", GRIDDED)
def test_pictures_with_grids_differ_and_are_refused(kind):
    one, other = (GRIDDED[kind](np.random.default_rng(seed)) for seed in (0, 1))
    assert one.dtype == np.uint8 and one.ndim == 2
    assert one.shape != other.shape or np.any(one != other)
    assert read(Picture("a", kind, shows="no leads"), one)["outcome"] == "refused"


@pytest.mark.parametrize("number", [3, 18, 28])
def test_words_of_a_table_without_traces_name_no_leads(number):
    """Three of the tables on which enough cells resemble lead names, one with pulses as well."""
    kind = "spreadsheet"
    table = GRIDDED[kind](np.random.default_rng([EACH, len(kind), number]))
    row = read(Picture("a", kind, shows="no leads"), table)
    assert row["reason"] in ("no_names", "no_traces")


def test_fifty_pictures_have_grids():
    assert EACH_GRIDDED * len(GRIDDED) == 50


def test_each_layout_is_drawn_as_often_as_requested():
    calls = [arguments for _, arguments, _ in own_pages.own_pages(1, 3)]
    assert {call[2] for call in calls} == set(SITUATIONS)
    for layout in ARRANGEMENTS:
        of_layout = [call for call in calls if call[0] == layout]
        flat = [call for call in of_layout if call[2] == own_pages.UNTOUCHED]
        places = own_pages.places_of_pulses(layout)
        assert [call[1] for call in flat] == list(places)
        assert len(of_layout) - len(flat) >= 3
        assert len({call[1:] for call in of_layout}) == len(of_layout)


@pytest.mark.parametrize("layout", ["standard_3x4_with_rhythm", "standard_6x2"])
def test_rebuilt_pages_lie_where_they_are_said_to(layout):
    rng = np.random.default_rng(0)
    figure, edges, baselines = draw_like_image_kit(
        simulate("normal", rng), RATE, layout, "left", rng
    )
    figure.set_dpi(150)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    luma = np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=2).astype(np.uint8)
    dots = 150 / MM_PER_INCH
    boxes = lead_boxes(LAYOUTS[layout], list(edges * dots), list(baselines * dots), len(luma))
    right, overlap = judged(layout, moved(boxes, IN_PLACE))(detect(luma))
    assert right and overlap > 0.9


def test_tables_are_written_of_any_readings(page):
    luma, corners = page
    rows = [
        read(Picture("drawn by us", "untouched", LAYOUT, "left"), luma, judged(LAYOUT, corners)),
        read(Picture("without an ECG", "blank", shows="no leads"), luma[:50, :50]),
    ]
    readings = pd.DataFrame(rows)
    groups = summarised(readings, ["part", "kind", "layout", "pulses"])
    assert groups["right"].tolist() == [1, 0] and groups["refused"].tolist() == [0, 1]
    met = targets(readings, readings, 321.0, per_layout=7)
    reached = dict(zip(met["what"], met["reached"], strict=True))
    assert reached["pages drawn by us, undistorted, read right"] == "1 of 1 (100.0%)"
    assert reached["pictures without an ECG refused"] == "1 of 1 (100.0%)"
    assert reached["peak memory of reading 2 megapixels"] == "321 MB"
    text = report(readings, met, pd.DataFrame({"what": ["x"]}), "Measured with this.")
    assert f"| {LAYOUT} | 1 of 1 |" in text and "no ECG" not in text
