"""Write the list of the published pages, with the clean folds, for other people's tools.

`python docs/make_croissant.py` writes `docs/croissant/pages.csv` and `khan2021.json`, its
description in the Croissant format (https://docs.mlcommons.org/croissant). The pages themselves are
not part of it: their SHA-256 digests tell which files of Mendeley Data gwbz3fsgp8 are meant.
"""

import json
from pathlib import Path

import mlcroissant as mlc
import pandas as pd

from ecg_lib.data.catalogue import conflicts
from ecg_lib.data.khan2021 import published_files
from ecg_lib.data.protocols import FOLDS, split_pages
from ecg_lib.files import sha256, write_csv, write_text

FOLDER = Path(__file__).parent / "croissant"
PAGES = "pages.csv"
DESCRIPTION = "khan2021.json"

SIZES = {"standard": (2213, 1572), "landscape": (1280, 904), "portrait": (952, 1232)}
"""Width and height of a page in pixels, by the first word of its layout."""

COLUMNS = {
    "file": (mlc.DataType.TEXT, "folder of the version and class, and the file's name"),
    "sha256": (mlc.DataType.TEXT, "SHA-256 digest of the file"),
    "class": (mlc.DataType.TEXT, "the class that the file's folder names"),
    "page_id": (mlc.DataType.TEXT, "one id per distinct image: files that share it are copies"),
    "exam": (mlc.DataType.TEXT, "pages of one exam, which must not be separated"),
    "layout": (mlc.DataType.TEXT, "arrangement of the leads"),
    "label_conflict": (mlc.DataType.BOOL, "whether copies of the page have another class"),
    "clean_fold": (mlc.DataType.INTEGER, "fold of `clean` that tests the file; empty if unused"),
    "clean_3x4_fold": (mlc.DataType.INTEGER, "the same of `clean-3x4`"),
}


def pages_table() -> pd.DataFrame:
    """List the published files, one row per file, with the columns of `COLUMNS`."""
    files = published_files()
    table = files.rename(columns={"group": "exam"})
    table["label_conflict"] = files["page_id"].isin(conflicts(files)["page_id"])
    table["clean_fold"] = _test_folds(files, "clean")
    table["clean_3x4_fold"] = _test_folds(files, "clean-3x4")
    return table[list(COLUMNS)]


def _test_folds(files, protocol):
    """The fold that tests each file: a Series of whole numbers, empty where none does."""
    readable = files[files["layout"] != "three_lead_strip"]
    sizes = [SIZES[layout.partition("_")[0]] for layout in readable["layout"]]
    pages = readable.assign(width=[w for w, _ in sizes], height=[h for _, h in sizes])
    folds = pd.Series(pd.NA, files.index, dtype="Int64")
    for fold in range(FOLDS):
        splits = split_pages(protocol, pages, seed=1, fold=fold)
        folds[splits.index[splits == "test"]] = fold
    return folds


def metadata(folder: Path) -> mlc.Metadata:
    """Describe the table in a folder.

    Args:
        folder: where `pages.csv` is.
    """
    csv = mlc.FileObject(
        id=PAGES,
        name=PAGES,
        content_url=PAGES,
        encoding_formats=["text/csv"],
        sha256=sha256(folder / PAGES),
    )
    fields = [
        mlc.Field(
            id=f"pages/{name}",
            name=name,
            description=description,
            data_types=kind,
            source=mlc.Source(file_object=PAGES, extract=mlc.Extract(column=name)),
        )
        for name, (kind, description) in COLUMNS.items()
    ]
    return mlc.Metadata(
        name="khan2021_pages",
        description=(
            "The 2,860 files of ECG pages of Khan, Hussain and Malik (2021), versions 1 and 2: "
            "which of them are copies, which belong to one exam, which have two labels, and five "
            "folds in which no page and no exam is on two sides."
        ),
        url="https://data.mendeley.com/datasets/gwbz3fsgp8/1",
        license="https://creativecommons.org/licenses/by/4.0/",
        cite_as=(
            "Khan, Hussain and Malik, ECG images dataset of cardiac and COVID-19 patients, Data in "
            "Brief 34 (2021) 106762, doi 10.1016/j.dib.2021.106762"
        ),
        version="1.0.0",
        distribution=[csv],
        record_sets=[mlc.RecordSet(id="pages", name="pages", fields=fields)],
    )


def write(folder: Path) -> None:
    """Write the table and its description into a folder."""
    write_csv(folder / PAGES, pages_table(), index=False)
    text = json.dumps(metadata(folder).to_json(), indent=1, ensure_ascii=False, default=str)
    write_text(folder / DESCRIPTION, f"{text}\n")


if __name__ == "__main__":
    write(FOLDER)
