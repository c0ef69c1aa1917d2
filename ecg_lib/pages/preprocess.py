"""From a page file to its crops: read, crop, grayscale, invert, dilate, resize."""

import warnings
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ecg_lib.errors import InputError
from ecg_lib.pages.resize import resize

PREPROCESSING_VERSION = 1
"""Raised whenever the crops of some page change, so that prepared sets are built anew."""

MIN_SIDE = 200
"""Shortest side of a page, in pixels, at which a trace can still be told from its grid."""

MAX_PIXELS = 100_000_000
"""Largest page, in pixels: a sheet at 1,000 dots an inch. More is a mistake or an attack."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""Pillow's names of the formats that are read. It knows others which are programs, such as
PostScript, and would run them."""

MIN_STROKE = 5
"""Fewest dark pixels, hanging together, that are taken for ink; the dots of a grid have one."""

_NEIGHBOURS = np.ones((3, 3), np.uint8)

# glibc gives the memory of each page back to the system and asks for it again, until a piece as
# large as this was freed once. Nothing is written to it; a page takes a tenth less time.
np.empty(2**24, np.uint8)


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


def crop_leads(luma, boxes, image_size=64, image_width=0, ink_only=False):
    """Cut the leads out of a page and make them the models' input.

    Each crop is cut out, inverted (ink bright on black), dilated with a 3x3 maximum, so that a
    thin trace survives, and resized with Pillow's bicubic filter. The result equals Pillow's own
    operations to the byte. A box that reaches over the page's edge is filled up with black paper,
    as Pillow does it.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.
        boxes: `Box`es in page pixels, one a crop.
        image_size: height of a crop, in pixels.
        image_width: width of a crop, in pixels; 0 for as wide as tall.
        ink_only: whether paper and grid are removed first, see `keep_ink`.

    Returns:
        uint8 array `(len(boxes), height, width)`, ink bright on black.

    Reference:
        The order of the steps is that of the published experiment
        (github.com/prantik-paul-99/Heart-Condition-Classifier-from-ECG-images).
    """
    if ink_only:
        luma = keep_ink(luma)
    # Eroding and then inverting is inverting and then dilating, with one copy less.
    crops = [255 - cv2.erode(_cut(luma, box), _NEIGHBOURS) for box in boxes]
    return resize(crops, image_size, image_width or image_size)


def keep_ink(luma):
    """Turn paper and grid white, so that the trace, the letters and the separators are left.

    Otsu's threshold parts the dark pixels from the paper and a light grid; taken once more among
    the dark pixels, it parts the trace from a grid of dark dots, as most of the published pages
    have it. Of the dark pixels those stay, with their grey levels, that hang together with one
    of the darkest and are at least `MIN_STROKE`: so a hairline stays whole where scanning made
    it lighter, and the dots go.

    Args:
        luma: uint8 array `(height, width)`, a page in grey levels.

    Returns:
        uint8 array of the same shape.

    Reference:
        Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62-66.
    """
    _, dark = cv2.threshold(luma, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    _, strokes = cv2.connectedComponents(dark)
    # The dark pixels are a twentieth of the page, so they alone are looked at from here on.
    places = np.flatnonzero(dark.view(bool))
    levels, stroke_of = luma.ravel()[places], strokes.ravel()[places]
    threshold, _ = cv2.threshold(levels[np.newaxis], 0, 255, cv2.THRESH_OTSU)
    # A drawn trace may have one level only, which cannot be parted.
    darkest = levels <= max(threshold, luma.min())
    inked = np.bincount(stroke_of) >= MIN_STROKE
    inked &= np.bincount(stroke_of, weights=darkest) > 0
    kept = np.full_like(luma, 255)
    np.put(kept, places, np.where(inked[stroke_of], levels, 255))
    return kept


def _cut(luma, box):
    """What lies in a box: a view of the page, unless the box reaches over the page's edge."""
    left, top, right, bottom = box
    height, width = luma.shape
    if min(left, top) >= 0 and right <= width and bottom <= height:
        return luma[top:bottom, left:right]
    return np.asarray(Image.fromarray(luma).crop(box))
