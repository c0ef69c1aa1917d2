"""Errors that the user can correct."""

from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """A file, folder or option that cannot be used.

    The message is one sentence that says what was expected, what came, and what would be valid.
    The command line prints it without a traceback and exits with status 2.
    """


def one_of(what: str, value: T, valid: Iterable[T]) -> T:
    """Return `value` if it is one of `valid`, else raise an `InputError` that lists them.

    Args:
        what: what the value is, in the user's words, such as `"model"`.
        value: the value that came.
        valid: the values that are allowed.

    Raises:
        InputError: if `value` is not one of `valid`.
    """
    if value not in valid:
        raise InputError(f"unknown {what} {value!r}: expected one of {', '.join(map(str, valid))}")
    return value


@contextmanager
def workers_alive(work: str) -> Iterator[None]:
    """Say in a sentence that a worker process was killed in this context.

    Args:
        work: what it did, such as `"prepares pages"`.

    Raises:
        InputError: if one was killed.
    """
    try:
        yield
    except BrokenExecutor:
        raise InputError(
            f"a process that {work} was killed, as the system does when memory runs out: what is "
            "finished is kept, start again to resume"
        ) from None


class PageRefused(InputError):  # noqa: N818 - what happened to the page, not to the program
    """A picture on which the twelve leads of an ECG page cannot be found.

    Attributes:
        reason: short key of the reason: `"blank"`, `"no_traces"`, `"no_names"`,
            `"order_unclear"`, `"partial"` or `"mirrored"`.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason
