"""The parser of the command line, and the options that several commands share."""

import argparse
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from ecg_lib.errors import InputError
from ecg_lib.runs.config import RunConfig

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""What a parser's `add_subparsers` returns; each group of commands adds its own."""

PREPARE_OPTIONS = ("data", "protocol", "height", "width", "prepared")
PATH_OPTIONS = ("data", "prepared", "results")


class Parser(argparse.ArgumentParser):
    """An argument parser that takes whole option names and reports errors in one line."""

    def __init__(self, *args, **kwargs):
        """Take options by their whole names: a misspelt one must not pass for another."""
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse_known_args(self, args=None, namespace=None) -> Any:
        """Let each command report the options that it does not know."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Report an error in one line, without the usage above it."""
        self.exit(2, f"ecg_lib: {message}; {self.prog} --help says what is valid\n")


def add_config_options(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Add options for fields of `RunConfig`; one that is not given stays out of the namespace."""
    for field in fields(RunConfig):
        if field.name not in names:
            continue
        text = f"{field.metadata['help']} (default: {field.default})"
        kind = {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", default=argparse.SUPPRESS, help=text, **kind
        )


def make_config(**given: Any) -> RunConfig:
    """Make a `RunConfig`; paths from the command line are relative to the current folder."""
    for name in PATH_OPTIONS:
        if name in given:
            try:
                given[name] = str(Path(given[name]).expanduser().absolute())
            except RuntimeError:
                raise InputError(f"{given[name]}: expected ~ or the name of a user") from None
    return RunConfig(**given)


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path]) -> None:
    """Refuse output files that the command reads, or that are one file.

    Every command that writes a file where an option says calls this before it begins.

    Args:
        outputs: the path that each option gives, None where it is not given.
        inputs: the files that the command reads.

    Raises:
        InputError: if an output is a folder, an input, or another output.
    """
    taken = {_identity(path): "is read by this command" for path in inputs}
    for option, path in outputs.items():
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"{option} {path} is a folder: expected a file")
        identity = _identity(path)
        if identity in taken:
            raise InputError(f"{option} {path} {taken[identity]}: expected another file")
        taken[identity] = f"is the file of {option} as well"


def _identity(path):
    """What two paths of one file have in common, be they links or written in other letters."""
    try:
        status = path.stat()
    except OSError:
        return path.resolve()
    return status.st_dev, status.st_ino
