"""Commands that evaluate: audit, table, literature."""

import sys
from pathlib import Path

from ecg_lib.cli.options import PREPARE_OPTIONS, Commands, add_config_options, make_config
from ecg_lib.errors import InputError
from ecg_lib.runs.config import RunConfig

AUDIT_OPTIONS = (*PREPARE_OPTIONS, "seed", "fold", "ink_only", "results")


def add_commands(commands: Commands) -> None:
    """Add the commands of this module to the parser's commands."""
    _add_audit(commands)
    _add_table(commands)
    _add_literature(commands)


def _add_audit(commands):
    audit = commands.add_parser(
        "audit",
        help="look for copies, leaks and shortcuts in the pages and their split",
        description="Look for copies, leaks and shortcuts in the pages and their split. The "
        "baseline models are written beside the trained ones, for the table.",
    )
    add_config_options(audit, AUDIT_OPTIONS)
    audit.set_defaults(command=_audit)


def _audit(**given):
    from ecg_lib.evaluation import audit

    config = make_config(**given)
    print(audit.write_audit(config))
    audit.write_baseline_runs(config)
    print(f"written to {config.table_path}")


def _add_table(commands):
    table = commands.add_parser("table", help="write the accuracy tables of finished runs again")
    add_config_options(table, ("results",))
    table.add_argument(
        "--documents",
        nargs="+",
        type=Path,
        default=(),
        metavar="FILE.md",
        help="also put them between the table marks of these Markdown files",
    )
    table.set_defaults(command=_table)


def _table(documents, results=RunConfig.results):
    from ecg_lib.evaluation import tables
    from ecg_lib.evaluation.documents import update_document
    from ecg_lib.runs.folder import folders_of_runs

    of_runs = make_config(results=results).results_path
    folders = folders_of_runs(of_runs)
    written = 0
    for folder in folders:
        try:
            print(tables.write_table(folder))
            written += 1
        except InputError as error:
            print(f"ecg_lib: {error}", file=sys.stderr)
    if written:
        for document in documents:
            update_document(document, of_runs)
    return 0 if written == len(folders) else 2


def _add_literature(commands):
    literature = commands.add_parser(
        "literature",
        help="say on how many distinct pages published figures were measured",
        description="For each published evaluation whose files are known: the distinct pages "
        "behind its files, the interval that they allow, and the figure of this project on the "
        "same pages, computed from the committed predictions.",
    )
    literature.add_argument(
        "--results", type=Path, default=Path("results"), help="(default: %(default)s)"
    )
    literature.set_defaults(command=_literature)


def _literature(results):
    from ecg_lib.evaluation.literature import write_literature

    print(write_literature(results))
    print(f"written to {results}")
