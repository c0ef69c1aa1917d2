"""Parse the command line, run the command, and turn errors into an exit status.

Exit status: 0 if all went well, even if some pages were left out; 2 if the input, the options or
an output cannot be used, or memory ran out; 1 if a training failed; 130 if interrupted; 141 if the
reader of standard output has ended.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ecg_lib
from ecg_lib.cli import evaluation, pages, recordings, serving, training
from ecg_lib.cli.options import Parser
from ecg_lib.cli.signals import ended_as_by_ctrl_c
from ecg_lib.cli.streams import standard_streams
from ecg_lib.errors import InputError
from ecg_lib.progress import show_progress
from ecg_lib.text import without_controls

DESCRIPTION = (
    "Classify a heart's condition from the picture of a 12-lead ECG page. Research software, not "
    "a diagnosis."
)

GROUPS = (pages, recordings, training, evaluation, serving)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    with standard_streams() as output:
        status = _run(arguments)
    return status or (0 if output.fault is None else 2)


def _run(arguments):
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    show_progress()
    try:
        _check_current_folder()
        _check_names(options.values())
        with ended_as_by_ctrl_c(), _current_folder_left_out():
            return command(**options) or 0
    except InputError as error:
        print(f"ecg_lib: {without_controls(str(error))}", file=sys.stderr)
        return 2
    except MemoryError:
        print("ecg_lib: memory ran out; what is finished is kept", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ecg_lib: interrupted; what is finished is kept", file=sys.stderr)
        return 130


@contextmanager
def _current_folder_left_out() -> Iterator[None]:
    """Let worker processes begin without modules of the current folder, which may be a stranger's.

    They take over this process' own path for modules after that.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _check_current_folder():
    try:
        Path.cwd()
    except OSError as error:
        raise InputError(
            f"the current folder cannot be used: {error.strerror}; change into one that exists"
        ) from None


def _check_names(values):
    """Refuse what the system cannot look up, be it a path or not: a name that is too long, or NUL.

    A path that is not there is each command's own matter.
    """
    for value in values:
        if isinstance(value, list | tuple):
            _check_names(value)
        elif isinstance(value, str | Path):
            try:
                Path(value).stat()
            except (FileNotFoundError, NotADirectoryError):
                pass
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise InputError(
                    f"{str(value)!r} cannot be looked up: {reason}; expected a name that this "
                    "system takes and may open"
                ) from None


def _parser():
    parser = Parser("python -m ecg_lib", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"ecg_lib {ecg_lib.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands)
    return parser
