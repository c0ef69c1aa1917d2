"""Run the training notebook once a model, and end with the accuracy table."""

from dataclasses import asdict

from ecg_lib.errors import InputError
from ecg_lib.experiment import runs, tables
from ecg_lib.experiment.inputs import open_inputs
from ecg_lib.experiment.notebooks import find_notebook, run_notebook
from ecg_lib.experiment.workers import is_chief
from ecg_lib.models import DISPLAY_NAMES

NOTEBOOK = "02_train_model"


def run_all(configs):
    """Train every `RunConfig` that is not finished, print and write the accuracy table.

    A training that fails does not stop the others; it is named at the end.

    Args:
        configs: `RunConfig`s that differ in nothing that their table's place depends on.

    Returns:
        Exit status: 0 if all were trained, 2 if an input was at fault, else 1.

    Raises:
        InputError: if the notebooks, the pages or a split cannot be used.
    """
    notebook = find_notebook(NOTEBOOK)
    # All pages are prepared before the first training, so that a fault in them shows at once.
    inputs = [open_inputs(config) for config in configs]
    for summary in dict.fromkeys(opened.prepared.summary for opened in inputs):
        print(summary, flush=True)
    status = 0
    for number, (config, opened) in enumerate(zip(configs, inputs, strict=True), start=1):
        print(f"\n[{number}/{len(configs)}] {DISPLAY_NAMES[config.model]}", flush=True)
        if runs.is_finished(config.run_path, opened.identity):
            print(f"finished before in {config.run_path}, not trained again", flush=True)
            continue
        try:
            run_notebook(notebook, config.notebook_path, asdict(config))
        except (InputError, RuntimeError) as error:
            status = max(status, 2 if isinstance(error, InputError) else 1)
            print(f"{config.run_name} was not trained: {error}", flush=True)
    table_path = configs[0].table_path
    if is_chief() and runs.finished_runs(table_path):
        print(f"\n{tables.write_table(table_path)}\nwritten to {table_path}")
    return status
