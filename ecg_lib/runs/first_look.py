"""A first look at somebody's pages: find them, and split them as usual and without leaks."""

from dataclasses import replace

from ecg_lib.data.discovery import PLACES, UNPACKED, find_data
from ecg_lib.data.khan2021 import is_published
from ecg_lib.data.protocols import has_folder_splits
from ecg_lib.errors import InputError
from ecg_lib.runs.config import RunConfig, project_path
from ecg_lib.runs.inputs import Inputs, split_inputs


def find_or_draw(data: str = "") -> str:
    """Find pages for `RunConfig.data`, or name the synthetic ones, which are drawn when missing.

    Args:
        data: a folder or a ZIP archive of pages; empty to search the usual places.

    Raises:
        InputError: if `data` is given and holds no pages.
    """
    places = map(project_path, [data] if data else PLACES)
    found = find_data(places, project_path(UNPACKED))
    if found is None and data:
        raise InputError(
            f"{data} holds no ECG pages: expected a folder or a ZIP archive with one folder of "
            "pages per class"
        )
    return str(found.absolute()) if found else RunConfig.data


def split_both_ways(config: RunConfig, inputs: Inputs) -> list[tuple[RunConfig, Inputs]]:
    """Split prepared pages the usual way, and the careful way.

    The usual way is the train and test folders of the pages, or, where they have none, a random
    split of the files. The careful way keeps copies of a page, and pages of an exam, together.

    Args:
        config: a `RunConfig` of the protocol `plain`.
        inputs: what `open_inputs(config)` returned.

    Returns:
        Two pairs of a config and its inputs, the usual way first.

    Raises:
        InputError: if the pages cannot be split so.
    """
    pages = inputs.prepared.pages
    own_folders = has_folder_splits(pages)
    usual = config if own_folders else replace(config, protocol="random")
    grouped = own_folders or is_published(pages["page_id"]).any()
    careful = replace(config, protocol="clean") if grouped else config
    return [(way, split_inputs(way, inputs.prepared)) for way in (usual, careful)]
