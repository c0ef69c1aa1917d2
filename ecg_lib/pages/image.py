"""Read a page file as grey levels."""

import warnings
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ecg_lib.errors import InputError

MIN_SIDE = 200
"""Shortest side of a page, in pixels, at which a trace can still be told from its grid."""


MAX_PIXELS = 100_000_000
"""Largest page, in pixels: a sheet at 1,000 dots an inch. More is a mistake or an attack."""


FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. It knows others which are programs, such as
PostScript, and would run them."""


def read_luma(path):
    """Read a page as grey levels.

    A JPEG's luma is decoded alone, which takes less than half the time of decoding its colours.
    It differs from Pillow's conversion of the decoded colours by up to 17 grey levels on the
    published pages, where colours were clipped. Colour, palette, CMYK, 16-bit and transparent
    pages are converted; transparent parts become white.

    Args:
        path: the image file.

    Returns:
        uint8 array `(height, width)`, 0 (black) to 255 (white).

    Raises:
        InputError: if the file is not there, empty, cut off, not an image, or of an absurd size.
    """
    path = Path(path)
    with _opened(path) as image:
        luma = _upright_jpeg(path, image)
        if luma is None:
            image.draft("L", image.size)
            ImageOps.exif_transpose(image, in_place=True)
            luma = np.asarray(_to_grey(image))
        return luma


def read_exchanged_grey(path):
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
    with _opened(Path(path)) as image:
        red, green, blue = image.convert("RGB").split()
        return np.asarray(Image.merge("RGB", (blue, green, red)).convert("L"))


@contextmanager
def _opened(path):
    """Open a page's image, and turn whatever goes wrong with it into an `InputError`."""
    if not path.is_file():
        raise InputError(f"{path} is not a file: expected a page, an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                _check_size(path, image)
                yield image
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path} is not an image that can be read: {_kind(path)}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be decoded, it may be cut off: {error}") from None


def _upright_jpeg(path, image):
    """The same levels as Pillow decodes, sooner, since OpenCV decodes into the array itself.

    None where the file needs more than decoding, or is cut off, of which Pillow says more.
    """
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    if image.format != "JPEG" or image.mode not in ("L", "RGB") or turned:
        return None
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)


def _kind(path):
    return "the file is empty" if path.stat().st_size == 0 else "expected a JPEG or PNG page"


def _check_size(path, image):
    width, height = image.size
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        raise InputError(
            f"{path} is {width}x{height} pixels: expected a page of at least {MIN_SIDE} pixels "
            f"a side and at most {MAX_PIXELS:,} in all"
        )


def _to_grey(image):
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "L" else image.convert("L")
