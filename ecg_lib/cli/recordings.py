"""Commands on digital recordings: signals inspect, signals draw."""

from pathlib import Path

from ecg_lib.cli.options import Commands
from ecg_lib.data.classes import CLASSES, class_of_folder
from ecg_lib.errors import InputError, one_of
from ecg_lib.pages.layouts import PUBLISHED_LAYOUTS


def add_commands(commands: Commands) -> None:
    """Add the commands of this module to the parser's commands."""
    signals = commands.add_parser("signals", help="digital recordings: read them, draw them")
    verbs = signals.add_subparsers(title="commands", required=True, metavar="COMMAND")
    inspect = verbs.add_parser("inspect", help="say what in recordings is taken for what")
    inspect.set_defaults(command=_inspect)
    draw = verbs.add_parser("draw", help="draw recordings as one more class of a folder of pages")
    draw.set_defaults(command=_draw)
    for verb in (inspect, draw):
        verb.add_argument(
            "recordings",
            type=Path,
            metavar="IN",
            help="a file or a folder: WFDB (.hea + .dat), CSV, TSV, NPY, NPZ, MAT, EDF",
        )
        hints = verb.add_argument_group("where a file does not say it itself")
        hints.add_argument("--rate", type=float, metavar="HZ", help="samples per second")
        hints.add_argument("--unit", help="mV, uV or V")
        hints.add_argument("--leads", nargs="+", metavar="LEAD", help="in the file's order")
    draw.add_argument("pages", type=Path, metavar="OUT", help="a folder with one folder per class")
    draw.add_argument("--class", dest="class_name", required=True, help=" | ".join(CLASSES))
    draw.add_argument(
        "--layout",
        default="standard_3x4_with_rhythm",
        help=f"{' | '.join(PUBLISHED_LAYOUTS)} (default: %(default)s)",
    )


def _inspect(recordings, **hints):
    from ecg_lib.drawing.recording_pages import describe
    from ecg_lib.drawing.recordings import Hints, find_recordings, read_recordings

    usable, faults = 0, []
    for file in find_recordings(recordings):
        found, bad = read_recordings(file, Hints(**hints))
        for recording in found:
            print(describe(recording))
        for fault in bad:
            print(f"left out: {fault}")
        usable += len(found)
        faults += bad
    _print_summary(f"{usable:,} recordings can be drawn", usable, faults)


def _draw(recordings, pages, class_name, layout, **hints):
    from ecg_lib.drawing.recording_pages import draw_recordings
    from ecg_lib.drawing.recordings import Hints, find_recordings

    folder = pages / (class_of_folder(class_name) or one_of("class", class_name, CLASSES))
    outcomes = draw_recordings(find_recordings(recordings), folder, layout, Hints(**hints), jobs=-1)
    for outcome in outcomes:
        print(f"{outcome.status}: {outcome.text}")
    faults = [outcome.text for outcome in outcomes if outcome.status == "left out"]
    kept = [outcome for outcome in outcomes if outcome.status == "kept"]
    drawn = len(outcomes) - len(kept) - len(faults)
    summary = f"{drawn:,} recordings drawn in {folder}, {len(kept):,} were there"
    _print_summary(summary, drawn + len(kept), faults)


def _print_summary(summary, usable, faults):
    if not usable:
        raise InputError(f"no recording can be used; the first: {faults[0]}")
    print(f"{summary}, {len(faults):,} left out")
