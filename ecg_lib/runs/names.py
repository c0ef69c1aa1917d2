"""Names of networks and runs in tables and figures."""

from collections.abc import Sequence

from ecg_lib.models import DISPLAY_NAMES
from ecg_lib.runs.record import BASELINE_NAMES, RunRecord

MODEL_NAMES = DISPLAY_NAMES | BASELINE_NAMES


def network_name(record: RunRecord, variant: Sequence[str] = ()) -> str:
    """Return what a run's network is called in text.

    Args:
        record: the run's record.
        variant: words for what the run's config has other than the default, if any.
    """
    name = MODEL_NAMES[record.config.model]
    return ", ".join([name, *variant, *words_for_mean(record.seeds)])


def words_for_mean(seeds: Sequence[int]) -> list[str]:
    """Return what follows a network's name if it is the mean over several seeds, as a list."""
    return [f"mean of {len(seeds)} seeds"] if len(seeds) > 1 else []
