"""Crops that are drawn once, in parallel, and kept in a file per drawing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from ecg_lib.errors import InputError, workers_alive
from ecg_lib.files import only_process_in, replacing


def drawn_crops(
    cache: Path,
    draw: Callable[..., np.ndarray],
    arguments: Mapping[str, tuple[Any, ...]],
    task: str,
) -> dict[str, np.ndarray]:
    """Draw crops, unless they are drawn already; an interrupted drawing is completed.

    Args:
        cache: folder of the crops, named by all that they depend on.
        draw: returns the uint8 crops of one drawing; called in a worker process.
        arguments: its arguments by the name of the drawing.
        task: what is done, for the progress bar.

    Returns:
        The crops by the name of the drawing.

    Raises:
        InputError: if `cache` cannot be written to, if a file in it is damaged, or if a drawing's
            input cannot be used.
    """
    paths = {name: cache / f"{name}.npy" for name in arguments}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        with only_process_in(cache), workers_alive("draws pages"):
            drawing = Parallel(n_jobs=-1, return_as="generator_unordered")(
                delayed(_keep)(paths[name], draw, arguments[name]) for name in missing
            )
            counts = {"total": len(paths), "initial": len(paths) - len(missing)}
            for _ in tqdm(drawing, desc=task, mininterval=1, **counts):
                pass
    return {name: _read(path) for name, path in paths.items()}


def _keep(path, draw, arguments):
    if path.exists():  # Another process drew it while this one waited for the folder.
        return
    crops = draw(*arguments)
    with replacing(path) as part:
        np.save(part, crops)


def _read(path):
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path} cannot be read, it may be damaged ({' '.join(str(error).split())}): remove "
            f"it, and it is drawn again"
        ) from None
