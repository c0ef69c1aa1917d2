"""Run a notebook with papermill, strictly: it succeeds as a whole or fails in one sentence.

Papermill alone only warns about a misspelt parameter, keeps a value that the parameters cell
derived from another one as it was, and counts `sys.exit(0)` in the middle as success.
"""

import ast
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

import ecg_lib
from ecg_lib.errors import InputError
from ecg_lib.evaluation.tables import write_table
from ecg_lib.models import DISPLAY_NAMES
from ecg_lib.runs.config import RunConfig
from ecg_lib.runs.folder import finished_runs, is_finished, remove_backup
from ecg_lib.runs.inputs import open_inputs
from ecg_lib.runs.workers import is_chief

logger = logging.getLogger(__name__)

NOTEBOOK = "02_train_model"

PACKAGE_FOLDER = Path(ecg_lib.__file__).parents[1]
"""What the package is imported from: a clone, or where packages are installed."""


def find_notebook(name: str) -> Path:
    """Find one of the project's notebooks.

    They lie in the clone beside the package, or where `ECG_LIB_NOTEBOOKS` says, as on Kaggle.

    Args:
        name: such as `"02_train_model"`.

    Raises:
        InputError: if it is not there: the notebooks are part of a clone, not of the package.
    """
    # Never one of the current folder or those above it, which may be a stranger's.
    beside = PACKAGE_FOLDER / "notebooks"
    path = Path(os.environ.get("ECG_LIB_NOTEBOOKS", beside)) / f"{name}.ipynb"
    if not path.exists():
        raise InputError(
            f"no notebook at {path}: expected ecg_lib to be run from its own clone, or "
            "ECG_LIB_NOTEBOOKS to name the folder of its notebooks"
        )
    return path


class ThisPython(AsyncKernelManager):
    """Start kernels of the Python that runs now.

    A kernel called "python3" that is installed for the user or named by `JUPYTER_PATH` may belong
    to another Python, or to one that is gone.
    """

    def _kernel_spec_manager_default(self):
        return _OwnKernel(kernel_dirs=[])


class _OwnKernel(KernelSpecManager):
    """A kernel that imports nothing from the current folder, which may be a stranger's."""

    def get_kernel_spec(self, kernel_name):
        spec = super().get_kernel_spec(kernel_name)
        spec.argv = [*spec.argv, "--InteractiveShellApp.ignore_cwd=True"]
        # A clone that is not installed may itself be the current folder, which ipykernel removes
        # where it comes first.
        notebooks = PACKAGE_FOLDER / "notebooks"
        if notebooks.is_dir():
            path = [str(notebooks), str(PACKAGE_FOLDER), os.environ.get("PYTHONPATH")]
            spec.env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        spec.env["PYTHONSAFEPATH"] = "1"
        return spec


def run_notebook(source: Path, output: Path, parameters: dict) -> None:
    """Run a notebook with papermill and show at once what its cells print.

    Args:
        source: the notebook.
        output: where the executed notebook is written, with its outputs.
        parameters: values for its parameters cell.

    Raises:
        InputError: if a parameter is not in the notebook's parameters cell, if that cell holds
            anything but literals, if the output cannot be written, if ipykernel is not installed,
            or if a cell raised an `InputError`.
        RuntimeError: if a cell raised another error, if the process that ran it was killed, or if
            the notebook ended before its last cell.
    """
    known = parameters_of(source)
    unknown = [name for name in parameters if name not in known]
    if unknown:
        raise InputError(
            f"{source.name} has no parameter {unknown[0]!r}: expected some of {', '.join(known)}"
        )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        executed = papermill.execute_notebook(
            _as_it_is(source),
            _as_it_is(output),
            parameters,
            kernel_name="python3",
            kernel_manager_class=ThisPython,
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
        )
    except OSError as error:
        path = error.filename or output
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    except DeadKernelError:
        raise RuntimeError(
            f"the process that ran {source.name} was killed, as the system does when memory runs "
            "out: what is finished is kept, start again to resume"
        ) from None
    except NoSuchKernel:
        raise InputError(
            f"{sys.executable} cannot run notebooks: expected the package ipykernel beside ecg_lib"
        ) from None
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(error.evalue) from None
        raise RuntimeError(
            f"{source.name} failed with {error.ename}: {error.evalue}; see {output}"
        ) from None
    _check_whole(source, executed)


def _as_it_is(path):
    """Return a path for papermill, which would replace names in braces by parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def parameters_of(source: Path) -> dict:
    """Read a notebook's parameters cell: `{name: value}`, all of them literals.

    Raises:
        InputError: if there is not exactly one such cell, or if it holds anything else.
    """
    cells = nbformat.read(source, as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise InputError(f"{source.name} has {len(tagged)} cells tagged parameters: expected one")
    values = {}
    for statement in ast.parse(tagged[0].source).body:
        try:
            (target,) = statement.targets
            values[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            raise InputError(
                f"the parameters cell of {source.name} holds {ast.unparse(statement)!r}: "
                f"expected assignments of literals, such as epochs = 20"
            ) from None
    return values


def _check_whole(source, executed):
    skipped = [
        cell
        for cell in executed.cells
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None
    ]
    if skipped:
        raise RuntimeError(
            f"{source.name} ended before its last cell; the first that did not run begins "
            f"{skipped[0].source.splitlines()[0]!r}"
        )


def run_all(configs: list[RunConfig]) -> int:
    """Train every `RunConfig` that is not finished, then write and log the accuracy table.

    A training that fails is named and does not stop the others.

    Args:
        configs: the runs, whose results all belong in one table.

    Returns:
        Exit status: 0 if all were trained, 2 if an input was at fault, else 1.

    Raises:
        InputError: if the notebooks, the pages or a split cannot be used.
    """
    notebook = find_notebook(NOTEBOOK)
    # All pages are prepared before the first training, so that a fault in them is found at once.
    # Only what says which run it is stays in memory; each training opens its pages itself.
    opened = [(inputs.prepared.summary, inputs.run_key) for inputs in map(open_inputs, configs)]
    for summary in dict.fromkeys(summary for summary, _ in opened):
        logger.info(summary)
    status = 0
    for number, (config, (_, run_key)) in enumerate(zip(configs, opened, strict=True), start=1):
        logger.info("\n[%s/%s] %s", number, len(configs), DISPLAY_NAMES[config.model])
        if is_finished(config.run_path, run_key):
            logger.info("already finished in %s, not trained again", config.run_path)
            remove_backup(config.run_path)
            continue
        try:
            run_notebook(notebook, config.notebook_path, asdict(config))
        except (InputError, RuntimeError) as error:
            status = max(status, 2 if isinstance(error, InputError) else 1)
            logger.error("%s was not trained: %s", config.run_name, error)
    table_path = configs[0].table_path
    if is_chief() and finished_runs(table_path):
        logger.info("\n%s\nwritten to %s", write_table(table_path), table_path)
    return status
