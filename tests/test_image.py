import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from ecg_lib.errors import InputError
from ecg_lib.pages.crops import crop_leads
from ecg_lib.pages.image import MIN_SIDE, read_exchanged_grey, read_luma
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


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA", "I;16"])
def test_every_mode_reads_as_grey_levels(tmp_path, mode):
    grey = Image.new("L", (MIN_SIDE, MIN_SIDE), 255)
    grey.paste(0, (50, 50, 100, 100))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert("RGB").convert(mode) if mode != "LA" else grey.convert("LA")
    path = tmp_path / ("page.tif" if mode == "CMYK" else "page.png")
    image.save(path)
    luma = read_luma(path)
    assert luma.dtype == np.uint8
    assert luma[75, 75] < 40
    assert luma[10, 10] > 250


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_s_luma_is_pillow_s(tmp_path, mode, options):
    noise = np.random.default_rng(3).integers(0, 256, (301, 402, 3), dtype=np.uint8)
    path = tmp_path / "page.jpg"
    Image.fromarray(noise).convert(mode).save(path, quality=70, **options)
    with Image.open(path) as image:
        image.draft("L", image.size)
        expected = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(read_luma(path), expected)


def test_transparent_paper_is_white(tmp_path):
    path = tmp_path / "page.png"
    Image.new("RGBA", (300, 300), (0, 0, 0, 0)).save(path)
    assert (read_luma(path) == 255).all()


def test_a_phone_picture_is_turned_as_its_exif_says(tmp_path):
    image = Image.new("L", (300, 240), 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "page.jpg"
    image.save(path, exif=exif)
    assert read_luma(path).shape == (300, 240)


def write_nothing(path):
    path.write_bytes(b"")


def write_text(path):
    path.write_text("not a picture")


def write_half_a_page(path):
    noise = np.random.default_rng(1).integers(0, 256, (400, 400), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_postscript(path):
    """A program, which Pillow would have another program run."""
    Image.new("L", (400, 400)).save(path, "EPS")


def write_thumbnail(path):
    Image.new("L", (64, 64)).save(path)


def write_giant(path):
    Image.new("1", (20_000, 6_000)).save(path, "PNG")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_nothing, "the file is empty"),
        (write_text, "expected a JPEG or PNG page"),
        (write_postscript, "expected a JPEG or PNG page"),
        (write_half_a_page, "cut off"),
        (write_thumbnail, "64x64 pixels"),
        (write_giant, "20000x6000 pixels"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(tmp_path, write, words):
    path = tmp_path / "bad.jpg"
    write(path)
    with pytest.raises(InputError) as caught:
        read_luma(path)
    assert "bad.jpg" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
