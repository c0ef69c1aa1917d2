"""Names of networks and runs in tables and figures."""

from ecg_lib.models import DISPLAY_NAMES

BASELINE_NAMES = {
    "majority": "Majority class",
    "layout_only": "Layout and page size only",
    "grey_statistics": "Ten grey statistics a crop only",
}

MODEL_NAMES = DISPLAY_NAMES | BASELINE_NAMES


def seeds_of(record):
    """The random seeds that a run's network was trained with: an ensemble's has several."""
    return [member["seed"] for member in record.get("members", [record["config"]])]


def network_name(record, variant=()):
    """What a run's network is called in text, with words for its variant where they are given."""
    name = MODEL_NAMES[record["config"]["model"]]
    return ", ".join([name, *variant, *mean_in_words(seeds_of(record))])


def mean_in_words(seeds):
    """What is said after a network's name, as a list: nothing of one seed."""
    return [f"mean of {len(seeds)} seeds"] if len(seeds) > 1 else []
