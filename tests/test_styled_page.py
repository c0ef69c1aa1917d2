"""Pages of any layout, in any style."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_lib.drawing.styled_page import draw_styled
from ecg_lib.drawing.styles import NAMES, PULSES, Style, random_style
from ecg_lib.errors import InputError
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import CROPS, LEADS

RATE = 500
SAMPLES = 10 * RATE
BARE = Style(px_per_mm=4, grid="none", names="none", pulses="none", smooth=False, pen=1)

every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def flat():
    return np.zeros((len(LEADS), SAMPLES))


def raised(*leads, start=0, stop=SAMPLES, height=0.5):
    signals = flat()
    for lead in leads:
        signals[LEADS.index(lead), start:stop] = height
    return signals


def draw(signals, layout, style=BARE, **options):
    """The page, and where it is dark, for columns that fill ten seconds."""
    columns = LAYOUTS[layout].columns
    style = replace(style, column_seconds=10 / columns, **options)
    page = draw_styled(signals, RATE, layout, style)
    return page, np.asarray(page.image.convert("L")) < 128


def extent(dark):
    """Rows and columns that have dark pixels: first and last of both."""
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    return rows[0], rows[-1], columns[0], columns[-1]


@every_layout
def test_trace_of_a_lead_lies_in_its_box_and_in_its_strips(layout):
    of_layout = LAYOUTS[layout]
    _, level = draw(flat(), layout)
    for lead in LEADS:
        page, dark = draw(raised(lead, height=0.3), layout)
        changed = dark & ~level
        box = page.boxes[CROPS.index(lead)]
        own = [(box.top, box.bottom, box.left, box.right)]
        for number, strip in enumerate(of_layout.rhythm_strips):
            if strip == lead:
                y = round(page.baselines[len(of_layout.rows) + number])
                own.append((y - 40, y + 40, round(page.column_edges[0]), page.image.width))
        for top, bottom, left, right in own:
            inside = changed[top:bottom, left : right + 1]
            assert inside.sum() > 0.9 * (min(right, page.column_edges[-1]) - left), lead
            changed[top:bottom, left : right + 1] = False
        assert not changed.any(), lead


@every_layout
def test_minus_avr_is_printed_inverted_in_cabrera_order(layout):
    page, dark = draw(raised("aVR"), layout)
    box = page.boxes[CROPS.index("aVR")]
    middle = round((box.left + box.right) / 2)
    (y,) = np.flatnonzero(dark[box.top : box.bottom, middle]) + box.top
    row = next(n for n, leads in enumerate(page.layout.rows) if "aVR" in leads)
    upwards = page.baselines[row] - y
    assert upwards == pytest.approx(-20 if layout.startswith("cabrera") else 20, abs=1)


@pytest.mark.parametrize(("speed", "gain"), [(25, 10), (50, 5), (25, 20)])
def test_speed_and_gain(speed, gain):
    signals = raised("III", start=RATE, stop=2 * RATE)
    page, dark = draw(signals, "standard_12x1", mm_per_second=speed, mm_per_mv=gain)
    box = page.boxes[CROPS.index("III")]
    shape = dark[box.top : box.bottom, box.left : box.right]
    top, bottom, _, _ = extent(shape)
    assert bottom - top == pytest.approx(0.5 * gain * 4, abs=1)
    sides = np.flatnonzero(shape[(top + bottom) // 2])
    assert (sides[0], sides[-1]) == pytest.approx((speed * 4, 2 * speed * 4), abs=2)


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("gap_mm", [0, 6])
def test_columns_go_on_in_time_or_start_at_zero(continuous, gap_mm):
    # Raised from 1 s to 1.2 s: seen by each column that starts at zero, or by the first alone.
    signals = raised(*LEADS, start=RATE, stop=round(1.2 * RATE), height=1)
    page, dark = draw(signals, "standard_3x4", continuous=continuous, gap_mm=gap_mm)
    y = round(page.baselines[0]) - 20
    rising = np.flatnonzero(np.diff(dark[y].astype(int)) == 1)[::2]
    expected = [page.column_edges[0] + 100]
    if not continuous:
        expected += [x + 100 + gap_mm / 2 * 4 for x in page.column_edges[1:-1]]
    assert rising == pytest.approx(expected, abs=2)
    for x in page.column_edges[1:-1]:
        blank = dark[:, round(x - gap_mm) : round(x + gap_mm)]
        assert blank.any() == (gap_mm == 0 and blank.size > 0)


@pytest.mark.parametrize("pulses", PULSES)
def test_calibration_pulses_stand_where_they_should(pulses):
    page, dark = draw(flat(), "standard_6x2_with_rhythm", pulses=pulses)
    left, middle, right = page.column_edges
    for line, baseline in enumerate(page.baselines):
        y = round(baseline) - 20
        sides = np.flatnonzero(dark[y]) / 4
        # A pulse is 0.2 s wide, 5 mm, and ends 1.5 mm beside the trace that it belongs to.
        expected = {
            "left": [left / 4 - 6.5, left / 4 - 1.5],
            "right": [right / 4 + 1.5, right / 4 + 6.5],
            "columns": [left / 4 - 6.5, left / 4 - 1.5, middle / 4 + 1.5, middle / 4 + 6.5],
            "none": [],
        }[pulses]
        if pulses == "columns" and line == 6:
            expected = expected[:2]
        assert sides == pytest.approx(expected, abs=0.5)
        assert not dark[: round(page.baselines[0] - 42)].any()


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("layout", ["standard_6x2", "cabrera_3x4_with_two_rhythm_strips"])
def test_names_are_printed_where_they_are_said_to_be(names, layout):
    page, dark = draw(flat(), layout, names=names, pulses="left", strip_leads=None)
    of_layout = page.layout
    printed = [name for name, _ in page.names]
    if names == "none":
        assert not printed
        return
    expected = [lead for row in of_layout.rows for lead in row]
    expected = ["-aVR" if lead in of_layout.inverted else lead for lead in expected]
    assert printed == [*expected, *of_layout.rhythm_strips]
    for name, box in page.names:
        assert dark[box.top : box.bottom, box.left : box.right].any(), name
        if names != "margin":
            crop = page.boxes[CROPS.index(name.removeprefix("-"))]
            if name not in of_layout.rhythm_strips:
                assert crop.left <= box.left and box.right <= crop.right
                assert crop.top <= box.top and box.bottom <= crop.bottom


def test_strips_repeat_the_leads_of_the_style():
    strips = ("V5", "V1")
    page, dark = draw(
        raised("V5"), "standard_3x4_with_two_rhythm_strips", strip_leads=strips, names="above"
    )
    assert page.layout.rhythm_strips == strips
    assert page.boxes[12].top < page.baselines[3] < page.boxes[12].bottom
    end = round(page.column_edges[-1]) - 10
    assert dark[round(page.baselines[3]) - 20, end] and dark[round(page.baselines[4]), end]
    assert [name for name, _ in page.names[-2:]] == ["V5", "V1"]


@pytest.mark.parametrize(("grid", "step"), [("lines", 4), ("coarse", 20)])
def test_grid_is_one_and_five_millimetres_wide(grid, step):
    style = replace(BARE, grid=grid, grid_colours=((200, 0, 0), (0, 0, 200)), grid_pens=(1, 1))
    page, _ = draw(flat(), "standard_12x1", style)
    top_row = np.asarray(page.image)[2]
    lines = np.flatnonzero((top_row != 255).any(axis=1))
    assert lines.tolist() == list(range(0, page.image.width, step))
    assert np.flatnonzero((top_row == (0, 0, 200)).all(axis=1)).tolist() == list(
        range(0, page.image.width, 20)
    )


def test_text_lies_above_and_below_the_traces():
    text = {"header": (("ID: 1", "2020-01-01"), ("62 bpm",)), "footer": "25 mm/s"}
    with_text, dark = draw(flat(), "standard_3x4", **text)
    _, without = draw(flat(), "standard_3x4")
    first, last = with_text.boxes[0].top, with_text.boxes[2].bottom
    assert dark[:first].any() and dark[last:].any()
    assert dark[first:last].sum() == without.sum()


@every_layout
def test_random_styles_can_be_drawn(layout):
    signals = np.random.default_rng(0).normal(0, 0.1, (12, SAMPLES))
    for seed in range(3):
        style = random_style(np.random.default_rng(seed), layout)
        style = replace(style, px_per_mm=3.5, pen=1)
        page = draw_styled(signals, RATE, layout, style)
        for box in page.boxes:
            assert 0 <= box.left < box.right <= page.image.width
            assert 0 <= box.top < box.bottom <= page.image.height


def test_unknown_options_and_short_recordings_are_refused():
    with pytest.raises(InputError, match="cabrera_12x1"):
        draw_styled(flat(), RATE, "12x1", BARE)
    with pytest.raises(InputError, match="dots and lines"):
        draw(flat(), "standard_3x4", grid="squares")
    with pytest.raises(InputError, match="at least 10 seconds"):
        draw(flat()[:, :-100], "standard_3x4")
    with pytest.raises(InputError, match="12 leads"):
        draw(flat()[:8], "standard_3x4")
