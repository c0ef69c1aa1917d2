"""Read a page file and find its leads."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from ecg_lib.errors import InputError, PageRefused
from ecg_lib.pages.detection import Detection, detect
from ecg_lib.pages.image import read_luma

CANNOT_COMPUTE = (cv2.error, np.linalg.LinAlgError, MemoryError)
"""What an odd page may raise where it is computed on, beyond a refusal."""


def find_leads(page: Path) -> tuple[np.ndarray, Detection]:
    """Read a page and find its leads.

    Args:
        page: a file or a page of a file, as `ecg_lib.pages.image.list_pages` names them.

    Returns:
        The page as `read_luma` reads it, and its `Detection`.

    Raises:
        InputError: if the page cannot be read or is refused: the message names the page.
    """
    with odd_pages_refused(page):
        luma = read_luma(page)
        return luma, detect(luma)


@contextmanager
def odd_pages_refused(page: Path) -> Iterator[None]:
    """Let what cannot be computed on an odd page be a reason to refuse it, which names the page.

    Raises:
        InputError: if the page is refused, or nothing can be computed.
    """
    try:
        yield
    except PageRefused as refused:
        raise InputError(f"{page}: {refused}") from None
    except CANNOT_COMPUTE as error:
        raise InputError(
            f"{page} cannot be read: {' '.join(str(error).split()) or 'memory ran out'}"
        ) from None
