"""MATLAB files of version 7.3, which are HDF5."""

from pathlib import Path
from typing import Any

import numpy as np

from ecg_lib.drawing.formats.raw import refuse_if_too_large


def read_variables(file: Path) -> dict[str, Any]:
    """Read the variables, structs as dicts and cells as lists.

    MATLAB stores axes in the opposite order, text as numbers of characters, and what is in a cell
    or an array of structs under references (https://www.mathworks.com/help/matlab, "MAT-File
    Versions").
    """
    import h5py

    with h5py.File(file) as opened:
        numbers = []
        opened.visititems(
            lambda name, item: numbers.append(item.size) if isinstance(item, h5py.Dataset) else None
        )
        refuse_if_too_large(file, sum(numbers))
        return _group(opened, opened)


def _group(opened, group):
    return {name: _item(opened, item) for name, item in group.items() if not name.startswith("#")}


def _item(opened, item):
    import h5py

    if isinstance(item, h5py.Group):
        return _group(opened, item)
    if h5py.check_ref_dtype(item.dtype):
        parts = [_item(opened, opened[reference]) for reference in item[()].ravel(order="F")]
        return parts[0] if len(parts) == 1 else parts
    if item.attrs.get("MATLAB_empty"):
        return np.empty(0)
    if item.attrs.get("MATLAB_class") == b"char":
        rows = ["".join(map(chr, row)).strip() for row in np.atleast_2d(item[()].T)]
        return rows[0] if len(rows) == 1 else np.array(rows)
    array = np.asarray(item[()]).T
    return array.ravel()[0] if array.size == 1 else array
