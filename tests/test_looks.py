"""The steps by which a page is read: looks, names read again, lattices, rows and columns."""

from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import pytest
from styled import styled

from ecg_lib.errors import PageRefused
from ecg_lib.pages.detection import detect
from ecg_lib.pages.detection.general import marks
from ecg_lib.pages.detection.general.again import (
    MIRRORED,
    UPRIGHT,
    UPSIDE_DOWN,
    look_closer,
    support_flipped,
    turned,
)
from ecg_lib.pages.detection.general.columns import find_columns
from ecg_lib.pages.detection.general.lattice import Lattice, most_support
from ecg_lib.pages.detection.general.level import Level
from ecg_lib.pages.detection.general.looks import MOST_PIXELS, WHOLE, see
from ecg_lib.pages.detection.general.marks import Name
from ecg_lib.pages.detection.general.reading import SUPPORT
from ecg_lib.pages.detection.general.rows import find_rows, fits_lines, skips_lines
from ecg_lib.pages.detection.ink import look_at
from ecg_lib.pages.detection.pulse_reader import read_by_pulses
from ecg_lib.pages.layouts import LAYOUTS
from ecg_lib.pages.leads import LEADS


@pytest.mark.parametrize("flip", [UPSIDE_DOWN, MIRRORED])
def test_names_alone_tell_how_a_page_is_flipped(flip):
    page, _ = styled("standard_3x4_with_rhythm")
    flipped = np.ascontiguousarray(page[:: flip[1], :: flip[0]])
    assert support_flipped(see(flipped), flip) > SUPPORT
    assert support_flipped(see(page), flip) < SUPPORT


@pytest.mark.parametrize(("quarters", "flip"), [(1, UPRIGHT), (3, UPSIDE_DOWN)])
def test_names_alone_tell_on_which_side_a_page_lies(quarters, flip):
    page, _ = styled("standard_3x4_with_rhythm")
    on_side = turned(see(np.ascontiguousarray(np.rot90(page, quarters))))
    assert support_flipped(on_side, flip) > SUPPORT
    assert support_flipped(on_side, -flip) < SUPPORT


def test_names_that_were_not_seen_are_read_where_they_are_expected():
    page, _ = styled("standard_3x4_with_rhythm")
    seen = see(page)
    few = seen.with_names(list(seen.lattices[0].read.values())[::2])
    assert len(look_closer(page, WHOLE, few).lattices[0].read) > len(few.lattices[0].read)


def test_names_expected_at_the_end_of_a_picture_are_read_again():
    page, _ = styled("standard_3x4_with_rhythm")
    seen = see(page)
    names = list(seen.lattices[0].read.values())
    height, width = seen.marks.trace.shape
    for x, y in [(width - 0.1, 40), (-0.4, 40), (100, height - 0.1)]:
        beyond = replace(names[0], x=x, y=y, certainty=1.0)
        assert look_closer(page, WHOLE, seen.with_names([*names, beyond])).support > SUPPORT


@pytest.mark.parametrize("flip", [(1, 1), (-1, -1), (-1, 1)])
def test_page_is_looked_at_whole_at_most_twice(flip, monkeypatch):
    """The network takes most of the time; names alone are a sixth of a look."""
    looks, find = [], marks.find_marks
    monkeypatch.setattr(
        "ecg_lib.pages.detection.general.looks.find_marks",
        lambda look: looks.append(look.size) or find(look),
    )
    page, _ = styled("standard_6x2", row_mm=14.0, name_mm=1.2)
    with suppress(PageRefused):
        detect(np.ascontiguousarray(page[:: flip[1], :: flip[0]]))
    assert len(looks) <= 2
    assert max(looks) < 1.01 * MOST_PIXELS


@pytest.mark.parametrize(("width", "missed"), [(30, False), (20, True)])
def test_traces_that_go_on_beyond_the_columns_are_not_overlooked(width, missed):
    trace = np.zeros((50, 120), np.float32)
    rows = np.array([10.0, 20.0, 30.0])
    trace[[10, 20, 30]] = 1
    leads = LAYOUTS["standard_3x4"].rows
    lattice = Lattice(leads, np.array([0.0, width, 0, 0]), rows, 3.0, {}, [])
    level = Level(np.eye(3), trace, np.zeros_like(trace))
    assert find_columns(level, lattice, rows).missed == missed


def test_line_between_rows_is_not_skipped():
    trace = np.zeros((50, 100), np.float32)
    trace[[10, 20, 30]] = 1
    level = Level(np.eye(3), trace, trace)
    for rows, skipped in ((np.array([10.0, 30.0]), True), (np.array([10.0, 20.0, 30.0]), False)):
        lattice = Lattice((("I", "II"),) * len(rows), np.array([0, 50, 0, 0]), rows, 3.0, {}, [])
        assert skips_lines(level, lattice, rows) == skipped
        assert fits_lines(level, lattice) != skipped


def test_separators_may_lean_where_a_page_was_made_straight(drawn):
    page, _ = drawn["standard_3x4_with_rhythm"]
    height, width = page.shape
    lean = np.float32([[1, -0.025, 0.0125 * height], [0, 1, 0]])
    leaning = cv2.warpAffine(page, lean, (width, height), borderValue=255)
    found = read_by_pulses(leaning, look_at(leaning), portrait=False, rectified=True)
    assert found.layout == "standard_3x4_with_rhythm"


def test_rows_without_a_read_name_lie_on_the_lines_beside_the_others():
    """Machines that fit the distances of rows to the beats print uneven ones."""
    lines = [22, 32, 45, 60]
    trace = np.zeros((80, 100), np.float32)
    trace[lines] = 1
    rows = (("I", "II"), ("III", "V1"), ("V2", "V3"), ("V4", "V5"))
    name = Name(0, 0, 0, np.zeros(13), 1.0)
    lattice = Lattice(
        rows,
        np.array([0, 50, 0, 0]),
        np.array([13.0, 28, 43, 58]),
        3.0,
        {"V2": name, "V4": name},
        [],
    )
    assert find_rows(Level(np.eye(3), trace, trace), lattice)[0] == pytest.approx(lines, abs=1)


def test_no_support_exceeds_its_bound():
    """Pages below the bound are not matched, so it must never be too low."""
    for layout in ("standard_3x4_with_rhythm", "cabrera_12x1"):
        page, _ = styled(layout)
        for luma in (page, np.ascontiguousarray(page[::-1])):
            seen = see(luma)
            assert 0 < seen.support <= most_support(seen.marks.names) <= len(LEADS)


def test_rows_that_nearly_coincide_are_no_page():
    """Their lines are as near, and the search for the next one must still end."""
    trace = np.zeros((50, 100), np.float32)
    trace[19:22] = np.array([[0.9], [1], [0.5]])
    heights = np.array([19.8, 20.0, 20.2])
    lattice = Lattice((("I", "II"),) * 3, np.array([0, 50, 0, 0]), heights, 3.0, {}, [])
    assert not fits_lines(Level(np.eye(3), trace, trace), lattice)
