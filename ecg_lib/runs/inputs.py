"""What a run works on: the prepared pages, their splits, and what makes the run itself."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ecg_lib.data.classes import in_class_order
from ecg_lib.data.khan2021 import is_published
from ecg_lib.data.prepared import PreparedSet, prepare
from ecg_lib.data.protocols import PROTOCOLS, SPLITS, split_hash, split_pages
from ecg_lib.drawing.demo_set import draw_set
from ecg_lib.runs.config import DEMO_PAGES_PER_CLASS, VARIED, RunConfig
from ecg_lib.runs.record import RecordedConfig, RunKey
from ecg_lib.runs.teachers import Teachers, open_teachers, teachers_hash
from ecg_lib.runs.versions import open_versions


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run.

    Attributes:
        prepared: the `PreparedSet`.
        splits: Series of "train", "validation" or "test", one row per page of the prepared set.
        run_key: what makes the run. In the place of the teachers' folder it has their digest.
        versions: other versions of the training pages, see
            `ecg_lib.runs.versions.open_versions`; None where the recipe takes none.
        teachers: the `Teachers` by the part of their patients; empty where the run has none.
    """

    prepared: PreparedSet
    splits: pd.Series
    run_key: RunKey
    versions: np.ndarray | None = None
    teachers: dict[str, Teachers] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """The names of the classes that have pages in a split, in the order of the logits."""
        return in_class_order(self.prepared.pages["class"][self.splits.notna()])

    @property
    def rows(self) -> dict[str, np.ndarray]:
        """The rows of the prepared set that are in each split."""
        return {name: self.splits.index[self.splits == name].to_numpy() for name in SPLITS}

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
    """Split pages that are prepared already, and draw what else the run is trained on.

    Raises:
        InputError: if the split or the teachers cannot be used.
    """
    splits = split_pages(config.protocol, prepared.pages, config.seed, config.fold)
    digest = teachers_hash(config.teachers_path, config.crop_options) if config.teachers else ""
    run_key = RunKey(
        RecordedConfig.of(config, teachers=digest),
        prepared.fingerprint,
        split_hash(splits, prepared.pages),
    )
    inputs = Inputs(prepared, splits, run_key)
    if config.teachers:  # First, since they may be unusable, and drawing versions takes long.
        cache = config.prepared_path / f"teachers-{digest}"
        teachers = open_teachers(config.teachers_path, cache, inputs.classes, config.crop_options)
        inputs = replace(inputs, teachers=teachers)
    if config.recipe == VARIED:
        boxes = PROTOCOLS[config.protocol].boxes
        rows = inputs.rows["train"]
        versions = open_versions(prepared, config.data_path, rows, boxes, config.crop_options)
        inputs = replace(inputs, versions=versions)
    return inputs
