"""What a run works on: the prepared pages, their splits, and what makes the run itself."""

from dataclasses import dataclass

import pandas as pd

from ecg_lib.data.classes import in_class_order
from ecg_lib.data.khan2021 import is_published
from ecg_lib.data.prepared import PreparedSet, prepare
from ecg_lib.data.protocols import PROTOCOLS, SPLITS, split_hash, split_pages
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.runs.config import DEMO_PAGES_PER_CLASS, RunConfig
from ecg_lib.runs.record import RecordedConfig, RunKey


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run.

    Attributes:
        prepared: the `PreparedSet`.
        splits: Series of "train", "validation" or "test", one row per page of the prepared set.
        run_key: what makes the run.
    """

    prepared: PreparedSet
    splits: pd.Series
    run_key: RunKey

    @property
    def classes(self) -> list[str]:
        """The names of the classes that have pages in a split, in the order of the logits."""
        return in_class_order(self.prepared.pages["class"][self.splits.notna()])

    @property
    def counts(self) -> pd.DataFrame:
        """DataFrame of the number of files: classes in rows, splits in columns."""
        pages = self.prepared.pages[self.splits.notna()]
        counts = pd.crosstab(pages["class"], self.splits.rename("split"))
        return counts.reindex(index=self.classes, columns=SPLITS, fill_value=0)

    @property
    def layouts(self) -> dict[str, dict[str, int]]:
        """The number of training files of each layout, by class."""
        train = self.prepared.pages[self.splits == "train"]
        counts = train.groupby("layout")["class"].value_counts()
        table = counts.unstack(fill_value=0)
        return {
            str(layout): {str(name): int(count) for name, count in row.items()}
            for layout, row in table.iterrows()
        }


def name_of_data(config: RunConfig, pages: pd.DataFrame) -> str:
    """Return the name of the data for a run's record: own pages are named by their folder.

    Args:
        config: a `RunConfig`.
        pages: DataFrame of the prepared pages.
    """
    return config.data_name if is_published(pages["page_id"]).any() else config.folder_name


def open_inputs(config: RunConfig) -> Inputs:
    """Prepare and split the pages of a `RunConfig`, and draw the default pages if missing.

    Args:
        config: a `RunConfig`.

    Returns:
        An `Inputs`.

    Raises:
        InputError: if the pages or the split cannot be used.
    """
    if config.data == RunConfig.data:
        draw_set(config.data_path, DEMO_PAGES_PER_CLASS, jobs=-1)
    prepared = prepare(
        config.data_path,
        config.prepared_path,
        boxes=PROTOCOLS[config.protocol].boxes,
        **config.crop_options,
    )
    return split_inputs(config, prepared)


def split_inputs(config: RunConfig, prepared: PreparedSet) -> Inputs:
    """Split pages that are prepared already by the protocol of a `RunConfig`.

    Raises:
        InputError: if the split cannot be used.
    """
    splits = split_pages(config.protocol, prepared.pages, config.seed, config.fold)
    run_key = RunKey(
        RecordedConfig.of(config), prepared.fingerprint, split_hash(splits, prepared.pages)
    )
    return Inputs(prepared, splits, run_key)
