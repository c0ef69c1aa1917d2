"""Strict papermill: run a notebook headlessly, or say in one sentence why not.

papermill alone only warns about a misspelt parameter, leaves a value stale that the parameters
cell derived from another, and counts `sys.exit(0)` in the middle as success.
"""

import ast
import sys
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

import ecg_lib
from ecg_lib.errors import InputError
from ecg_lib.experiment.config import project_path


def find_notebook(name):
    """The path of one of the project's notebooks.

    Args:
        name: such as `"02_train_model"`.

    Raises:
        InputError: if the notebooks are not there: they are part of a clone, not of the package.
    """
    folders = (project_path("notebooks"), Path(ecg_lib.__file__).parents[1] / "notebooks")
    paths = [folder / f"{name}.ipynb" for folder in folders]
    for path in paths:
        if path.exists():
            return path
    raise InputError(f"{paths[0]} is not there: expected to be run inside a clone of the project")


def run_notebook(source, output, parameters):
    """Run a notebook with papermill; what its cells print is shown as it comes.

    Args:
        source: the notebook.
        output: where the executed notebook goes, with its outputs.
        parameters: dict of values for its parameters cell.

    Raises:
        InputError: if a parameter is not in the notebook's parameters cell, if that cell holds
            anything but literals, if the output cannot be written, or if a cell raised an
            `InputError`.
        RuntimeError: if a cell raised another error, or the notebook ended before its last cell.
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
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
        )
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from None
    except PapermillExecutionError as error:
        if error.ename == InputError.__name__:
            raise InputError(error.evalue) from None
        raise RuntimeError(
            f"{source.name} failed with {error.ename}: {error.evalue}; see {output}"
        ) from None
    _check_whole(source, executed)


def _as_it_is(path):
    """A path for papermill, which would put parameters in the place of names in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def parameters_of(source):
    """The values in a notebook's parameters cell: `{name: value}`, all of them literals."""
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
