"""Files: locks, digests, and writing a file whole or not at all."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import ecg_lib
from ecg_lib.errors import InputError


@contextmanager
def locked(path, seconds):
    """Be the only process in this context.

    SQLite locks a file in each operating system's own way, which frees it when a process is killed.

    Args:
        path: the file to lock, which is made where it is not there.
        seconds: how long to wait for a process that is in it, `math.inf` for as long as it takes.

    Raises:
        TimeoutError: if the process did not leave it in that time.
        OSError: if the file cannot be made.
    """
    path.touch()
    end = time.monotonic() + seconds
    with closing(sqlite3.connect(path, timeout=0.5)) as connection:
        while not _lock(connection):
            if time.monotonic() > end:
                raise TimeoutError(f"{path} is locked by another process")
        yield


def _lock(connection):
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        # Some network file systems have no locks; there nobody is kept out.
        return error.sqlite_errorcode != sqlite3.SQLITE_BUSY
    return True


def code_version():
    """The package's version and a digest of its code, such as "0.1.0+3f2a9c01d4e5"."""
    root = Path(ecg_lib.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{ecg_lib.__version__}+{digest.hexdigest()[:12]}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the operating system in this context into an `InputError`.

    Args:
        path: the file or folder that is written to in this context.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


@contextmanager
def replacing(path):
    """A path to write to, whose file takes the place of `path` once it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        with suppress(OSError):  # On a full disk its space is needed.
            part.unlink(missing_ok=True)
        raise


def sha256(path):
    """Hexadecimal digest of a file, or None if there is none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
