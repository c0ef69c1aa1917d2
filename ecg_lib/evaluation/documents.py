"""Put the current tables into README.md and the pages of docs/."""

import re
from pathlib import Path

from ecg_lib.errors import InputError
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.evaluation.summary import summary_markdown
from ecg_lib.evaluation.tables import table_markdown
from ecg_lib.files import read_csv, write_text

_MARKED = re.compile(r"(<!-- (table|summary): (\S+) -->)\n.*?(<!-- end of table -->)", re.DOTALL)


def update_document(document: Path, results: Path) -> None:
    """Put the current tables into a Markdown file, between its pairs of table marks.

    The table of the folder `results/khan2021/published` stands between the lines
    `<!-- table: results/khan2021/published -->` and `<!-- end of table -->`, that of all protocols
    side by side if it is their common folder, `results/khan2021`. A CSV file in place of a folder
    is shown as it is. `<!-- summary: results/khan2021 -->` is the table of
    `ecg_lib.evaluation.summary`. All paths are relative to the document, and lie in its repository,
    or in its folder if it is in none, or among the results.

    Args:
        document: path of the Markdown file.
        results: the folder of results.

    Raises:
        InputError: if there is no such file, or if what a mark names lies elsewhere or is no table.
    """
    if not document.is_file():
        raise InputError(f"{document} is not a file: expected a Markdown file with table marks")

    allowed = [_tree_of(document), results.resolve()]

    def current(match):
        mark, kind, path, end = match.groups()
        source = document.parent / path
        if not any(_is_in(folder, source) for folder in allowed):
            raise InputError(
                f"{document} has a mark that leads to {path}: expected a table in "
                f"{' or '.join(map(str, allowed))}"
            )
        return f"{mark}\n{_table(kind, source)}{end}"

    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise InputError(f"{document} cannot be read: {error}; expected text in UTF-8") from None
    write_text(document, _MARKED.sub(current, text))


def _tree_of(document):
    """The repository of a document, or its folder: a stranger's must not show files of others."""
    folders = document.resolve().parents
    return next((folder for folder in folders if (folder / ".git").exists()), folders[0])


def _is_in(folder, source):
    try:
        return source.resolve().is_relative_to(folder)
    except (ValueError, OSError, RuntimeError):  # NUL in its name, links without end.
        return False


def _table(kind, source):
    if kind == "summary":
        return summary_markdown(source)
    if source.suffix == ".csv":
        if not source.is_file():
            raise InputError(f"{source} is not a file: expected a CSV file for the table's mark")
        return markdown(read_csv(source, dtype=str))
    return table_markdown(source)
