import numpy as np
import pytest
from traces import dark, ink, pixels_per_mm, square_wave

from ecg_lib.drawing.page import draw_page
from ecg_lib.errors import InputError
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS
from ecg_lib.pages.leads import CROPS, LEADS

RATE = 500
SAMPLES = 10 * RATE

every_layout = pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)


def flat():
    return np.zeros((len(LEADS), SAMPLES))


def draw(signals, layout, seed=5):
    return draw_page(signals, RATE, layout, np.random.default_rng(seed))


@every_layout
def test_one_millivolt_is_ten_millimetres_and_one_second_twenty_five(layout):
    signals = flat()
    # Up after 1 s, down after 2 s, which is right of the lead's name.
    signals[LEADS.index("II"), RATE : 2 * RATE] = 1.0
    page, boxes = draw(signals, layout)
    scale = pixels_per_mm(page, layout)
    height, width = square_wave(page, boxes[CROPS.index("II")], layout)
    assert (height, width) == pytest.approx((10 * scale, 25 * scale), abs=2)


@every_layout
def test_calibration_pulse_is_one_millivolt(layout):
    page, boxes = draw(flat(), layout)
    scale = pixels_per_mm(page, layout)
    left = boxes[0].left
    pulse = dark(page)[
        boxes[0].top : boxes[0].bottom, left - round(6.5 * scale) : left - round(0.5 * scale)
    ]
    rows = np.flatnonzero(pulse.any(axis=1))
    assert rows[-1] - rows[0] == pytest.approx(10 * scale, abs=4)


@every_layout
@pytest.mark.parametrize("lead", LEADS)
def test_trace_and_name_of_a_lead_lie_in_its_box(layout, lead):
    signals = flat()
    before, boxes = draw(signals, layout)
    # Small enough for the tightest rows, large enough to see.
    signals[LEADS.index(lead)] = 0.5 * np.sin(2 * np.pi * 3 * np.arange(SAMPLES) / RATE)
    after, boxes_after = draw(signals, layout)
    if layout == "standard_6x2":  # the rows move with the signals, so compare with nothing
        box = boxes_after[CROPS.index(lead)]
        assert np.ptp(np.flatnonzero(ink(after, box).any(axis=1))) > 6 * pixels_per_mm(
            after, layout
        )
        return

    assert boxes == boxes_after
    changed = np.asarray(before.convert("L")) != np.asarray(after.convert("L"))
    # The header's heart rate follows the signals; it lies outside the boxes.
    changed[: min(box.top for box in boxes)] = False
    changed[max(box.bottom for box in boxes) :] = False
    expected = np.zeros_like(changed)
    own = [boxes[CROPS.index(lead)]]
    if lead == PUBLISHED_LAYOUTS[layout].rhythm_strip:
        own.append(boxes[-1])
    for box in own:
        assert changed[box.top : box.bottom, box.left : box.right].any()
        expected[box.top : box.bottom, box.left - 3 : box.right + 3] = True
    assert not (changed & ~expected).any()


@every_layout
def test_every_lead_has_its_name(layout):
    page, boxes = draw(flat(), layout)
    scale = pixels_per_mm(page, layout)
    names = {}
    for crop, box in zip(CROPS, boxes, strict=True):
        above_trace = ink(page, box)[: box.height // 2 - round(0.6 * scale), : round(11 * scale)]
        names[crop] = above_trace
        assert above_trace.any(), crop
    assert names["aVR"].sum() > names["I"].sum()


def test_columns_of_a_3x4_page_show_consecutive_seconds():
    # One spike at 0.5 s + 2.5 s a column in all leads: each box shows exactly one.
    signals = flat()
    for column in range(4):
        start = round((2.5 * column + 1.5) * RATE)
        signals[:, start : start + 10] = 1.0
    page, boxes = draw(signals, "standard_3x4_with_rhythm")
    for box in boxes[:12]:
        spike = np.flatnonzero(ink(page, box).sum(axis=0) > 60) + box.left + 3
        assert spike.mean() == pytest.approx(box.left + 1.5 * 25 * 200 / 25.4, abs=5)


def test_rows_without_rhythm_strip_make_room_for_tall_traces():
    signals = flat()
    _, level = draw(signals, "standard_6x2")
    signals[LEADS.index("III"), 100:120] = 2.0
    _, raised = draw(signals, "standard_6x2")
    three = CROPS.index("III")
    assert raised[three].height > level[three].height


def test_an_artefact_leaves_room_for_the_other_rows():
    signals = flat()
    signals[LEADS.index("V5"), 100:120] = 17.0
    _, boxes = draw(signals, "standard_6x2")
    assert min(box.height for box in boxes) > 10


def test_boxes_agree_with_the_exports_measured_geometry():
    # Measured on the published pages: separators at x 644, 1136, 1628, baselines at y 463 to 1367.
    _, boxes = draw(flat(), "standard_3x4_with_rhythm")
    by_crop = dict(zip(CROPS, boxes, strict=True))
    assert [by_crop[lead].left for lead in ("I", "aVR", "V1", "V4")] == pytest.approx(
        [152, 644, 1136, 1628], abs=2
    )
    assert by_crop["I"].bottom == pytest.approx((463 + 765) / 2, abs=2)


@every_layout
def test_same_seed_same_page(layout):
    signals = np.random.default_rng(0).normal(0, 0.1, (12, SAMPLES))
    first, boxes = draw(signals, layout)
    second, boxes_again = draw(signals, layout)
    other, _ = draw(signals, layout, seed=6)
    assert first.tobytes() == second.tobytes() and boxes == boxes_again
    assert first.tobytes() != other.tobytes()


def test_unknown_layout_names_the_valid_ones():
    with pytest.raises(InputError, match="standard_6x2_with_rhythm"):
        draw(flat(), "3x4")


@pytest.mark.parametrize("shape", [(8, SAMPLES), (12, SAMPLES - 1), (SAMPLES,)])
def test_signals_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(InputError, match="12 leads of at least 5000 samples"):
        draw(np.zeros(shape), "standard_6x2")
