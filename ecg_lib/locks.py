"""A lock between processes."""

import sqlite3
import time
from contextlib import closing, contextmanager


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
