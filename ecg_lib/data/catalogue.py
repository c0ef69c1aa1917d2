"""Find the pages in a folder tree and say what each of them is."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd

from ecg_lib.data.classes import CLASSES, class_of_folder
from ecg_lib.data.khan2021 import published_files
from ecg_lib.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")


# What lies beside pages without being meant as one: a page's truth, notes, a system's litter.
_BESIDE_PAGES = (".json", ".csv", ".txt", ".md", ".db", ".ini")


UNKNOWN = "sha256:"
"""How the page_id of a page begins whose file is not a published one. Such a page is looked at when
it is prepared: it may be a published one that was saved again, see `ecg_lib.data.identity`."""


def find_pages(folder):
    """Catalogue the pages of a folder tree with one folder a class.

    The nearest folder above a file with a known class name gives its class. The published pages
    are recognised by their bytes, whatever they are called, and bring their page_id, group and
    layout along; any other page is its own group, until it is looked at (see `UNKNOWN`).

    Args:
        folder: the folder that holds the class folders, at any depth.

    Returns:
        `(pages, bad)`, two DataFrames in the order of file names. `pages` has a row a file: file
        (relative to `folder`), class, page_id, group, layout (None if not known yet), sha256.
        `bad` has a row a file that cannot be a page: file, reason.

    Raises:
        InputError: if there is no such folder, or no page in any folder with a known class name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: expected a folder with one folder a class")
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(partial(_look_at, folder), page_files(folder)))
    found = pd.DataFrame(rows, columns=["file", "class", "sha256", "reason"])
    good = found["reason"].isna()
    if not good.any():
        raise InputError(_no_pages(folder, found))
    return _identify(found[good]), found.loc[~good, ["file", "reason"]].reset_index(drop=True)


def page_files(folder):
    """The files of a folder tree that are meant as pages, in the order of their names.

    Hidden files are not, nor what lies beside pages: a page's truth, notes, a system's litter.
    What cannot be read, such as a folder that is closed to the user, is one of them: whoever reads
    it says so.

    Args:
        folder: a `Path`.
    """
    return sorted(path for path in _below(folder) if _could_be_page(path, folder))


def conflicts(pages):
    """The files whose page is filed under another class as well, on disk or as published.

    Args:
        pages: DataFrame with page_id and class, a row a file.

    Returns:
        The rows of `pages` in question, those of one page next to each other.
    """
    filed = pd.concat([published_files(), pages])[["page_id", "class"]]
    classes = filed.groupby("page_id")["class"].nunique()
    contradicted = pages[pages["page_id"].map(classes) > 1]
    return contradicted.sort_values("page_id", kind="stable")


def _below(folder):
    """The files of a folder tree, linked folders included, and the folders that are closed."""
    closed = []
    for here, folders, files in os.walk(folder, onerror=closed.append, followlinks=True):
        here = Path(here)
        # A link to a folder that it lies in leads round and round.
        above = {path.resolve() for path in (here, *here.parents)}
        folders[:] = [name for name in folders if (here / name).resolve() not in above]
        yield from (here / name for name in files)
    yield from (Path(error.filename) for error in closed)


def _could_be_page(path, folder):
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() not in _BESIDE_PAGES


def _class_of(path, folder):
    names = path.relative_to(folder).parts[:-1]
    found = [name for name in map(class_of_folder, reversed(names)) if name]
    # A user may point at one class folder, or at a folder of it.
    return next(iter(found), None) or class_of_folder(folder.name)


def _look_at(folder, path):
    """A file's row: name, class, digest of its bytes, reason why it cannot be a page, or None."""
    class_name = _class_of(path, folder)
    digest = None
    try:
        reason = _fault(path, class_name)
        if reason is None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
    return as_utf_8(path.relative_to(folder).as_posix()), class_name, digest, reason


def _fault(path, class_name):
    if path.is_dir():
        return "the folder cannot be opened"
    if not path.exists():
        return "a link that leads to no file"
    if class_name is None:
        return "in no folder with a known class name"
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return f"not an image file: expected one of {', '.join(IMAGE_SUFFIXES)}"
    if str(path) != as_utf_8(str(path)):
        return "its name cannot be written down: expected one in UTF-8"
    if path.stat().st_size == 0:
        return "the file is empty"
    return None


def as_utf_8(name):
    """A file's name, with what no table can hold spelled out, such as `\\udce9` for a byte E9."""
    return name.encode(errors="backslashreplace").decode()


def _no_pages(folder, bad):
    if bad.empty:
        return f"{folder} holds no files: expected a folder with one folder of pages a class"
    of_class = bad.dropna(subset="class")
    if len(of_class):
        file, reason = of_class[["file", "reason"]].iloc[0]
        return f"{folder} holds no page that can be used; the first: {folder}/{file}: {reason}"
    valid = f"{', '.join(CLASSES)}, the short names normal hb mi pmi covid, or the published ones"
    return f"{folder} holds no page in a folder with a known class name: expected {valid}"


def _identify(pages):
    """Add what is known of each page; a page that nothing is known of stands for itself."""
    known = published_files().drop_duplicates("sha256")
    pages = pages.merge(known[["sha256", "page_id", "group", "layout"]], "left", on="sha256")
    pages["page_id"] = pages["page_id"].fillna(UNKNOWN + pages["sha256"].str[:16])
    pages["group"] = pages["group"].fillna(pages["page_id"])
    pages["layout"] = pages["layout"].astype(object).where(pages["layout"].notna(), None)
    return pages[["file", "class", "page_id", "group", "layout", "sha256"]]
