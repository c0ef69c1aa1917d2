"""The clean protocols: no page and no exam on two sides, on the published pages' list alone."""

from pathlib import Path

import pandas as pd
import pytest

from ecg_lib.data.catalogue import conflicts
from ecg_lib.data.khan2021 import CLASSES_3X4, published_files
from ecg_lib.data.protocols import FOLDS, PROTOCOLS, SPLITS, split_hash, split_pages
from ecg_lib.errors import InputError
from ecg_lib.runs.folder import read_record

CLEAN = ("clean", "clean-3x4")
RESULTS = Path(__file__).parents[1] / "results"
WIDTHS = {"standard": (2213, 1572), "landscape": (1280, 904), "portrait": (952, 1232)}


@pytest.fixture(scope="module")
def pages():
    """The published files as a prepared set lists them, their sizes by layout."""
    files = published_files()
    files = files[files["layout"] != "three_lead_strip"].reset_index(drop=True)
    sizes = [WIDTHS[layout.split("_")[0]] for layout in files["layout"]]
    return files.assign(width=[w for w, _ in sizes], height=[h for _, h in sizes])


@pytest.fixture(scope="module", params=CLEAN)
def folds(request, pages):
    """`(protocol, one Series of splits a fold)`."""
    return request.param, [split_pages(request.param, pages, 1, fold) for fold in range(FOLDS)]


@pytest.mark.parametrize("column", ["page_id", "group"])
def test_no_page_and_no_exam_is_on_two_sides(pages, folds, column):
    for splits in folds[1]:
        sides = splits.dropna().groupby(pages[column]).nunique()
        assert (sides == 1).all()


def test_each_page_is_used_once(pages, folds):
    for splits in folds[1]:
        assert not pages["page_id"][splits.notna()].duplicated().any()


def test_test_folds_are_a_partition_of_the_same_pages(folds):
    _, splits_of_folds = folds
    tested = pd.concat([(splits == "test") for splits in splits_of_folds], axis="columns")
    for splits in splits_of_folds:
        assert (tested.any(axis="columns") == splits.notna()).all()
    assert (tested.sum(axis="columns") <= 1).all()


def test_every_part_has_its_share_of_every_class(pages, folds):
    for splits in folds[1]:
        counts = pd.crosstab(pages["class"], splits)[list(SPLITS)]
        shares = counts.div(counts.sum(axis="columns"), axis="index")
        assert shares["test"].between(0.17, 0.23).all()
        assert shares["validation"].between(0.08, 0.13).all()


def test_folds_do_not_depend_on_the_seed_or_on_names_and_order_of_files(pages, folds):
    protocol, splits_of_folds = folds
    renamed = pages.assign(file=pages["sha256"]).sort_values("file")
    again = split_pages(protocol, renamed, 7, 0)
    expected = splits_of_folds[0].dropna().groupby(pages["page_id"]).first()
    assert again.dropna().groupby(renamed["page_id"]).first().equals(expected)


def test_the_committed_results_are_of_these_folds(pages, folds):
    """Whoever has version 1 alone, under whatever names, is on the same ones."""
    protocol, splits_of_folds = folds
    first_version = pages["file"].str.startswith("v1/")
    renamed = pages.assign(file=pages["sha256"])[first_version].sort_values("file")
    for fold, splits in enumerate(splits_of_folds):
        elsewhere = split_hash(split_pages(protocol, renamed, 1, fold), renamed)
        records = map(read_record, RESULTS.glob(f"khan2021/{protocol}/*-f{fold}"))
        assert {record.split_hash for record in records} == {elsewhere}
        assert split_hash(splits, pages) == elsewhere


def test_distinct_pages_without_the_contradicted_one(pages):
    used = pages[split_pages("clean", pages, 1).notna()]
    distinct = set(pages["page_id"])
    assert distinct - set(used["page_id"]) == {"P1742"}
    assert used["class"].value_counts().to_dict() == {
        "normal": 858,
        "abnormal_heartbeat": 545,
        "covid_19": 249,
        "history_of_mi": 202,
        "myocardial_infarction": 74,
    }


def test_other_pages_among_the_published_ones_change_no_fold(pages, folds):
    """The published folder holds five pages more than the published experiment knew."""
    protocol, splits_of_folds = folds
    others = pages.iloc[[0, 400, 800, 1200, 1600]].assign(
        file=[f"other/{number}.jpg" for number in range(5)],
        page_id=[f"pixels:{number}" for number in range(5)],
        group=[f"pixels:{number}" for number in range(5)],
    )
    found = split_pages(protocol, pd.concat([pages, others], ignore_index=True), 7, 0)
    assert found[len(pages) :].isna().all()
    pd.testing.assert_series_equal(found[: len(pages)], splits_of_folds[0], check_names=False)


def test_the_3x4_protocol_has_one_format_and_four_classes(pages):
    used = pages[split_pages("clean-3x4", pages, 1).notna()]
    assert set(used["layout"]) == {"standard_3x4_with_rhythm"}
    assert set(used["class"]) == set(CLASSES_3X4)
    assert "covid_19" not in CLASSES_3X4


def test_the_published_conflict_is_known_even_where_one_of_its_files_is_there(pages):
    first = pages[pages["page_id"] == "P1742"].head(1)
    assert conflicts(first)["page_id"].tolist() == ["P1742"]


def test_a_planted_conflict_is_found_and_left_out(pages):
    copy = pages[pages["class"] == "normal"].head(1).assign(**{"class": "covid_19"})
    planted = pd.concat([pages, copy.assign(file="covid/copy.jpg")], ignore_index=True)
    page_id = copy["page_id"].item()
    found = conflicts(planted)
    assert "covid/copy.jpg" in set(found["file"])
    assert set(found["page_id"]) == {page_id, "P1742"}
    splits = split_pages("clean", planted, 1)
    assert splits[planted["page_id"] == page_id].isna().all()


def test_seven_exams_a_class_are_enough(pages):
    distinct = pages.drop_duplicates("page_id").drop_duplicates(["class", "group"])
    few = distinct.groupby("class").head(7)
    counts = split_pages("clean", few, 1).groupby(few["class"]).value_counts().unstack()
    assert (counts.sum(axis="columns") == 7).all()
    assert counts.notna().all(axis=None)


def test_pages_of_two_exams_cannot_be_folded(pages):
    two = pages[pages["class"] == "normal"].drop_duplicates("group").head(2)
    with pytest.raises(InputError, match="class normal has pages of 2 exams: expected at least 7"):
        split_pages("clean", two, 1)
    with pytest.raises(InputError, match="another protocol"):
        split_pages("clean-3x4", two.assign(width=900), 1)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_a_fold_that_is_not_there_is_refused(pages, protocol):
    folds = PROTOCOLS[protocol].folds
    with pytest.raises(InputError, match=f"unknown fold of protocol {protocol} {folds}"):
        split_pages(protocol, pages, 1, folds)
