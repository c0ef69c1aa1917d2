"""Read a page file and find its leads."""

from pathlib import Path

import numpy as np

from ecg_lib.errors import InputError, PageRefused
from ecg_lib.pages.detection import Detection, detect
from ecg_lib.pages.image import read_luma


def find_leads(page: Path) -> tuple[np.ndarray, Detection]:
    """Read a page and find its leads.

    Args:
        page: a file or a page of a file, as `ecg_lib.pages.image.list_pages` names them.

    Returns:
        The page as `read_luma` reads it, and its `Detection`.

    Raises:
        InputError: if the page cannot be read or is refused: the message names the page.
    """
    luma = read_luma(page)
    try:
        return luma, detect(luma)
    except PageRefused as refused:
        raise InputError(f"{page}: {refused}") from None
