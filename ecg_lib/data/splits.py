"""Protocols: which pages a model is trained, validated and tested on."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecg_lib.errors import InputError, one_of

SPLITS = ("train", "validation", "test")

PLAIN_SHARE = 0.1
"""Share of each class that `plain` gives to validation, and again to test."""


@dataclass(frozen=True)
class Protocol:
    """A way to use the pages.

    Attributes:
        data_name: name of the data it is made for, or None where any folder of pages will do.
        boxes: where the crops' boxes come from, see `ecg_lib.data.prepared.BOXES`.
        split: a function of the prepared pages, a random seed and a fold that returns a Series
            with "train", "validation" or "test" a page.
        folds: number of splits that it has.
        reshuffle: whether the training pages come in a new order in every epoch.
        keep_best: whether the weights of the best validation epoch are kept, else of the last.
        description: one sentence for tables and notebooks.
    """

    data_name: str | None
    boxes: str
    split: Callable
    folds: int
    reshuffle: bool
    keep_best: bool
    description: str


def split_pages(protocol, pages, seed, fold=0):
    """Give every page its split.

    Args:
        protocol: a key of `PROTOCOLS`.
        pages: the `pages` of a `PreparedSet` made with the protocol's boxes.
        seed: random seed; `published` has one split only and does not depend on it.
        fold: which split, from 0, where the protocol has several.

    Returns:
        A Series of "train", "validation" and "test" on the index of `pages`.

    Raises:
        InputError: if the protocol is unknown, or a class has too few pages to be split.
    """
    return PROTOCOLS[one_of("protocol", protocol, PROTOCOLS)].split(pages, seed, fold)


def split_hash(splits, pages):
    """Digest of which file is in which split, to tell whether two runs used the same."""
    rows = sorted(zip(pages["file"], splits, strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _published(pages, seed, fold):
    return pages["published_split"]


def _plain(pages, seed, fold):
    """Stratified at random; copies of a page stay together."""
    rng = np.random.default_rng(seed)
    split_of = {}
    for class_name, distinct in pages.drop_duplicates("page_id").groupby("class")["page_id"]:
        if len(distinct) < len(SPLITS):
            raise InputError(
                f"class {class_name} has {len(distinct)} different pages: expected at least "
                f"{len(SPLITS)}, one each to train, validate and test on"
            )
        shuffled = rng.permutation(sorted(distinct))
        held_out = max(1, round(PLAIN_SHARE * len(shuffled)))
        split_of |= dict.fromkeys(shuffled[2 * held_out :], "train")
        split_of |= dict.fromkeys(shuffled[held_out : 2 * held_out], "validation")
        split_of |= dict.fromkeys(shuffled[:held_out], "test")
    return pages["page_id"].map(split_of)


PROTOCOLS = {
    "published": Protocol(
        data_name="khan2021",
        boxes="published",
        split=_published,
        folds=1,
        reshuffle=False,
        keep_best=False,
        description="files, boxes and split of the published experiment, copies and all",
    ),
    "plain": Protocol(
        data_name=None,
        boxes="detected",
        split=_plain,
        folds=1,
        reshuffle=True,
        keep_best=False,
        description="a stratified random split, 80 % to train, 10 % to validate, 10 % to test",
    ),
}
