"""Audit of the data and of a split: copies, leaks and shortcuts.

Each check returns a `Finding`: a table, and a sentence that says what it means. Nothing is trained
but the baseline models, which takes seconds.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecg_lib.data.catalogue import conflicts
from ecg_lib.data.classes import in_class_order
from ecg_lib.data.prepared import PreparedSet, crop_names
from ecg_lib.data.protocols import PROTOCOLS, SPLITS, folder_splits, has_folder_splits
from ecg_lib.evaluation.baselines import BASELINES, SEE_CROPS, grey_statistics, majority
from ecg_lib.evaluation.markdown import markdown, plain
from ecg_lib.evaluation.metrics import accuracy, balanced_accuracy
from ecg_lib.files import only_process_in, write_text, writing
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import LOCK_SECONDS, finish_run, is_finished, open_run
from ecg_lib.runs.inputs import name_of_data, open_inputs
from ecg_lib.runs.predictions import SCORED_SPLITS, make_predictions, write_predictions
from ecg_lib.runs.record import BASELINE_NAMES, RecordedConfig

AUDIT = "audit.md"
AUDIT_INK = "audit-ink.md"


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        title: the check's name.
        table: DataFrame.
        meaning: one sentence.
    """

    title: str
    table: pd.DataFrame
    meaning: str

    @property
    def markdown(self) -> str:
        """The finding as a section of Markdown."""
        table = self.table.map(plain, na_action="ignore")
        return f"## {self.title}\n\n{markdown(table)}\n{self.meaning}\n"


def audit(config: RunConfig) -> list[Finding]:
    """Run all checks on the data and the split of a `RunConfig`.

    Args:
        config: a `RunConfig`; its model does not matter.

    Returns:
        List of `Finding`s.
    """
    inputs = open_inputs(config)
    prepared, splits = inputs.prepared, inputs.splits
    return [
        copies(prepared.pages),
        label_conflicts(prepared.pages),
        leaks(prepared.pages, splits),
        shortcuts(prepared, splits),
        leave_one_layout_out(prepared, splits),
        blank_crops(prepared, PROTOCOLS[config.protocol].boxes),
    ]


def write_audit(config: RunConfig) -> str:
    """Write the audit beside the runs of the same data and protocol; return it as Markdown."""
    text = "\n".join(finding.markdown for finding in audit(config))
    with writing(config.table_path) as folder:
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / (AUDIT_INK if config.ink_only else AUDIT), text)
    return text


def copies(pages: pd.DataFrame) -> Finding:
    """Count the files that show the same page as another file."""
    counts = pages.groupby("class")["page_id"].agg(files="size", distinct_pages="nunique")
    counts = _with_total(counts)
    # A page filed under two classes counts once in all.
    counts.loc["all", "distinct_pages"] = pages["page_id"].nunique()
    counts["copies"] = counts["files"] - counts["distinct_pages"]
    total = counts.loc["all"]
    return Finding(
        "Copies",
        counts.reset_index(),
        f"{total['copies']:,} of {total['files']:,} files show a page that another file shows as "
        f"well, so a random split of files puts copies of training pages into the test.",
    )


def label_conflicts(pages: pd.DataFrame) -> Finding:
    """List the pages that are filed under two classes."""
    found = conflicts(pages)[["page_id", "file", "class"]]
    return Finding(
        "Label conflicts",
        found,
        f"Pages filed under more than one class: {found['page_id'].nunique()}. Their label is "
        f"unknown, so the clean protocols leave them out.",
    )


def leaks(
    pages: pd.DataFrame, splits: pd.Series, scored_splits: Sequence[str] = SCORED_SPLITS
) -> Finding:
    """Count the scored files whose page, or a page of whose exam, is among the training files."""
    train, scored = pages[splits == "train"], pages[splits.isin(scored_splits)]
    kind = "test" if tuple(scored_splits) == ("test",) else "scored"
    has = scored[["class"]].assign(
        scored=1,
        copy_in_training=scored["page_id"].isin(train["page_id"]),
        exam_in_training=scored["group"].isin(train["group"]),
    )
    counts = _with_total(has.groupby("class").sum().astype(int))
    total = counts.loc["all"]
    for name in ("copy", "exam"):
        counts[f"share_{name}"] = (counts[f"{name}_in_training"] / counts["scored"]).round(4)
    return Finding(
        "Leaks from training into what is scored",
        counts.reset_index(),
        f"{total['copy_in_training']:,} of {total['scored']:,} {kind} files have a copy of "
        f"their page in training and {total['exam_in_training']:,} a page of their exam; "
        f"they are {scored['page_id'].nunique():,} distinct pages, and what a model gets right on "
        f"leaked ones says nothing about new pages.",
    )


def leaked_test_files(pages: pd.DataFrame, splits: pd.Series) -> Finding:
    """Count the test files that a training file shows as well.

    Args:
        pages: DataFrame of the prepared pages.
        splits: Series of their splits. Where the pages have train and test folders, these count,
            so that a training file held back for validation is a training file.

    Returns:
        A `Finding`, see `leaks`.
    """
    as_found = folder_splits(pages) if has_folder_splits(pages) else splits
    found = leaks(pages, as_found, ("test",))
    return found._replace(
        title="Test files that are in training",
        table=found.table.rename(columns={"scored": "test_files"}),
    )


def shortcuts(prepared: PreparedSet, splits: pd.Series) -> Finding:
    """Compute what the baseline models reach on the test pages."""
    classes = _classes(prepared, splits)
    train, test = (splits.index[splits == name].to_numpy() for name in ("train", "test"))
    table = pd.DataFrame(
        [
            {"model": BASELINE_NAMES[name], **_reached(model, prepared, train, test, classes)}
            for name, model in BASELINES.items()
        ]
    )
    best = table["accuracy"].max()
    return Finding(
        "Shortcuts",
        table,
        f"Without reading a single beat, {best:.4f} of the test files are classified rightly; "
        f"only what a network does better can come from the heart.",
    )


def leave_one_layout_out(prepared: PreparedSet, splits: pd.Series) -> Finding:
    """Classify the pages of each layout by the grey statistics of the other layouts."""
    classes = _classes(prepared, splits)
    used = prepared.pages[splits.notna()]
    rows = []
    for layout, of_layout in used.groupby("layout"):
        train = used.index[used["layout"] != layout].to_numpy()
        if used.loc[train, "class"].nunique() < 2:
            continue
        test = of_layout.index.to_numpy()
        reached = _reached(grey_statistics, prepared, train, test, classes)
        always = _reached(majority, prepared, train, test, classes)
        rows.append(
            {
                "layout": layout,
                "pages": len(test),
                "grey_statistics": reached["accuracy"],
                "majority_of_the_others": always["accuracy"],
                "majority_of_its_own": round(of_layout["class"].value_counts(True).iloc[0], 4),
            }
        )
    columns = ["layout", "pages", "grey_statistics"]
    columns += ["majority_of_the_others", "majority_of_its_own"]
    return Finding(
        "Leave one layout out",
        pd.DataFrame(rows, columns=columns),
        "A model that learned the paper fails on paper that it has not seen: where the grey "
        "statistics fall below the layout's own majority, what they knew was the layout.",
    )


def blank_crops(prepared: PreparedSet, boxes: str) -> Finding:
    """Count the crops that have one grey level.

    The published boxes give 14 such files of the published pages. Decoded in colour, as the
    published experiment did it, two of them keep specks of two grey levels.
    """
    pages = prepared.pages
    blank = np.array(
        [prepared.crops[row].max((1, 2)) == prepared.crops[row].min((1, 2)) for row in pages.index]
    )
    counts = pages[["class"]].assign(
        files=1, with_a_blank_crop=blank.any(axis=1), all_crops_blank=blank.all(axis=1)
    )
    names = np.array(crop_names(boxes))[blank.any(axis=0)]
    where = f"; they are among {', '.join(names)}" if len(names) else ""
    return Finding(
        "Blank crops",
        _with_total(counts.groupby("class").sum()).reset_index(),
        f"{blank.any(axis=1).sum():,} files have a crop of one grey level, on which there is "
        f"nothing to read{where}.",
    )


def write_baseline_runs(config: RunConfig) -> None:
    """Write a run folder for each baseline model and fold, beside those of the networks.

    So the baseline rows of a table come from committed predictions, like all others. With only
    ink, these are the models that see the crops; for the others it makes no difference.

    Args:
        config: a `RunConfig`; its model and fold do not matter.

    Raises:
        InputError: if another process is writing one of the run folders.
    """
    for fold in range(config.folds):
        of_fold = replace(config, fold=fold)
        inputs = open_inputs(of_fold)
        for name in SEE_CROPS if config.ink_only else BASELINES:
            _write_baseline_run(of_fold, inputs, name)


def _write_baseline_run(config, inputs, name):
    folder = config.table_path / config.run_name.replace(config.model, name, 1)
    run_key = replace(inputs.run_key, config=RecordedConfig.of(config, model=name))
    if is_finished(folder, run_key):
        return
    with only_process_in(folder, LOCK_SECONDS):
        if not is_finished(folder, run_key):
            _compute_baseline(config, inputs, name, folder, run_key)


def _compute_baseline(config, inputs, name, folder, run_key):
    open_run(folder, run_key)
    prepared, splits = inputs.prepared, inputs.splits
    classes = inputs.classes
    rows = {split: splits.index[splits == split].to_numpy() for split in SPLITS}
    scored = splits.index[splits.isin(SCORED_SPLITS)].to_numpy()
    begin = time.perf_counter()
    logits = BASELINES[name](prepared, rows["train"], scored, classes)
    seconds = time.perf_counter() - begin
    write_predictions(folder, make_predictions(prepared.pages.loc[scored], splits, classes, logits))
    finish_run(
        folder,
        run_key,
        data=name_of_data(config, prepared.pages),
        classes=tuple(classes),
        pages={split: len(of_split) for split, of_split in rows.items()},
        epochs_done=0,
        resumed=False,
        wall_seconds=round(seconds, 1),
        devices=("CPU",),
        parameters=0,
    )


def _classes(prepared, splits):
    return in_class_order(prepared.pages.loc[splits.notna(), "class"])


def _reached(model, prepared, train, test, classes):
    """Accuracy, and mean sensitivity of the classes that have pages."""
    pages = prepared.pages.loc[test]
    logits = model(prepared, train, test, classes)
    predictions = make_predictions(pages, pd.Series("test", pages.index), classes, logits)
    return {
        "pages": len(test),
        "accuracy": round(accuracy(predictions), 4),
        "balanced_accuracy": round(balanced_accuracy(predictions), 4),
    }


def _with_total(counts):
    ordered = counts.reindex(in_class_order(counts.index))
    return pd.concat([ordered, counts.sum().rename("all").to_frame().T]).rename_axis("class")
