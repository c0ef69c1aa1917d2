"""Render the pages of a PDF file, with PDFium in a process of its own.

A PDF file may be made so that rendering it never ends, takes all memory, or crashes the renderer:
then that process is ended, and the page refused.
"""

import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ecg_lib.errors import InputError

SIDE = 2400
"""Longer side of a rendered page, in pixels: 205 dots per inch on A4, about what published pages
have. It does not depend on the size that the file states, since programs that make PDF files of
pictures state any."""

SECONDS = 30
"""Longest time for a page. A scan takes less than one second."""

_PROGRAM = Path(__file__).with_name("pdf_process.py")


def count_pdf_pages(path: Path) -> int:
    """Return the number of pages of a PDF file.

    Raises:
        InputError: if that takes too long.
        RuntimeError: if PDFium cannot read the file.
    """
    return _run(path, 0)[0]


def render_pdf_page(path: Path, number: int) -> tuple[int, np.ndarray]:
    """Render a page of a PDF file in grey levels.

    Args:
        path: the file.
        number: the page's number, from 1.

    Returns:
        The number of pages of the file, and a uint8 array `(height, width)` whose longer side is
        `SIDE`, or which is empty where there is no such page.

    Raises:
        InputError: if that takes too long.
        RuntimeError: if PDFium cannot read the file.
    """
    return _run(path, number)


def _run(path: Path, number: int) -> tuple[int, np.ndarray]:
    if find_spec("pypdfium2") is None:
        raise InputError(
            f"{path} is a PDF file, which needs the package pypdfium2: pip install pypdfium2"
        )
    # -P: the folder of the program holds modules of other names than it looks for.
    command = [sys.executable, "-P", str(_PROGRAM), str(path.absolute()), str(number), str(SIDE)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{path} takes more than {SECONDS} s to render: expected a page of fewer or simpler "
            "drawings, or a picture of it"
        ) from None
    if done.returncode < 0:
        raise RuntimeError("PDFium crashed or ran out of memory")
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    header = struct.Struct("<4I")
    pages, width, height, stride = header.unpack_from(done.stdout)
    picture = np.frombuffer(done.stdout, np.uint8, offset=header.size)
    return pages, picture.reshape(height, stride)[:, :width]
