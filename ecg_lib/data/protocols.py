"""Protocols: which pages a model is trained, validated and tested on."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecg_lib.data.khan2021 import CLASSES_3X4, DATA_NAME, FORMAT_3X4
from ecg_lib.errors import InputError, one_of

if TYPE_CHECKING:  # The command line's help lists the protocols without it.
    import pandas as pd

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")

PLAIN_SHARE = 0.1
"""Share of each class that `plain` gives to validation, and again to test."""

FOLDS = 5
"""Number of folds of the clean protocols."""

SPLIT_OF_FOLDER = {
    **dict.fromkeys(("train", "training", "train_set", "training_set", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validation_set"), "validation"),
    **dict.fromkeys(("test", "testing", "test_set", "testset"), "test"),
}
"""The split that a folder's name stands for, in lower case."""

VALIDATION_PARTS = 8
"""A fold's training groups are divided into this many parts, one of which validates."""


@dataclass(frozen=True)
class Protocol:
    """A way to use the pages.

    Attributes:
        data_name: name of the data it is made for, or None where any folder of pages is valid.
        boxes: where the crops' boxes come from, see `ecg_lib.data.prepared.BOXES`.
        split: a function of the prepared pages, a random seed and a fold that returns a Series
            with "train", "validation" or "test" for each page, or None for a page that is not used.
        folds: number of splits that it has.
        reshuffle: whether the training pages come in a new order in every epoch.
        keep_best: whether the weights of the best validation epoch are kept, rather than those of
            the last epoch.
        description: one sentence for tables and notebooks.
    """

    data_name: str | None
    boxes: str
    split: Callable
    folds: int
    reshuffle: bool
    keep_best: bool
    description: str


def split_pages(protocol: str, pages: "pd.DataFrame", seed: int, fold: int = 0) -> "pd.Series":
    """Assign every page to a split.

    Args:
        protocol: a key of `PROTOCOLS`.
        pages: the `pages` of a `PreparedSet` made with the protocol's boxes.
        seed: random seed. Only `plain` depends on it: runs of the clean protocols that differ
            in their seed are tested on the same folds, so that their spread is that of training.
        fold: number of the split, from 0, where the protocol has several.

    Returns:
        A Series of "train", "validation" and "test" on the index of `pages`, None where the
        protocol does not use a page.

    Raises:
        InputError: if the protocol is unknown or has no such fold, or if a class has too few
            pages to be split, or none to train on.
    """
    chosen = PROTOCOLS[one_of("protocol", protocol, PROTOCOLS)]
    one_of(f"fold of protocol {protocol}", fold, range(chosen.folds))
    splits = chosen.split(pages, seed, fold)
    used, trained_on = (set(pages["class"][of]) for of in (splits.notna(), splits == "train"))
    if used > trained_on:
        raise InputError(
            f"protocol {protocol} leaves no page of class {min(used - trained_on)} to train on: "
            "expected more pages of it that are not filed under another class, too"
        )
    return splits


def split_hash(splits: "pd.Series", pages: "pd.DataFrame") -> str:
    """Return a digest of which page is in which split: runs with equal digests can be compared.

    It depends neither on file names nor on pages that are not used, so that runs on another copy of
    the published pages are recognised as being on the same folds.
    """
    used = splits.notna()
    rows = sorted(zip(pages["page_id"][used], splits[used], strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _published(pages, seed, fold):
    return pages["published_split"]


def folder_splits(pages: "pd.DataFrame") -> "pd.Series":
    """Read the split of each page from the folders above its file, such as `train` or `val`.

    Args:
        pages: DataFrame with file, one row per page.

    Returns:
        A Series of "train", "validation", "test", or None where no folder names a split. Without a
        test folder, the validation folder is what the data test on.
    """
    folders = pages["file"].map(lambda file: file.lower().split("/")[:-1])
    splits = folders.map(
        lambda names: next((SPLIT_OF_FOLDER[n] for n in names if n in SPLIT_OF_FOLDER), None)
    )
    if (splits == "test").any():
        return splits
    return splits.map(lambda split: "test" if split == "validation" else split)


def has_folder_splits(pages: "pd.DataFrame") -> bool:
    """Return whether pages lie in train and test folders of their own."""
    return {"train", "test"} <= set(folder_splits(pages).dropna())


def _plain(pages, seed, fold):
    """The folders' own split, copies and all, or one at random that keeps copies together."""
    if not has_folder_splits(pages):
        return _stratified(pages, "page_id", seed)
    splits = folder_splits(pages)
    logger.warning(
        "the train and test folders of the pages are used as they are: %s",
        ", ".join(f"{(splits == name).sum():,} {name}" for name in SPLITS),
    )
    if (splits == "validation").any():
        return splits
    training = pages[splits == "train"]
    held_out = _stratified(training, "page_id", seed) == "validation"
    splits[training.index[held_out]] = "validation"
    return splits


def _random(pages, seed, fold):
    """Stratified at random, each file by itself."""
    return _stratified(pages, "file", seed)


def _stratified(pages, key, seed):
    """Split each class at random; rows that agree in the column `key` stay together."""
    rng = np.random.default_rng(seed)
    split_of = {}
    for class_name, distinct in pages.drop_duplicates(key).groupby("class")[key]:
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
    return pages[key].map(split_of)


def _clean(pages, seed, fold):
    """Split distinct pages into grouped, stratified folds: no page and no exam is on two sides.

    Of several files that show the same page, the first one by name counts. Pages that are filed
    under different classes are left out, see `conflicts`. If some pages are published ones, all
    others are left out, so that the folds are always those of the committed results. If none is,
    each page is a group of its own.
    """
    # Imported here, like scikit-learn below: the command line's help must list protocols quickly.
    from ecg_lib.data.catalogue import conflicts
    from ecg_lib.data.khan2021 import is_published

    contradicted = conflicts(pages)["page_id"]
    distinct = pages[~pages["page_id"].isin(contradicted)].drop_duplicates("page_id")
    published = is_published(distinct["page_id"])
    if published.any():
        distinct = distinct[published]
    # The folds depend on the pages only, not on the names of their files.
    distinct = distinct.sort_values("page_id")
    _check_groups(distinct)
    rest, test = _part_groups(distinct, FOLDS, fold)
    # With more parts than the rarest class has pages, some parts would lack that class.
    parts = min(VALIDATION_PARTS, rest["class"].value_counts().min())
    train, validation = _part_groups(rest, parts, 0)
    split_of = pages["file"].map(lambda file: None)
    for name, part in zip(SPLITS, (train, validation, test), strict=True):
        split_of[part.index] = name
    return split_of


def _clean_3x4(pages, seed, fold):
    """Split as `_clean` does, with one page format and the classes that have many such pages."""
    of_format = (pages[list(FORMAT_3X4)] == list(FORMAT_3X4.values())).all(axis="columns")
    used = pages[of_format & pages["class"].isin(CLASSES_3X4)]
    if used.empty:
        raise InputError(
            f"no page is a {FORMAT_3X4['layout']} page of {FORMAT_3X4['width']}x"
            f"{FORMAT_3X4['height']} pixels: expected the pages of Khan et al., or another protocol"
        )
    split_of = _clean(used, seed, fold).reindex(pages.index)
    return split_of.where(split_of.notna(), None)


def _check_groups(pages):
    groups = pages.groupby("class")["group"].nunique()
    fewest = groups.idxmin()
    if groups[fewest] < FOLDS + 2:
        raise InputError(
            f"class {fewest} has pages of {groups[fewest]} exams: expected at least {FOLDS + 2}, "
            f"one for each of {FOLDS} folds, one to validate and one to train on"
        )


def _part_groups(pages, parts, chosen):
    """Divide pages into stratified parts without dividing a group.

    Returns:
        The pages outside the chosen part, and those inside.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    # Not shuffled: scikit-learn's shuffling (in 1.6 and before) swaps the groups' class counts, so
    # that the folds are no longer stratified.
    folds = StratifiedGroupKFold(parts).split(pages, pages["class"], pages["group"])
    outside, inside = list(folds)[chosen]
    return pages.iloc[outside], pages.iloc[inside]


PROTOCOLS = {
    "published": Protocol(
        data_name=DATA_NAME,
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
        description="the pages' own train and test folders, or else a stratified random split, "
        "80 % to train, 10 % to validate, 10 % to test",
    ),
    "random": Protocol(
        data_name=None,
        boxes="detected",
        split=_random,
        folds=1,
        reshuffle=True,
        keep_best=False,
        description="files at random as in many tutorials, copies of a page and pages of an exam "
        "on both sides, 80 % to train, 10 % to validate, 10 % to test",
    ),
    "clean": Protocol(
        data_name=DATA_NAME,
        boxes="detected",
        split=_clean,
        folds=FOLDS,
        reshuffle=True,
        keep_best=True,
        description="each distinct page once, boxes found from the page, exams never split, "
        "five stratified folds",
    ),
    "clean-3x4": Protocol(
        data_name=DATA_NAME,
        boxes="detected",
        split=_clean_3x4,
        folds=FOLDS,
        reshuffle=True,
        keep_best=True,
        description="as clean, with only the 3x4 pages of 2213x1572 pixels and the four classes "
        "that have many of them, so that the layout says nothing about the class",
    ),
}
