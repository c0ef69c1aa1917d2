"""The command line: `python -m ecg_lib COMMAND`, whose `--help` lists the commands.

Each module of this package holds a group of commands, each command beside its parser.
"""

from ecg_lib.cli.main import main

__all__ = ["main"]
