"""Paper and grid are removed, the trace is not, whatever the paper."""

import numpy as np
import pytest
from PIL import Image

from ecg_lib.pages.crops import crop_leads, keep_ink
from ecg_lib.pages.leads import Box

HEIGHT, WIDTH = 240, 400
BOX = Box(0, 0, WIDTH, HEIGHT)
# Paper and grid levels as measured on the published pages.
PAPERS = {
    "white": (255, 255),
    "pink grid of a small page": (250, 200),
    "grid of dark dots": (255, 80),
}


def trace():
    """Mask of a trace two pixels thick, with an upright stroke."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[120:122] = True
    mask[60:120, 200:202] = True
    return mask


def draw(paper, trace_level=10):
    level, grid = PAPERS[paper]
    page = np.full((HEIGHT, WIDTH), level, np.uint8)
    if grid < 128:
        page[::20, ::2] = page[::2, ::20] = grid
    else:
        page[::20] = page[:, ::20] = grid
    page[trace()] = trace_level
    return page


@pytest.mark.parametrize("paper", PAPERS)
def test_only_the_trace_is_left_with_its_levels(paper):
    page = draw(paper)
    kept = keep_ink(page)
    # A dot of the grid that touches the trace may stay with it.
    beside = np.pad(trace(), 1)
    near = np.any([np.roll(beside, s, (0, 1)) for s in np.ndindex(3, 3)], axis=0)[2:, 2:]
    assert (kept[trace()] == page[trace()]).all()
    assert (kept[~near] == 255).all()


@pytest.mark.parametrize("paper", PAPERS)
def test_what_a_jpeg_does_to_paper_is_removed_too(tmp_path, paper):
    path = tmp_path / "page.jpg"
    Image.fromarray(draw(paper)).save(path, quality=50)
    kept = keep_ink(np.asarray(Image.open(path)))
    assert (kept[:40] == 255).all()
    assert (kept[trace()] < 128).all()


def test_a_hairline_that_scanning_made_lighter_stays_whole():
    page = draw("pink grid of a small page")
    page[60:100, 200:202] = 110
    assert (keep_ink(page)[trace()] == page[trace()]).all()


@pytest.mark.parametrize("level", [128, 255])
def test_a_page_of_one_level_has_no_ink(level):
    assert (keep_ink(np.full((HEIGHT, WIDTH), level, np.uint8)) == 255).all()


def test_crops_of_two_papers_are_the_same_once_only_ink_is_left():
    white, pink, dots = (crop_leads(draw(paper), [BOX], ink_only=True) for paper in PAPERS)
    np.testing.assert_array_equal(white, pink)
    papers = [crop_leads(draw(paper), [BOX]) for paper in PAPERS]
    assert np.mean(white != dots) < 0.05  # dots that touch the trace
    assert np.mean(papers[0] != papers[2]) > 0.2


def test_the_default_leaves_the_paper_alone():
    (crop,) = crop_leads(draw("pink grid of a small page"), [BOX])
    assert (crop[:10] > 0).all()
