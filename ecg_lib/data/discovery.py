"""Find the pages on a computer, whatever their folders are called and however they are packed.

The published pages are known by their bytes. Pages of other origin are known by the names of their
class folders.
"""

import hashlib
import logging
import lzma
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from ecg_lib.data.catalogue import page_files
from ecg_lib.data.classes import class_of_folder
from ecg_lib.data.khan2021 import published_files
from ecg_lib.data.protocols import SPLIT_OF_FOLDER
from ecg_lib.files import only_process_in, replacing, sha256
from ecg_lib.pages.image import MAX_BYTES, PAGE_SUFFIXES

PLACES = ("../input", "data", ".")
"""Where pages are looked for by default: what is attached on Kaggle, a clone's data, and here."""

UNPACKED = Path("data/unpacked")
"""Where archives of pages are unpacked."""

LOOKED_AT = 3
"""Files of a folder that are compared with the published ones: a copy has more than one of them."""

_DAMAGED = (zipfile.BadZipFile, RuntimeError, EOFError, zlib.error, lzma.LZMAError)
"""What reading an archive may raise; a RuntimeError where it is encrypted."""

_logger = logging.getLogger(__name__)

_LEFT_OUT = {"prepared", "runs", "results", "node_modules", "site-packages", "sample_data"}


def find_data(places: Iterable[str | Path] = PLACES, unpacked: Path = UNPACKED) -> Path | None:
    """Find a folder of pages: a copy of the published ones, or else any with known class names.

    Folders are preferred to archives, and earlier places to later ones. Of several copies in one
    place, the one with the most files counts. A folder of train and test folders is one copy.

    Args:
        places: folders to look in, at any depth, and archives. What is not there is passed over.
        unpacked: folder into which a ZIP archive of pages is unpacked.

    Returns:
        The folder that holds the class folders, at any depth, or None where none is found.
    """
    for place in filter(Path.exists, map(Path, places)):
        if place.is_file():
            archives = [place]
        elif found := _largest_copy(place):
            return found
        else:
            archives = [path for path in _files(place) if path.suffix.lower() == ".zip"]
        for archive in archives:
            try:
                if _holds_pages(archive) and (found := _largest_copy(_unpack(archive, unpacked))):
                    return found
            except _DAMAGED as error:
                _logger.warning("%s is passed over, it is damaged or encrypted: %s", archive, error)
    return None


def _largest_copy(place):
    """The root of the copy with the most files; published ones come first."""
    folders = _folders_with_pages(place)
    for is_page_folder in (_is_published, _is_class_folder):
        sizes = Counter()
        for folder, files in folders.items():
            if is_page_folder(folder, files):
                sizes[_root(folder, place)] += len(files)
        if sizes:
            return min(sizes, key=lambda root: (-sizes[root], str(root)))
    return None


def _root(folder, place):
    """The folder that holds the whole copy to which a class folder belongs."""
    root = folder.parent if folder != place else folder
    while root.name.lower() in SPLIT_OF_FOLDER and root != place:
        root = root.parent
    return root


def _is_published(folder, files):
    known = set(published_files()["sha256"])
    return any(sha256(file) in known for file in files[:LOOKED_AT])


def _is_class_folder(folder, files):
    return class_of_folder(folder.name) is not None


def _folders_with_pages(place):
    folders = defaultdict(list)
    for path in _files(place):
        if path.suffix.lower() in PAGE_SUFFIXES:
            folders[path.parent].append(path)
    return folders


def _files(place):
    """The files below a folder, in the order of their names, without those that programs write.

    A pipe or the like, which may never end, is none.
    """
    paths = filter(Path.is_file, page_files(place))
    return [path for path in paths if _LEFT_OUT.isdisjoint(path.relative_to(place).parts)]


def _holds_pages(archive):
    """Whether an archive holds published pages, or pages in folders with known class names."""
    if not zipfile.is_zipfile(archive):
        return False
    known = set(published_files()["sha256"])
    with zipfile.ZipFile(archive) as content:
        pages = {
            member: Path(member.filename)
            for member in content.infolist()
            if member.file_size <= MAX_BYTES
            and Path(member.filename).suffix.lower() in PAGE_SUFFIXES
        }
        if any(class_of_folder(path.parent.name) for path in pages.values()):
            return True
        for member in list(pages)[:LOOKED_AT]:
            with content.open(member) as page:
                if hashlib.file_digest(page, "sha256").hexdigest() in known:
                    return True
        return False


def _unpack(archive, unpacked):
    """Unpack an archive, unless it was before, without what no page can be; return the folder."""
    folder = unpacked / archive.stem
    if folder.exists():
        return folder
    with only_process_in(unpacked):
        if not folder.exists():
            with replacing(folder) as part, zipfile.ZipFile(archive) as content:
                part.mkdir()
                for member in content.infolist():
                    _extract(content, member, part)
    return folder


def _extract(content, member, folder):
    if member.file_size <= MAX_BYTES:
        content.extract(member, folder)
        return
    _logger.warning(
        "%s in %s is not unpacked: it has %s bytes, and a page has at most %s",
        *(member.filename, content.filename, f"{member.file_size:,}", f"{MAX_BYTES:,}"),
    )
