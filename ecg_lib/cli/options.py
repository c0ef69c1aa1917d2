"""The parser of the command line, and the options that several commands share."""

import argparse
from dataclasses import fields
from pathlib import Path

from ecg_lib.runs.config import RunConfig

PREPARE_OPTIONS = ("data", "protocol", "height", "width", "prepared")
PATH_OPTIONS = ("data", "prepared", "results")


class Parser(argparse.ArgumentParser):
    """An argument parser that takes whole option names and reports errors in one line."""

    def __init__(self, *args, **kwargs):
        """Take options by their whole names: a misspelt one must not pass for another."""
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse_known_args(self, args=None, namespace=None):
        """Let each command report the options that it does not know."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message):
        """Report an error in one line, without the usage above it."""
        self.exit(2, f"ecg_lib: {message}; {self.prog} --help says what is valid\n")


def add_config_options(parser, names):
    """Add options for fields of `RunConfig`; one that is not given stays out of the namespace."""
    for field in fields(RunConfig):
        if field.name not in names:
            continue
        text = f"{field.metadata['help']} (default: {field.default})"
        kind = {"action": "store_true"} if field.type is bool else {"type": field.type}
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", default=argparse.SUPPRESS, help=text, **kind
        )


def make_config(**given):
    """Make a `RunConfig`; paths from the command line are relative to the current folder."""
    for name in PATH_OPTIONS:
        if name in given:
            given[name] = str(Path(given[name]).expanduser().absolute())
    return RunConfig(**given)
