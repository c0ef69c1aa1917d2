"""The names by which tables tell runs apart."""

from collections.abc import Sequence
from pathlib import Path

from ecg_lib.errors import InputError


def refuse_equal_names(runs: Sequence[Path]) -> None:
    """Refuse run folders that a table would take for one.

    Raises:
        InputError: if two folders have the same name.
    """
    seen: dict[str, Path] = {}
    for run in runs:
        if run.name in seen:
            raise InputError(
                f"{seen[run.name]} and {run} have the same name, by which tables tell runs apart: "
                f"expected folders of different names, such as a copy of one under another name"
            )
        seen[run.name] = run
