"""Put the current tables into README.md and the pages of docs/."""

import re
from pathlib import Path

from ecg_lib.errors import InputError
from ecg_lib.evaluation.markdown import markdown
from ecg_lib.evaluation.summary import summary_markdown
from ecg_lib.evaluation.tables import table_markdown
from ecg_lib.files import read_csv, write_text

_MARKED = re.compile(r"(<!-- (table|summary): (\S+) -->)\n.*?(<!-- end of table -->)", re.DOTALL)


def update_document(document: Path) -> None:
    """Put the current tables into a Markdown file, between its pairs of table marks.

    The table of the folder `results/khan2021/published` stands between the lines
    `<!-- table: results/khan2021/published -->` and `<!-- end of table -->`, that of all protocols
    side by side if it is their common folder, `results/khan2021`. A CSV file in place of a folder
    is shown as it is. `<!-- summary: results/khan2021 -->` is the table of
    `ecg_lib.evaluation.summary`. All paths are relative to the document.

    Args:
        document: path of the Markdown file.

    Raises:
        InputError: if there is no such file, or a folder between its marks holds no finished run.
    """
    if not document.is_file():
        raise InputError(f"{document} is not a file: expected a Markdown file with table marks")

    def current(match):
        mark, kind, path, end = match.groups()
        return f"{mark}\n{_table(kind, document.parent / path)}{end}"

    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise InputError(f"{document} cannot be read: {error}; expected text in UTF-8") from None
    write_text(document, _MARKED.sub(current, text))


def _table(kind, source):
    if kind == "summary":
        return summary_markdown(source)
    if source.suffix == ".csv":
        if not source.is_file():
            raise InputError(f"{source} is not a file: expected a CSV file for the table's mark")
        return markdown(read_csv(source, dtype=str))
    return table_markdown(source)
