"""Page files of every kind are read, or refused in one true sentence."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from ecg_lib.errors import InputError
from ecg_lib.pages import image as page_image
from ecg_lib.pages import pdf
from ecg_lib.pages.detection import detect
from ecg_lib.pages.image import MAX_ASPECT, MIN_SIDE, list_pages, read_luma


@pytest.fixture
def grey():
    """A picture with paper, ink, and shades between."""
    picture = Image.new("L", (300, 240), 255)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((40, 40, 200, 60), fill=0)
    draw.rectangle((40, 100, 200, 130), fill=97)
    return picture


def luma_of(picture):
    return np.asarray(picture).astype(int)


# --- What a page looks like ---


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


# --- Levels of more than 8 bits ---


@pytest.mark.parametrize(
    ("full_scale", "kind"),
    [
        (1, np.float32),
        (255, np.float32),
        (4095, np.float32),
        (255, np.uint16),
        (1023, np.uint16),
        (4095, np.uint16),
        (65535, np.uint16),
        (4095, np.int32),
    ],
)
def test_deep_levels_are_read_by_the_range_that_they_use(tmp_path, grey, full_scale, kind):
    levels = luma_of(grey) / 255 * full_scale
    levels[0, 0] *= 3 if full_scale < 65535 else 1  # A speck of dust is no paper.
    Image.fromarray(levels.astype(kind)).save(tmp_path / "page.tif")
    difference = read_luma(tmp_path / "page.tif").astype(int) - luma_of(grey)
    assert np.abs(difference).max() <= 1


def test_twelve_bits_in_sixteen_are_read_in_colour_too(tmp_path, grey):
    levels = luma_of(grey).astype(np.uint16) * 16
    for name in ("page.png", "page.tif"):
        cv2.imwrite(str(tmp_path / name), np.dstack([levels] * 3))
        assert np.abs(read_luma(tmp_path / name).astype(int) - luma_of(grey)).max() <= 1


def test_white_may_be_zero_and_levels_missing_or_negative(tmp_path, grey):
    levels = (255 - luma_of(grey)).astype(np.uint16) * 257
    Image.fromarray(levels).save(tmp_path / "page.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(read_luma(tmp_path / "page.tif"), luma_of(grey))
    levels = luma_of(grey).astype(np.float32) - 100
    levels[0, :9] = np.nan
    Image.fromarray(levels).save(tmp_path / "page.tif")
    np.testing.assert_array_equal(read_luma(tmp_path / "page.tif"), luma_of(grey))


# --- Several pages in a file ---


def write_several(path, pictures, **options):
    first, *others = pictures
    first.save(path, save_all=True, append_images=others, **options)


def test_each_page_of_a_tiff_has_a_name(tmp_path, grey):
    file = tmp_path / "fax.tif"
    write_several(file, [grey, grey.rotate(180)])
    names = [page.path for page in list_pages(file)]
    assert names == [tmp_path / "fax.tif#1", tmp_path / "fax.tif#2"]
    np.testing.assert_array_equal(read_luma(names[0]), luma_of(grey))
    np.testing.assert_array_equal(read_luma(names[1]), luma_of(grey.rotate(180)))
    assert list_pages(names[1]) == [(names[1], None)]
    with pytest.raises(InputError, match=r"fax.tif has 2 pages: .* such as .*fax.tif#1$"):
        read_luma(file)
    with pytest.raises(InputError, match=r"fax.tif#3 does not exist: the file has 2 pages"):
        read_luma(f"{file}#3")


def test_a_reduced_version_in_a_tiff_is_no_page(tmp_path, grey):
    file = tmp_path / "scan.tif"
    small = grey.resize((30, 24))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    write_several(file, [small, grey], tiffinfo={254: 1})
    with Image.open(file) as image:  # Pillow gives both frames the tag of the first.
        assert image.n_frames == 2
    content = bytearray(file.read_bytes())
    tag = b"\xfe\x00\x04\x00\x01\x00\x00\x00"
    assert content.count(tag) == 2
    at = content.rindex(tag) + len(tag)
    content[at : at + 4] = bytes(4)
    file.write_bytes(content)
    assert list_pages(file) == [(file, None)]
    np.testing.assert_array_equal(read_luma(file), luma_of(grey))


def test_a_name_with_a_number_sign_may_be_a_file_s_own(tmp_path, grey):
    for name in ("page.png", "page.png#2"):
        grey.save(tmp_path / name, "PNG")
    assert list_pages(tmp_path / "page.png#2") == [(tmp_path / "page.png#2", None)]
    assert read_luma(tmp_path / "page.png#2").shape == (240, 300)
    with pytest.raises(InputError, match=r"page.png#3 does not exist: the file has 1 page"):
        read_luma(tmp_path / "page.png#3")


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png"])
def test_of_an_animation_the_first_picture_is_read_and_that_is_said(tmp_path, grey, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    write_several(tmp_path / name, [grey, grey.rotate(180)], **options)
    ((path, note),) = list_pages(tmp_path / name)
    assert path == tmp_path / name
    assert note == f"{path}: only the first of its pictures is read"
    np.testing.assert_array_equal(read_luma(path), luma_of(grey))


def test_a_file_of_one_picture_is_one_page(tmp_path, grey):
    for name in ("a.jpg", "a.png", "a.gif", "a.webp", "a.tif"):
        grey.save(tmp_path / name)
        assert list_pages(tmp_path / name) == [(tmp_path / name, None)]


# --- PDF files, and pictures of phones ---


def test_each_page_of_a_pdf_is_read(tmp_path, grey):
    pytest.importorskip("pypdfium2")
    file = tmp_path / "report.pdf"
    write_several(file, [grey, grey.rotate(180)], resolution=72)
    pages = [read_luma(page.path) for page in list_pages(file)]
    assert [page.shape for page in pages] == [(1920, 2400)] * 2
    for page, picture in zip(pages, (grey, grey.rotate(180)), strict=True):
        small = cv2.resize(page, (300, 240), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - luma_of(picture)).mean() < 3
    grey.save(file, resolution=1)  # A sheet of 7.6 metres: the size is stated, and not the page's.
    assert read_luma(file).shape == (1920, 2400)


def test_a_pdf_that_takes_for_ever_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("pypdfium2")
    monkeypatch.setattr(pdf, "SECONDS", 2)
    # Forms that draw the next one twelve times, nine deep: 5 thousand million lines.
    levels = 9
    bodies = [b"/F Do " * 12] * (levels - 1) + [b"0 0 m 9 9 l S "]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
        b"/Resources << /XObject << /F 5 0 R >> >> >>",
        b"<< /Length 6 >>\nstream\n/F Do \nendstream",
    ]
    for number, body in enumerate(bodies, start=6):
        head = b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] "
        head += b"/Resources << /XObject << /F %d 0 R >> >> /Length %d" % (number, len(body))
        objects.append(b"<< %s >>\nstream\n%s\nendstream" % (head, body))
    numbered = enumerate(objects, start=1)
    content = b"".join(b"%d 0 obj\n%s\nendobj\n" % one for one in numbered)
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.7\n" + content + b"trailer << /Root 1 0 R >>")
    with pytest.raises(InputError, match=r"page.pdf takes more than 2 s to render: expected"):
        read_luma(tmp_path / "page.pdf")


def test_a_heic_picture_is_read(tmp_path, grey):
    pytest.importorskip("pillow_heif").register_heif_opener()
    grey.save(tmp_path / "IMG_0001.HEIC", quality=90)
    assert list_pages(tmp_path / "IMG_0001.HEIC") == [(tmp_path / "IMG_0001.HEIC", None)]
    assert np.abs(read_luma(tmp_path / "IMG_0001.HEIC") - luma_of(grey)).mean() < 3


@pytest.mark.parametrize(
    ("begin", "package"),
    [(b"%PDF-1.7\n", "pypdfium2"), (b"\0\0\0\x24ftypheic" + bytes(24), "pillow-heif")],
)
def test_without_the_package_a_sentence_names_it(tmp_path, monkeypatch, begin, package):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    (tmp_path / "page").write_bytes(begin)
    for read in (list_pages, read_luma):
        with pytest.raises(InputError, match=rf"page is a .* package {package}: pip install"):
            read(tmp_path / "page")


# --- Damaged files ---


def test_a_damaged_fax_is_refused_and_nothing_is_printed(tmp_path, capfd):
    noise = np.random.default_rng(1).random((400, 400)) > 0.1
    Image.fromarray(noise).save(tmp_path / "fax.tif", compression="group4")
    assert read_luma(tmp_path / "fax.tif").shape == (400, 400)
    content = bytearray((tmp_path / "fax.tif").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(range(100, 140))
    (tmp_path / "fax.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"fax.tif is damaged, its decoder says: Fax4Decode: "):
        read_luma(tmp_path / "fax.tif")
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_whose_decoder_warns_is_refused_and_nothing_is_printed(tmp_path, capfd, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = np.random.default_rng(1).integers(0, 256, (400, 400), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "page.jpg", exif=exif)
    assert read_luma(tmp_path / "page.jpg").shape == (400, 400)
    content = bytearray((tmp_path / "page.jpg").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    (tmp_path / "page.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"page.jpg is damaged, its decoder says: Corrupt JPEG"):
        read_luma(tmp_path / "page.jpg")
    assert capfd.readouterr().err == ""


def test_stray_bytes_in_a_jpeg_s_header_are_no_damage(tmp_path, grey):
    grey.save(tmp_path / "page.jpg")
    content = (tmp_path / "page.jpg").read_bytes()
    quantization = content.index(b"\xff\xdb")
    (tmp_path / "page.jpg").write_bytes(content[:quantization] + b"\0" + content[quantization:])
    assert np.abs(read_luma(tmp_path / "page.jpg") - luma_of(grey)).mean() < 2


def test_a_jpeg_is_read_without_a_standard_error(tmp_path, grey):
    grey.save(tmp_path / "page.jpg")
    code = f"""
import os
from ecg_lib.pages.image import read_luma
os.close(2)
print(read_luma({str(tmp_path / "page.jpg")!r}).shape)
try:
    os.fstat(2)
except OSError:
    print("still closed")
"""
    printed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8")
    assert printed.stdout == "(240, 300)\nstill closed\n"


def write_nothing(path):
    path.write_bytes(b"")


def write_text(path):
    path.write_bytes(b"not a picture")


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


def write_tall(path):
    Image.new("L", (200, 200 * MAX_ASPECT + 1)).save(path, "PNG")


def write_endless(path):
    with path.open("wb") as file:
        file.truncate(2**30 + 1)


def write_cut_pdf(path):
    Image.new("L", (400, 400)).save(path, "PDF")
    path.write_bytes(path.read_bytes()[:300])


def write_cut_heic(path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    noise = np.random.default_rng(1).integers(0, 256, (400, 400), dtype=np.uint8)
    Image.fromarray(noise).save(path, "HEIF")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_many_pages(path):
    write_several(path, [Image.new("1", (200, 200))] * 4, format="TIFF")


def write_pipe(path):
    os.mkfifo(path)


def write_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_nothing, "the file is empty"),
        (write_text, "expected a JPEG, PNG, TIFF"),
        (write_postscript, "expected a JPEG, PNG, TIFF"),
        (write_half_a_page, "cut off"),
        (write_cut_pdf, "cut off"),
        (write_cut_heic, "cut off"),
        (write_thumbnail, "64x64 pixels"),
        (write_giant, "20000x6000 pixels"),
        (write_tall, "200x4001 pixels"),
        (write_endless, "1,073,741,825 bytes"),
        (write_many_pages, "pages: expected"),
        (write_pipe, "is not a file"),
        (write_device, "is not a file"),
        (lambda path: None, "is not a file"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(tmp_path, monkeypatch, write, words):
    monkeypatch.setattr(page_image, "MAX_PAGES", 3)
    path = tmp_path / "bad.jpg"
    write(path)
    for read in (list_pages, read_luma):
        with pytest.raises(InputError) as caught:
            (page,) = read(path)
            read_luma(page.path)
        assert "bad.jpg" in str(caught.value)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_large_page_is_halved(tmp_path, grey, monkeypatch):
    monkeypatch.setattr(page_image, "HALVED_ABOVE", 20_000)
    grey.resize((600, 480), Image.NEAREST).save(tmp_path / "page.png")
    assert read_luma(tmp_path / "page.png").shape == (120, 150)


# --- Files that others had trouble with ---


@pytest.mark.real
def test_a_damaged_page_is_refused_and_the_intact_one_is_read(cases):
    folder = cases / "25_page_damaged"
    assert detect(read_luma(folder / "intact.jpg")).layout
    with pytest.raises(InputError, match=r"damaged.jpg is damaged, its decoder says"):
        read_luma(folder / "damaged.jpg")


@pytest.mark.real
def test_twelve_bits_in_sixteen_are_the_page_of_eight(cases):
    deep = read_luma(cases / "26_page_12_bits_in_16" / "page.png")
    np.testing.assert_array_equal(deep, read_luma(cases / "24_page_smaller" / "page.png"))


@pytest.mark.real
def test_both_pages_of_a_fax_are_read(cases):
    pages = list_pages(cases / "27_two_pages_in_a_tiff" / "fax.tif")
    assert [page.path.name for page in pages] == ["fax.tif#1", "fax.tif#2"]
    assert all(detect(read_luma(page.path)).layout for page in pages)
