"""Other versions of a page: they are other pixels, and the boxes are still round the leads."""

import numpy as np
import pytest

from ecg_lib.drawing import page_versions
from ecg_lib.drawing.page_versions import SCALES, VERSIONS, flattened, picture_of, saved_again
from ecg_lib.pages.crops import crop_leads


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("seed", range(4))
def test_versions_show_the_same_leads(version, seed, drawn, monkeypatch):
    # Where light is even: of a page in shade, more than ink is kept.
    monkeypatch.setattr(page_versions, "PICTURED", ("scan", "print"))
    luma, boxes = drawn["standard_3x4_with_rhythm"]
    changed, moved = version(luma, boxes, np.random.default_rng(seed))
    assert changed.dtype == np.uint8 and changed.ndim == 2
    assert not np.array_equal(changed, luma)
    before, after = (
        crop_leads(np.ascontiguousarray(page), at, ink_only=True).reshape(13, -1).astype(float)
        for page, at in ((luma, boxes), (changed, moved))
    )
    # Each crop is more like its own than like that of any other lead.
    alike = np.corrcoef(before, after)[:13, 13:]
    np.testing.assert_array_equal(alike.argmax(axis=1), np.arange(13))


def test_saved_again_has_the_promised_sizes(drawn):
    luma, boxes = drawn["standard_3x4_with_rhythm"]
    for seed in range(6):
        changed, moved = saved_again(luma, boxes, np.random.default_rng(seed))
        scale = changed.shape[1] / luma.shape[1]
        assert SCALES[0] - 0.01 < scale < SCALES[1] + 0.01
        np.testing.assert_allclose(moved, np.multiply(boxes, scale), atol=1)


def test_a_picture_is_flattened_to_where_the_page_was(drawn):
    """A scan, which is turned and framed, comes back to within a pixel or two."""
    luma, boxes = drawn["standard_3x4_with_rhythm"]
    picture, homography = picture_of(luma, "scan", np.random.default_rng(2))
    assert picture.shape != luma.shape
    flat, moved = flattened(picture, homography, luma.shape[::-1], boxes)
    scale = flat.shape[1] / luma.shape[1]
    np.testing.assert_allclose(moved, np.multiply(boxes, scale), atol=1)
    assert flat.shape == pytest.approx(np.multiply(luma.shape, scale), abs=1)
