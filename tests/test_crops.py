"""Crops equal the published experiment's steps, done by Pillow."""

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.image import read_exchanged_grey, read_luma
from ecg_lib.pages.leads import Box

BOXES = [Box(10, 20, 150, 110), Box(0, 0, 300, 240), Box(250, 200, 320, 260)]


@pytest.fixture
def luma():
    return np.random.default_rng(1).integers(0, 256, (240, 300), dtype=np.uint8)


def pillow_crops(luma, boxes, height, width):
    """The published steps, written with Pillow's own operations."""
    page = Image.fromarray(luma)
    return np.stack(
        [
            np.asarray(
                ImageOps.invert(page.crop(box).convert("L"))
                .filter(ImageFilter.MaxFilter(3))
                .resize((width, height), Image.BICUBIC)
            )
            for box in boxes
        ]
    )


@pytest.mark.parametrize("size", [(64, 64), (32, 32), (64, 160), (48, 32)])
def test_crops_equal_pillow_to_the_byte(luma, size):
    crops = crop_leads(luma, BOXES, *size)
    assert crops.dtype == np.uint8
    assert crops.shape == (3, size[0], size[-1])
    np.testing.assert_array_equal(crops, pillow_crops(luma, BOXES, size[0], size[-1]))


def test_published_crops_equal_the_experiment_s_steps_to_the_byte(tmp_path):
    """On a page with a pink grid: crop, exchange red and blue, grey, invert, dilate, resize."""
    page = np.full((240, 300, 3), 255, np.uint8)
    page[::8] = page[:, ::8] = (255, 170, 185)
    page[100:103, 20:280] = (20, 20, 60)
    path = tmp_path / "page.jpg"
    Image.fromarray(page).save(path, quality=90)
    expected = []
    with Image.open(path) as image:
        for box in BOXES:
            red, green, blue = image.crop(box).split()
            grey = ImageOps.grayscale(Image.merge("RGB", (blue, green, red)))
            dilated = ImageOps.invert(grey).filter(ImageFilter.MaxFilter(3))
            expected.append(np.asarray(dilated.resize((64, 64))))
    np.testing.assert_array_equal(crop_leads(read_exchanged_grey(path), BOXES), expected)
    assert (read_exchanged_grey(path) != read_luma(path)).mean() > 0.2


def test_ink_is_bright_and_a_single_pixel_grows_to_three():
    page = np.full((64, 64), 255, np.uint8)
    page[30, 40] = 0
    (crop,) = crop_leads(page, [Box(0, 0, 64, 64)])
    assert crop.sum() == 9 * 255
    assert (crop[29:32, 39:42] == 255).all()


def test_a_lead_that_is_printed_upside_down_is_turned_over(luma):
    crops = crop_leads(luma, BOXES)
    turned = crop_leads(luma, BOXES, inverted=(1,))
    np.testing.assert_array_equal(turned[1], crops[1, ::-1])
    np.testing.assert_array_equal(turned[[0, 2]], crops[[0, 2]])
