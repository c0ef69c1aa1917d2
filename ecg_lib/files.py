"""Files: locks, digests, and writing a file whole or not at all."""

import errno
import hashlib
import math
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from filelock import FileLock

import ecg_lib
from ecg_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PART = ".part-"
"""How the name of a file begins that is not complete, see `replacing`."""

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What the system answers on a file system without locks, as some network file systems are."""

_NATIVE_ONLY: dict[str, Any] = (
    {"fallback_to_soft": False} if "fallback_to_soft" in signature(FileLock).parameters else {}
)
"""No lock by a marker file instead, which a killed process would leave behind. Older versions of
filelock do not know the option."""


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Be the only process in this context.

    The lock is the operating system's own, which frees it when the process is killed. On a file
    system without locks, other processes are not kept out.

    Args:
        path: the file to lock, which is created if it does not exist.
        seconds: how long to wait for another process, `math.inf` for as long as it takes.

    Raises:
        TimeoutError: if another process did not leave in that time.
        OSError: if the file cannot be created.
    """
    lock = FileLock(path, timeout=-1 if math.isinf(seconds) else seconds, **_NATIVE_ONLY)
    try:
        lock.acquire()
    except NotImplementedError:  # How older versions of filelock say that there are no locks.
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def only_process_in(folder: Path, seconds: float = math.inf) -> Iterator[None]:
    """Make a folder, and keep other processes that call this out of it.

    The lock is a hidden file beside the folder. What killed processes left half written in the
    folder, see `replacing`, is removed.

    Args:
        folder: the folder.
        seconds: how long to wait for another process, `math.inf` for as long as it takes.

    Raises:
        InputError: if another process did not leave in that time, or if the folder or the lock
            cannot be written.
    """
    with ExitStack() as stack:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            beside = folder.absolute()  # The current folder has no name otherwise.
            try:
                stack.enter_context(locked(beside.with_name(f".{beside.name}.lock"), seconds))
            except TimeoutError:
                raise InputError(
                    f"another process is writing to {folder}: expected it to end first"
                ) from None
            for part in list(folder.rglob(f"{PART}*")):
                _remove(part)
        yield


def refuse_other_files(folder: Path, mark: str, what: str) -> None:
    """Refuse a folder to write to that holds something else.

    Args:
        folder: the folder, which need not exist.
        mark: the file by which a folder of this kind is known.
        what: what such a folder holds, such as "a drawn set".

    Raises:
        InputError: if the folder has no such file but others, apart from hidden ones, or cannot be
            read.
    """
    with writing(folder):
        if not folder.exists():
            return
        # Of a process that was killed, the mark may be half there, hidden.
        holds_something = not folder.is_dir() or any(folder.glob("[!.]*"))
        # Looked for last, since a process that begins meanwhile writes it before anything else.
        if holds_something and not (folder / mark).is_file():
            raise InputError(f"{folder} holds other files than {what}: name an empty folder")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Turn an error of the operating system in this context into an `InputError`.

    Args:
        path: the file or folder that is written to in this context.

    Yields:
        The path.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        yield path
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; the file or folder made there replaces `path` once it is complete.

    If writing fails, `path` stays as it was, and what was written is removed. The path is a hidden
    one beside `path`, with its suffix, that nothing else has: of several that write `path` at once,
    the last to finish decides.

    Raises:
        InputError: if it cannot be written.
    """
    part = path.with_name(f"{PART}{secrets.token_hex(8)}{path.suffix}")
    with writing(path):
        try:
            yield part
            part.replace(path)
        except BaseException:
            with suppress(OSError):  # A full disk needs its space.
                _remove(part)
            raise


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        InputError: if it cannot be written.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_csv(path: Path, table: "pd.DataFrame", **options: Any) -> None:
    """Write a table as a CSV file, whole or not at all.

    Args:
        path: the file.
        table: the table.
        **options: keyword arguments of `DataFrame.to_csv`.

    Raises:
        InputError: if it cannot be written.
    """
    with replacing(path) as part:
        table.to_csv(part, **options)


def read_csv(path: Path, **options: Any) -> "pd.DataFrame":
    """Read a CSV file.

    Args:
        path: the file.
        **options: keyword arguments of `pandas.read_csv`.

    Raises:
        InputError: if it cannot be read.
    """
    import pandas as pd  # Here, since answering for a page needs no table.

    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors.
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


@contextmanager
def temporary_folder(prefix: str | None = None) -> Iterator[Path]:
    """Make a folder among the system's temporary files that is removed when the context is left.

    Args:
        prefix: how its name begins.

    Raises:
        InputError: if it cannot be made.
    """
    try:
        made = TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(
            f"no folder for temporary files can be made: {error.strerror or error}; TMPDIR names "
            "where they go"
        ) from None
    with made as folder:
        yield Path(folder)


def sha256(path: Path) -> str | None:
    """Return the hexadecimal digest of a file, or None if there is no such file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_version() -> str:
    """Return the package's version and a digest of its code, such as "0.1.0+3f2a9c01d4e5"."""
    root = Path(ecg_lib.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{ecg_lib.__version__}+{digest.hexdigest()[:12]}"
