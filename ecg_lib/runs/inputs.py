"""What a run works on: the prepared pages, their splits, and what makes the run itself."""

from dataclasses import asdict, dataclass

import pandas as pd

from ecg_lib.data.classes import CLASSES
from ecg_lib.data.khan2021 import is_published
from ecg_lib.data.prepared import PreparedSet, prepare
from ecg_lib.data.protocols import PROTOCOLS, SPLITS, split_hash, split_pages
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.runs.config import DEMO_PAGES_PER_CLASS, RunConfig, crop_options


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run.

    Attributes:
        prepared: the `PreparedSet`.
        splits: Series of "train", "validation" or "test", a row a page of the prepared set.
        run_key: config, data hash and split hash: two runs that agree in them are the same.
    """

    prepared: PreparedSet
    splits: pd.Series
    run_key: dict

    @property
    def counts(self):
        """DataFrame of the number of files: classes in rows, splits in columns."""
        pages = self.prepared.pages[self.splits.notna()]
        classes = [name for name in CLASSES if name in set(pages["class"])]
        counts = pd.crosstab(pages["class"], self.splits.rename("split"))
        return counts.reindex(index=classes, columns=SPLITS, fill_value=0)

    @property
    def layouts(self):
        """The number of training files of each layout, by class: a dict of dicts."""
        train = self.prepared.pages[self.splits == "train"]
        return pd.crosstab(train["layout"], train["class"]).to_dict("index")


def name_of_data(config, pages):
    """What a run's record calls its data: as the results do, but own pages by their folder.

    Args:
        config: a `RunConfig`.
        pages: DataFrame of the prepared pages.
    """
    return config.data_name if is_published(pages["page_id"]).any() else config.folder_name


def open_inputs(config):
    """Prepare and split the pages of a `RunConfig`; the default pages are drawn if missing.

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
        **crop_options(asdict(config)),
    )
    splits = split_pages(config.protocol, prepared.pages, config.seed, config.fold)
    run_key = {
        "config": config.what_counts(),
        "data_hash": prepared.fingerprint,
        "split_hash": split_hash(splits, prepared.pages),
    }
    return Inputs(prepared, splits, run_key)
