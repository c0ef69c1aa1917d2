"""Render the pages of a PDF file, with PDFium."""

import threading
from pathlib import Path

import numpy as np

from ecg_lib.errors import InputError

SIDE = 2400
"""Longer side of a rendered page, in pixels: 205 dots per inch on A4, about what published pages
have. It does not depend on the size that the file states, since programs that make PDF files of
pictures state any."""

_ONE_AT_A_TIME = threading.Lock()  # PDFium may not be used by two threads at once.


def count_pdf_pages(path: Path) -> int:
    """Number of pages of a PDF file."""
    with _ONE_AT_A_TIME, _pdfium(path).PdfDocument(path) as document:
        return len(document)


def render_pdf_page(path: Path, number: int) -> np.ndarray:
    """Render a page of a PDF file in grey levels.

    Args:
        path: the file.
        number: the page's number, from 1.

    Returns:
        uint8 array `(height, width)`; the longer side is `SIDE`.
    """
    with _ONE_AT_A_TIME, _pdfium(path).PdfDocument(path) as document:
        page = document[number - 1]
        bitmap = page.render(scale=SIDE / max(page.get_size()), grayscale=True)
        return bitmap.to_numpy().copy()


def _pdfium(path):
    try:
        import pypdfium2
    except ModuleNotFoundError:
        raise InputError(
            f"{path} is a PDF file, which needs the package pypdfium2: pip install pypdfium2"
        ) from None
    return pypdfium2
