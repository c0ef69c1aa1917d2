"""Parse the command line, run the command, and turn errors into an exit status.

Exit status: 0 if all went well, some pages left out or not; 2 if the input or the options cannot
be used; 1 if a training failed; 130 if interrupted.
"""

import sys

import ecg_lib
from ecg_lib.cli import evaluation, pages, recordings, serving, training
from ecg_lib.cli.options import Parser
from ecg_lib.errors import InputError
from ecg_lib.progress import show_progress

DESCRIPTION = (
    "Classify a heart's condition from the picture of a 12-lead ECG page. Research software, not "
    "a diagnosis."
)

GROUPS = (pages, recordings, training, evaluation, serving)


def main(arguments=None):
    """Run a command; return its exit status."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    show_progress()
    try:
        return command(**options) or 0
    except InputError as error:
        print(f"ecg_lib: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ecg_lib: interrupted; what is finished is kept", file=sys.stderr)
        return 130


def _parser():
    parser = Parser("python -m ecg_lib", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"ecg_lib {ecg_lib.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands)
    return parser
