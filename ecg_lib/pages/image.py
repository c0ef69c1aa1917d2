"""Read page files: pictures, PDF files, and files of several pages.

A page is named by its file's path; in a file of several pages, by the path and the page's number,
such as `fax.tif#2`. `list_pages` gives these names, and `read_luma` reads a page by its name.
"""

import errno
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ecg_lib.errors import InputError
from ecg_lib.pages.jpeg import decode_jpeg
from ecg_lib.pages.messages import collected, pass_on
from ecg_lib.pages.pdf import count_pdf_pages, render_pdf_page

MIN_SIDE = 200
"""Shortest side of a page, in pixels, at which a trace can still be told from its grid."""

MAX_PIXELS = 100_000_000
"""Largest page, in pixels: a sheet at 1,000 dots per inch. More is a mistake or an attack."""

MAX_ASPECT = 20
"""Largest ratio of a page's sides: a strip of two minutes, 5 cm tall. Detection reduces a page by
its longer side, and OpenCV takes no side above 32,767 pixels."""

MAX_BYTES = 2**30
"""Largest file. An uncompressed picture of `MAX_PIXELS`, 16 bits in three colours, has 600 MB."""

MAX_PAGES = 1000
"""Largest number of pages of one file."""

HALVED_ABOVE = 25_000_000
"""Pages of more pixels are halved: an A4 sheet at 500 dots per inch has as many, ten times as many
as are needed, and the time and memory of everything that follows grow with them."""

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. It knows others which are programs, such as
PostScript, and would run them."""

PAGE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".heic",
    ".heif",
    ".pdf",
)
"""Endings of page files' names, in lower case. The format is recognised by a file's content."""

_OF_DECODERS = re.compile(
    rb"^(?:\w*Decode\w*: |tempfile\.tif: |TIFF\w*: |libpng |\[ ?(?:WARN|ERROR):).*\n*", re.MULTILINE
)
"""How lines begin that libtiff, libpng and OpenCV print."""

_FAX_DAMAGE = re.compile(rb"^Fax\w+: (?:Bad code word|Uncompressed data)[^(\n]*\b", re.MULTILINE)
"""libtiff continues a fax after these with wrong pixels. After others it fails, or all is well."""

_NUMBERED = re.compile(r"(?P<file>.+)#(?P<number>[1-9][0-9]{0,5})", re.DOTALL)

_MAY_HOLD_SEVERAL = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"\x89PNG", b"RIFF")
"""How TIFF, GIF, PNG and WebP files begin. What else a JPEG holds is a preview of it."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What a HEIF file states to be, of ISO/IEC 23008-12."""

_SUBFILE_TYPE, _PHOTOMETRIC = 254, 262
"""Numbers of two TIFF tags."""

_NO_PAGE_OF_ITS_OWN = 0b101
"""Bits of the subfile type: a reduced version of another page, and its mask."""

_WHITE_IS_ZERO = 0
"""Value of the photometric interpretation. Pillow heeds it in pictures of up to 8 bits only."""

_ROWS = 1024
"""Deep levels are converted so many rows at a time, since floats take four times the memory."""


class PageName(NamedTuple):
    """What one page of a file is called.

    Attributes:
        path: the name that `read_luma` takes.
        note: one sentence about what of the file is not read, or None.
    """

    path: Path
    note: str | None = None


def list_pages(path: str | Path) -> list[PageName]:
    """Name the pages of a file.

    Of an animation, and of a HEIF file with several pictures, one picture is read; of a TIFF file,
    reduced versions of its pages are left out. A file of an unknown kind has one name: reading it
    gives the reason why it is no page.

    Args:
        path: the file, or a page in it such as `fax.tif#2`.

    Returns:
        A list of `PageName`, at least one. A file with a single page has the file's own path.

    Raises:
        InputError: if the file is missing, empty or damaged, has more than `MAX_PAGES`, or if a
            package that reads it is missing.

    Example:
        >>> [str(page.path) for page in list_pages("fax.tif")]
        ['fax.tif#1', 'fax.tif#2']
    """
    path = Path(path)
    file, number = _split_name(path)
    if number is not None:
        return [PageName(path)]
    with _checked(file, file) as begin:
        if _is_pdf(begin):
            return _numbered(file, count_pdf_pages(file))
        if not (begin.startswith(_MAY_HOLD_SEVERAL) or _is_heif(begin)):
            return [PageName(file)]
        with _opened(file, begin) as image:
            if image.format == "TIFF":
                return _numbered(file, len(_tiff_pages(image)))
            animated = getattr(image, "is_animated", False)
            which = "main" if image.format == "HEIF" else "first"
            note = f"{file}: only the {which} of its pictures is read" if animated else None
            return [PageName(file, note)]


def file_of(page: str | Path) -> Path:
    """Return the file that a page lies in, such as `fax.tif` for `fax.tif#2`."""
    return _split_name(Path(page))[0]


def read_luma(path: str | Path) -> np.ndarray:
    """Read a page as grey levels.

    A JPEG's luma is decoded alone, which takes less than half the time of decoding its colours.
    It differs from Pillow's conversion of the decoded colours by up to 17 grey levels on the
    published pages, where colours were clipped. Colour, palette, CMYK and transparent pages are
    converted; transparent parts become white. Levels of more than 8 bits are brought to the range
    that the page uses. A page of more than `HALVED_ABOVE` pixels is reduced to half its size, until
    it has no more.

    Args:
        path: the page's file, or a page of it such as `fax.tif#2`.

    Returns:
        uint8 array `(height, width)`, 0 (black) to 255 (white).

    Raises:
        InputError: if the file is missing, empty, damaged, no page file, of an absurd size, or
            holds several pages and none is named; or if a package that reads it is missing.
    """
    path = Path(path)
    file, number = _split_name(path)
    with _checked(path, file) as begin:
        if _is_pdf(begin):
            pages, luma = render_pdf_page(file, number or 1)
            _check_number(path, number, pages)
            _check_size(path, luma.shape[::-1])
        else:
            with _opened(file, begin) as image:
                _turn_to(image, path, number)
                _check_size(path, image.size)
                luma = _decode(path, file, image)
    while luma.size > HALVED_ABOVE:
        luma = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return luma


def read_exchanged_grey(path: str | Path) -> np.ndarray:
    """Read a page as the grey levels of the published experiment.

    The experiment exchanges red and blue before it makes its crops grey, so that blue weighs
    0.299, green 0.587 and red 0.114.

    Args:
        path: the image file.

    Returns:
        uint8 array `(height, width)`, 0 (black) to 255 (white).

    Raises:
        InputError: as `read_luma`.

    Reference:
        github.com/prantik-paul-99/Heart-Condition-Classifier-from-ECG-images
    """
    path = Path(path)
    with _checked(path, path) as begin, _opened(path, begin) as image:
        _check_size(path, image.size)
        red, green, blue = image.convert("RGB").split()
        return np.asarray(Image.merge("RGB", (blue, green, red)).convert("L"))


def _split_name(path):
    """The file and the number, or None, that a page's name consists of."""
    found = _NUMBERED.fullmatch(str(path))
    if found and not path.exists() and Path(found["file"]).is_file():
        return Path(found["file"]), int(found["number"])
    return path, None


def _numbered(file, pages):
    if pages > MAX_PAGES:
        raise InputError(f"{file} has {pages:,} pages: expected at most {MAX_PAGES:,}")
    if pages == 1:
        return [PageName(file)]
    return [PageName(file.with_name(f"{file.name}#{number}")) for number in range(1, pages + 1)]


def _check_number(path, number, pages):
    if pages == 0:
        raise InputError(f"{path} holds no page")
    if number is None and pages > 1:
        raise InputError(f"{path} has {pages:,} pages: expected one of them, such as {path}#1")
    if number is not None and number > pages:
        raise InputError(f"{path} does not exist: the file has {pages:,} pages")


def _check_size(path, size):
    width, height = size
    if min(size) < MIN_SIDE or width * height > MAX_PIXELS or max(size) > MAX_ASPECT * min(size):
        raise InputError(
            f"{path} is {width}x{height} pixels: expected a page of at least {MIN_SIDE} pixels "
            f"a side, at most {MAX_ASPECT} times as long as wide and at most {MAX_PIXELS:,} "
            f"pixels in all"
        )


@contextmanager
def _checked(path: Path, file: Path) -> Iterator[bytes]:
    """Refuse what is no page file, and turn decoders' errors into an `InputError`.

    Args:
        path: the page's name, for messages.
        file: the page's file.

    Yields:
        The first bytes of the file.
    """
    # Anything else, such as a pipe or a device, may never end: it is not even opened.
    if not file.is_file():
        raise InputError(f"{path} is not a file: expected a page, an image or PDF file")
    try:
        size = file.stat().st_size
        if size == 0:
            raise InputError(f"{path} is not a page: the file is empty")
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size:,} bytes: expected at most {MAX_BYTES:,}")
        with file.open("rb") as opened:
            begin = opened.read(1024)
        yield begin
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not an image that can be read: expected a JPEG, PNG, TIFF, BMP, GIF, "
            f"WebP, HEIC or PDF page"
        ) from None
    except _DECODERS_RAISE as error:
        if is_out_of_memory(error):
            raise MemoryError from None
        if isinstance(error, OSError) and error.strerror:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be decoded, it is damaged or cut off: {reason}") from None


_DECODERS_RAISE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    TypeError,  # Pillow, on damaged tags
    RuntimeError,  # PDFium and libheif
    cv2.error,
    Image.DecompressionBombError,
)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out, for which no page is to blame."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


@contextmanager
def _opened(file: Path, begin: bytes) -> Iterator[Image.Image]:
    """Open a picture with Pillow."""
    formats = FORMATS
    if _is_heif(begin):
        _register_heif(file)
        formats = ("HEIF",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What matters is an error, or checked here.
        with Image.open(file, formats=formats) as image:
            yield image


def _is_pdf(begin):
    # Programs that read PDF files look for this mark in the first 1,024 bytes.
    return b"%PDF-" in begin


def _is_heif(begin):
    return begin[4:8] == b"ftyp" and begin[8:12] in _HEIF_BRANDS


def _register_heif(file):
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise InputError(
            f"{file} is a HEIC file, which needs the package pillow-heif: pip install pillow-heif"
        ) from None
    pillow_heif.register_heif_opener()


def _tiff_pages(image):
    """Places of a TIFF file's pages among its frames."""
    pages = []
    for place in range(MAX_PAGES + 1):
        try:
            image.seek(place)
        except EOFError:
            break
        if not image.tag_v2.get(_SUBFILE_TYPE, 0) & _NO_PAGE_OF_ITS_OWN:
            pages.append(place)
    return pages


def _turn_to(image, path, number):
    """Turn to a page of a picture file; number is None where the name holds none."""
    pages = _tiff_pages(image) if image.format == "TIFF" else None
    _check_number(path, number, 1 if pages is None else len(pages))
    if pages is not None:
        image.seek(pages[(number or 1) - 1])


def _decode(path, file, image):
    if image.format in ("JPEG", "MPO"):
        luma, damage = decode_jpeg(np.fromfile(file, np.uint8))
        if damage:
            raise InputError(f"{path} is damaged, its decoder says: {damage}")
        # Pillow says more about a file that OpenCV does not decode.
        if luma is not None and image.mode in ("L", "RGB"):
            return _upright(luma, image)
    with _damage_refused(path):
        if image.mode == "RGB" and "16" in str(image.tile):
            # Pillow keeps the upper 8 of 16 bits in colour, of which few may be used.
            flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
            levels = cv2.imdecode(np.fromfile(file, np.uint8), flags)
            if levels is not None and levels.shape == image.size[::-1]:
                return _upright(_to_8_bits(levels), image)
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(_to_grey(image))


@contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    """Refuse a page of which a decoder only prints that it is damaged; let none print on its own.

    Raises:
        InputError: if the page is damaged.
    """
    printed = bytearray()
    try:
        with collected(printed):
            yield
    finally:
        pass_on(_OF_DECODERS.sub(b"", printed))
    damage = _FAX_DAMAGE.search(printed)
    if damage:
        raise InputError(f"{path} is damaged, its decoder says: {damage[0].decode()}")


def _upright(luma, image):
    """Turn a page as the metadata of its picture say."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation == 1:
        return luma
    turned = Image.fromarray(luma)
    turned.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(turned))


def _to_grey(image):
    if image.mode.startswith(("I", "F")):
        luma = _to_8_bits(np.asarray(image))
        white_is_zero = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        return 255 - luma if white_is_zero else luma
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "L" else image.convert("L")


def _to_8_bits(levels):
    """Bring levels of any depth to 0..255, by the range that the page uses.

    Files rarely state it: scanners store 10, 12 or 14 bits in 16, and floats end at 1, 255 or
    65,535. The paper is the brightest there is, and far more than a hundredth of a page, so the
    smallest full scale that holds its level is the page's own.

    Args:
        levels: array `(height, width)` of integers or floats.

    Returns:
        uint8 array of the same shape; 16 bits lose their lower 8.
    """
    sample = levels[::8, ::8].astype(float)
    sample = sample[np.isfinite(sample)]
    black = min(sample.min(initial=0), 0)
    paper = np.percentile(sample, 99) - black if sample.size else 1
    full_scale = 1 if paper <= 1 else 2 ** max(8, int(paper).bit_length())
    luma = np.empty(levels.shape, np.uint8)
    for top in range(0, len(levels), _ROWS):
        rows = levels[top : top + _ROWS].astype(np.float32)
        rows -= black
        rows *= 256 / full_scale
        np.nan_to_num(rows, copy=False, nan=255)
        luma[top : top + _ROWS] = np.clip(rows, 0, 255, out=rows)
    return luma
