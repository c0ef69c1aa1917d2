"""Protocols: shares, strata, copies, seeds."""

import pandas as pd
import pytest

from ecg_lib.data.khan2021 import published_files
from ecg_lib.data.prepared import BOXES
from ecg_lib.data.protocols import PROTOCOLS, SPLITS, split_hash, split_pages
from ecg_lib.errors import InputError

SIZES = {"normal": 60, "abnormal_heartbeat": 30, "covid_19": 10}


@pytest.fixture
def pages():
    """Pages of three classes, in the index order that a prepared set has."""
    classes = [name for name, size in SIZES.items() for _ in range(size)]
    ids = [f"P{number:03d}" for number in range(len(classes))]
    files = [f"{page_id}.jpg" for page_id in ids]
    return pd.DataFrame({"file": files, "class": classes, "page_id": ids, "group": ids})


def with_copies(pages):
    """Every third page comes four times."""
    return pd.concat([pages, *[pages[::3]] * 3], ignore_index=True)


def test_protocols_are_consistent():
    for protocol in PROTOCOLS.values():
        assert protocol.boxes in BOXES
        assert protocol.folds >= 1
        assert protocol.description


def test_plain_gives_each_class_its_shares(pages):
    splits = split_pages("plain", pages, seed=1)
    assert splits.index.equals(pages.index)
    counts = pd.crosstab(pages["class"], splits)
    for name, size in SIZES.items():
        assert counts.loc[name].to_dict() == {
            "train": size * 8 // 10,
            "validation": size // 10,
            "test": size // 10,
        }


def test_plain_keeps_copies_together(pages):
    copied = with_copies(pages)
    splits = split_pages("plain", copied, seed=1)
    assert (splits.groupby(copied["page_id"]).nunique() == 1).all()
    assert set(splits) == set(SPLITS)


def test_plain_depends_on_the_seed_and_on_nothing_else(pages):
    splits = split_pages("plain", pages, seed=1)
    assert splits.equals(split_pages("plain", pages, seed=1))
    assert not splits.equals(split_pages("plain", pages, seed=2))
    shuffled = pages.sample(frac=1, random_state=0)
    again = split_pages("plain", shuffled, seed=1)
    assert splits.sort_index().equals(again.sort_index())


def test_plain_serves_three_pages_a_class(pages):
    splits = split_pages("plain", pages[-3:], seed=1)
    assert sorted(splits) == sorted(SPLITS)


def test_plain_refuses_fewer_different_pages_than_splits(pages):
    few = pd.concat([pages[:60], *[pages[-2:]] * 5], ignore_index=True)
    with pytest.raises(InputError, match="covid_19 has 2 different pages: expected at least 3"):
        split_pages("plain", few, seed=1)


def file_under_another_class(pages, split):
    """Pages of which some in one split are filed under another class as well."""
    chosen = pages[split_pages("plain", pages, seed=1) == split].head(3)
    return pd.concat([pages, chosen.assign(**{"class": "history_of_mi"})], ignore_index=True)


def test_each_class_has_pages_to_train_on(pages):
    twice_filed = file_under_another_class(pages, "train")
    assert set(split_pages("plain", twice_filed, seed=1)[-3:]) == {"train"}
    twice_filed = file_under_another_class(pages, "test")
    with pytest.raises(InputError, match="plain leaves no page of class history_of_mi to train on"):
        split_pages("plain", twice_filed, seed=1)


def test_published_is_the_split_of_its_column():
    pages = published_files().dropna(subset="published_order")
    splits = split_pages("published", pages, seed=1)
    assert splits.equals(split_pages("published", pages, seed=2))
    assert splits.value_counts().to_dict() == {"train": 2196, "validation": 275, "test": 275}


def test_unknown_protocol(pages):
    with pytest.raises(InputError, match=r"unknown protocol 'shuffled': expected .*published"):
        split_pages("shuffled", pages, seed=1)


def test_split_hash_tells_pages_and_splits_but_not_names_and_order_of_files(pages):
    splits = split_pages("plain", pages, seed=1)
    digest = split_hash(splits, pages)
    shuffled = pages.sample(frac=1, random_state=0)
    assert split_hash(splits.loc[shuffled.index], shuffled) == digest
    assert split_hash(split_pages("plain", pages, seed=2), pages) != digest
    assert split_hash(splits, pages.assign(file="v1/" + pages["file"])) == digest
    assert split_hash(splits, pages.assign(page_id="a" + pages["page_id"])) != digest


def test_split_hash_does_not_count_pages_that_are_not_used(pages):
    splits = split_pages("plain", pages, seed=1)
    unused = pd.concat([pages, pages.head(3)], ignore_index=True)
    assert split_hash(splits.reindex(unused.index), unused) == split_hash(splits, pages)
