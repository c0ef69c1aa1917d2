"""Find the pages in a folder tree and say what each of them is."""

import hashlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ecg_lib.data.classes import CLASSES, class_of_folder, denies_class
from ecg_lib.data.khan2021 import published_classes, published_files
from ecg_lib.errors import InputError
from ecg_lib.files import sha256
from ecg_lib.pages.image import PAGE_SUFFIXES, list_pages
from ecg_lib.text import as_utf_8

if TYPE_CHECKING:
    import pandas as pd

# What lies beside pages and is none: a page's truth, notes, files of the operating system.
_BESIDE_PAGES = (".json", ".csv", ".txt", ".md", ".db", ".ini")

UNKNOWN = "sha256:"
"""Beginning of the page_id of a page whose file is not a published one. Such a page is compared
with the published ones when it is prepared: it may be a copy, see `ecg_lib.data.identity`."""

_NO_CLASS = (
    "in no folder with a known class name; a folder called not, negative, other or the like is not "
    "of the class of the folder above it"
)

_logger = logging.getLogger(__name__)


def find_pages(folder: str | Path) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Catalogue the pages of a folder tree with one folder per class.

    The nearest folder above a file with a known class name gives its class, unless a folder in
    between denies it, such as `covid/negative`. Published pages are recognised by their bytes,
    whatever their files and folders are called, and bring their page_id, group and layout along,
    and their class where no folder gives one; any other page is its own group, until it is prepared
    (see `UNKNOWN`).

    Args:
        folder: the folder that holds the class folders, at any depth.

    Returns:
        `(pages, bad)`, two DataFrames in the order of file names. `pages` has one row per page:
        file (relative to `folder`; in a file of several pages with the page's number, such as
        `normal/fax.tif#2`), class, page_id, group, layout (None if not known yet), sha256 (of the
        file, or of its digest and the page's number). `bad` has one row per file that cannot be a
        page: file, reason.

    Raises:
        InputError: if there is no such folder, or no page in any folder with a known class name.
    """
    import pandas as pd  # Here, since answering for a page needs no table.

    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: expected a folder with one folder per class")
    with ThreadPoolExecutor() as pool:
        of_files = pool.map(partial(_rows, folder), page_files(folder))
        rows = list(chain.from_iterable(of_files))
    found = pd.DataFrame(rows, columns=["file", "class", "sha256", "reason"])
    good = found["reason"].isna()
    if not good.any():
        raise InputError(_no_pages(folder, found))
    return _identify(found[good]), found.loc[~good, ["file", "reason"]].reset_index(drop=True)


def page_files(folder: Path) -> list[Path]:
    """List the files of a folder tree that are meant as pages, in the order of their names.

    Hidden files are not, nor what lies beside pages: a page's truth, notes, a system's files. What
    cannot be read, such as a folder without permission, is in the list: reading it gives the
    reason.
    """
    return sorted(path for path in _below(folder) if _could_be_page(path, folder))


def conflicts(pages: "pd.DataFrame") -> "pd.DataFrame":
    """Find the files whose page is filed under another class as well, on disk or as published.

    Args:
        pages: DataFrame with page_id and class, one row per file.

    Returns:
        The rows of `pages` in question, those of one page next to each other.
    """
    import pandas as pd  # As in `find_pages`.

    filed = pd.concat([published_files(), pages])[["page_id", "class"]]
    classes = filed.groupby("page_id")["class"].nunique()
    contradicted = pages[pages["page_id"].map(classes) > 1]
    return contradicted.sort_values("page_id", kind="stable")


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder tree, linked folders included, and folders that are closed."""
    root = folder.resolve()
    todo = [(str(folder), frozenset(map(_identity, (root, *root.parents))))]
    while todo:
        here, above = todo.pop()
        try:
            with os.scandir(here) as entries:
                content = list(entries)
        except OSError:
            yield Path(here)
            continue
        for entry in content:
            if not entry.is_dir():
                yield Path(entry.path)
            # A link to a folder that it lies in would never end.
            elif (identity := _identity(entry.path)) not in above:
                todo.append((entry.path, above | {identity}))


def _identity(folder):
    """What tells a folder from all others, whatever links lead to it."""
    status = Path(folder).stat()
    return status.st_dev, status.st_ino


def _could_be_page(path, folder):
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() not in _BESIDE_PAGES


def _class_of(path, folder, digest):
    for name in reversed(path.relative_to(folder).parts[:-1]):
        if class_name := class_of_folder(name):
            return class_name
        if denies_class(name):
            return None
    # The folder itself may be that of a class.
    return class_of_folder(folder.name) or _published_class(path, digest)


def _published_class(path, digest):
    if path.suffix.lower() not in PAGE_SUFFIXES or not path.is_file():
        return None
    return published_classes().get(digest())


def _rows(folder, path):
    """Rows of a file's pages: name, class, digest, and None or the reason why it is no page."""
    name, class_name = as_utf_8(path.relative_to(folder).as_posix()), None
    digest = cache(partial(sha256, path))  # Needed for the class as well where no folder gives it.
    try:
        class_name = _class_of(path, folder, digest)
        fault = _fault(path, class_name)
        if fault is not None:
            return [(name, class_name, None, fault)]
        pages, digest_of_file = list_pages(path), digest()
    except InputError as error:
        return [(name, class_name, None, str(error))]
    except OSError as error:
        return [(name, class_name, None, f"the file cannot be read: {error.strerror}")]
    for page in pages:
        if page.note:
            _logger.warning("%s", page.note)
    if len(pages) == 1:
        return [(name, class_name, digest_of_file, None)]
    return [
        (
            page.path.relative_to(folder).as_posix(),
            class_name,
            _digest_of_page(digest_of_file, page),
            None,
        )
        for page in pages
    ]


def _digest_of_page(digest, page):
    number = page.path.name.rpartition("#")[-1]
    return hashlib.sha256(f"{digest}#{number}".encode()).hexdigest()


def _fault(path, class_name):
    if path.is_dir():
        return "the folder cannot be opened"
    if not path.exists():
        return "a link that leads to no file"
    if not path.is_file():
        return "not a regular file but a pipe, a device or the like"
    if class_name is None:
        return _NO_CLASS
    if path.suffix.lower() not in PAGE_SUFFIXES:
        return f"not a page file: expected one of {', '.join(PAGE_SUFFIXES)}"
    if path.stat().st_size == 0:
        return "the file is empty"
    if str(path) != as_utf_8(str(path)):
        return "its name cannot be written down: expected one in UTF-8"
    return None


def _no_pages(folder, bad):
    if bad.empty:
        return f"{folder} holds no files: expected a folder with one folder of pages per class"
    of_class = bad.dropna(subset="class")
    if len(of_class):
        file, reason = of_class[["file", "reason"]].iloc[0]
        return f"{folder} holds no page that can be used; the first: {folder}/{file}: {reason}"
    valid = f"{', '.join(CLASSES)}, the short names normal hb mi pmi covid, or the published ones"
    return f"{folder} holds no page in a folder with a known class name: expected {valid}"


def _identify(pages):
    """Add what is known about each page; a page of which nothing is known is its own group."""
    known = published_files().drop_duplicates("sha256")
    pages = pages.merge(known[["sha256", "page_id", "group", "layout"]], "left", on="sha256")
    pages["page_id"] = pages["page_id"].fillna(UNKNOWN + pages["sha256"].str[:16])
    pages["group"] = pages["group"].fillna(pages["page_id"])
    pages["layout"] = pages["layout"].astype(object).where(pages["layout"].notna(), None)
    return pages[["file", "class", "page_id", "group", "layout", "sha256"]]
