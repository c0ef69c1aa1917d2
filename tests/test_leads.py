"""Boxes, and the layouts as data."""

from itertools import pairwise

import pytest

from ecg_lib.errors import InputError
from ecg_lib.pages.layouts import LAYOUTS, lead_boxes
from ecg_lib.pages.leads import CROPS, LEADS, RHYTHM_STRIP, Box

each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)

HEIGHT = 1400


def boxes_of(layout):
    """Boxes on a page whose columns are 250 or 500 pixels wide, from 100 to 1100."""
    step = 1000 // layout.columns
    edges = [100 + step * number for number in range(layout.columns + 1)]
    baselines = [100 + 100 * number for number in range(layout.lines)]
    return dict(zip(CROPS, lead_boxes(layout, edges, baselines, HEIGHT), strict=True))


def test_canonical_order():
    assert (
        *("I", "II", "III", "aVR", "aVL", "aVF"),
        *("V1", "V2", "V3", "V4", "V5", "V6", "rhythm strip"),
    ) == CROPS


def test_box_is_half_open():
    box = Box(10, 20, 30, 50)
    assert (box.width, box.height) == (20, 30)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ((0, 0, 10, 10), 1),
        ((5, 0, 15, 10), 50 / 150),
        ((2, 2, 4, 4), 4 / 100),
        ((10, 0, 20, 10), 0),
        ((20, 20, 30, 30), 0),
    ],
)
def test_intersection_over_union(other, share):
    box, other = Box(0, 0, 10, 10), Box(*other)
    assert box.intersection_over_union(other) == pytest.approx(share)
    assert other.intersection_over_union(box) == pytest.approx(share)


@each_layout
def test_layout_holds_every_lead_once(layout):
    assert sorted(lead for row in layout.rows for lead in row) == sorted(LEADS)
    assert {len(row) for row in layout.rows} == {layout.columns}
    assert layout.lines == len(layout.rows) + len(layout.rhythm_strips)
    assert set(layout.rhythm_strips) <= set(LEADS)


def test_arrangements_of_the_leads():
    assert {
        (layout.name.partition("_")[0], len(layout.rows), layout.columns, len(layout.rhythm_strips))
        for layout in LAYOUTS.values()
        if layout.name not in ("portrait_3x4_with_rhythm", "landscape_3x4_with_rhythm")
    } == {
        (order, *arrangement)
        for order in ("standard", "cabrera")
        for arrangement in (
            *((3, 4, strips) for strips in range(4)),
            *((6, 2, strips) for strips in range(2)),
            (12, 1, 0),
        )
    }


def test_cabrera_order_goes_round_the_heart():
    by_column = {"3x4": 3, "6x2": 6, "12x1": 12}
    for layout in LAYOUTS.values():
        if not layout.name.startswith("cabrera"):
            assert layout.inverted == ()
            continue
        assert len(layout.rows) == by_column[layout.name.split("_")[1]]
        columns = [lead for column in zip(*layout.rows, strict=True) for lead in column]
        assert columns[:6] == ["aVL", "I", "aVR", "II", "aVF", "III"]
        assert columns[6:] == ["V1", "V2", "V3", "V4", "V5", "V6"]
        assert layout.inverted == ("aVR",)


@each_layout
def test_boxes_lie_where_the_layout_says(layout):
    boxes = boxes_of(layout)
    for number, row in enumerate(layout.rows):
        assert {boxes[lead].top for lead in row} == {50 + 100 * number}
        assert {boxes[lead].bottom for lead in row} == {150 + 100 * number}
        assert boxes[row[0]].left == 100 and boxes[row[-1]].right == 1100
        for left, right in pairwise(row):
            assert boxes[left].right == boxes[right].left


@each_layout
def test_rhythm_strip_spans_the_page_or_repeats_lead_two(layout):
    boxes = boxes_of(layout)
    if layout.rhythm_strip is None:
        assert boxes[RHYTHM_STRIP] == boxes["II"]
    else:
        # Two strips repeat V1 and II, three V1, II and V5: the thirteenth crop is that of lead II.
        of_lead_two = 50 + 100 * (len(layout.rows) + layout.rhythm_strips.index("II"))
        assert boxes[RHYTHM_STRIP] == Box(100, of_lead_two, 1100, of_lead_two + 100)


def test_without_a_strip_of_lead_two_the_first_strip_is_the_rhythm_strip():
    layout = LAYOUTS["standard_3x4_with_two_rhythm_strips"].with_strips(["V5", "V1"])
    assert layout.rhythm_strip == "V5"
    assert boxes_of(layout)[RHYTHM_STRIP] == Box(100, 350, 1100, 450)
    with pytest.raises(InputError, match="has 2 rhythm strips, got leads for 1"):
        layout.with_strips(["II"])


def test_boxes_stay_on_the_page():
    layout = LAYOUTS["standard_3x4_with_rhythm"]
    boxes = lead_boxes(layout, (0, 10, 20, 30, 40.4), (20, 120, 220, 320), 350)
    assert min(box.top for box in boxes) == 0
    assert max(box.bottom for box in boxes) == 350
    assert all(isinstance(side, int) for box in boxes for side in box)
