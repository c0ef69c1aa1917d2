"""What an interrupted training is resumed from.

    history.csv                one row per epoch that is done
    backup/after_epoch_<n>.npz weights, optimiser state and random states after n epochs

Each file is there whole or not at all. An epoch counts once its row is in `history.csv`, which is
written last, so that a kill at any moment leaves files that agree.
"""

import csv
import logging
import shutil
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from ecg_lib.errors import InputError
from ecg_lib.files import replacing, writing
from ecg_lib.runs.folder import BACKUP, HISTORY

logger = logging.getLogger(__name__)

COLUMNS = {"epoch", "loss", "val_loss", "accuracy", "val_accuracy", "seconds"}
"""What each row of the history holds."""


class Checkpoints(keras.callbacks.Callback):
    """Write the history and the state of training after each epoch, and resume from them.

    It replaces three callbacks of Keras. `BackupAndRestore` overwrites its weights, then its epoch
    number, and leaves out the state of dropout's random generators; `ModelCheckpoint` and
    `CSVLogger` each write a file that may disagree with it after a kill.

    Args:
        folder: the run folder.
        keep_best: whether the weights of the epoch with the lowest validation loss are kept, rather
            than those of the last epoch.
        read_only: whether another process writes the files, see `ecg_lib.runs.workers`.
    """

    def __init__(self, folder: Path, keep_best: bool, read_only: bool = False) -> None:
        super().__init__()
        self._folder = folder
        self._keep_best = keep_best
        self._read_only = read_only
        self._history: list[dict] = []

    @property
    def history(self) -> pd.DataFrame:
        """DataFrame with one row per epoch that is done."""
        return pd.DataFrame(self._history)

    @property
    def epoch_kept(self) -> int:
        """Number of the epoch whose weights are kept, from 1."""
        return self._kept_of(len(self._history))

    def restore(self, model: keras.Model) -> int:
        """Give a compiled model the state after the last epoch that is done and whole on disk.

        Under a strategy, it must be called in its scope. Damaged files are named in a warning.

        Returns:
            Number of epochs done: 0 if there is nothing to resume from.

        Raises:
            InputError: if a folder lies in the place of the history, or a file in that of the
                backups.
        """
        self._check_places()
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        history = self._read_history()
        for done in range(len(history), 0, -1):
            self._history = history[:done]
            if self._path(done).exists() and self._restore_epoch(model, done):
                return done
        self._history = []
        return 0

    def restore_kept(self, model: keras.Model) -> None:
        """Give a compiled model the weights that are kept."""
        _assign(model, self._read(model, self.epoch_kept))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the state, then the history.

        Raises:
            InputError: if the folder cannot be written to; what was written before stays.
        """
        done = epoch + 1
        self._history.append({"epoch": epoch} | dict(sorted((logs or {}).items())))
        if not self._read_only:
            with writing(self._folder):
                self._write(done)

    def _write(self, done):
        self._path(done).parent.mkdir(exist_ok=True)
        _remove_folder(self._path(done))
        with replacing(self._path(done)) as part:
            archive = BytesIO()
            # In memory first: of an archive that it cannot finish, `zipfile` prints a traceback.
            np.savez(archive, *[variable.numpy() for variable in _state(self.model)])
            part.write_bytes(archive.getbuffer())
        with replacing(self._folder / HISTORY) as part:
            # An empty cell is damage, NaN is not.
            self.history.to_csv(part, index=False, na_rep="nan")
        self._remove_older(done)

    def _remove_older(self, done):
        # The epoch before stays, in case the disk loses the last: a full disk, a power cut.
        needed = [self._path(number) for number in self._needed(done) | self._needed(done - 1)]
        for path in self._path(done).parent.glob("*.npz"):
            if path not in needed:
                _remove_folder(path)
                path.unlink(missing_ok=True)

    def _check_places(self):
        history, backup = self._folder / HISTORY, self._folder / BACKUP
        if history.is_dir():
            raise InputError(f"{history} is a folder: expected a file, or nothing there")
        if backup.is_file():
            raise InputError(f"{backup} is a file: expected a folder, or nothing there")

    def _restore_epoch(self, model, done):
        states = {}
        for number in self._needed(done):
            try:
                states[number] = self._read(model, number)
            except Exception as error:  # Which one it is depends on where the archive is damaged.
                logger.warning(
                    "%s is damaged and left out: %s", self._path(number), error or repr(error)
                )
                return False
        _assign(model, states[done])
        return True

    def _needed(self, done):
        """Return the epochs whose states are needed to resume after `done` epochs."""
        return {done, self._kept_of(done)} if done else set()

    def _kept_of(self, done):
        if not self._keep_best:
            return done
        return int(np.argmin([row["val_loss"] for row in self._history[:done]])) + 1

    def _path(self, done):
        return self._folder / BACKUP / f"after_epoch_{done}.npz"

    def _read(self, model, done):
        expected = [tuple(variable.shape) for variable in _state(model)]
        with np.load(self._path(done)) as file:
            # By the names that `savez` gave: where one is damaged, there may be two of another.
            state = [file[f"arr_{number}"] for number in range(len(file.files))]
        if [value.shape for value in state] != expected:
            raise ValueError("it holds the state of another network")
        return state

    def _read_history(self):
        """Read the rows up to the first one that is damaged."""
        path, rows = self._folder / HISTORY, []
        if not path.exists():
            return rows
        try:
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    rows.append(_parsed(row, number=len(rows)))
            if not rows:
                raise ValueError("no row")
        except (OSError, ValueError, TypeError, csv.Error):
            logger.warning("%s is damaged: only its first %s epochs are read", path, len(rows))
        return rows


def _parsed(row, number):
    values = {name: float(text) for name, text in row.items()}
    if not values.keys() >= COLUMNS or values["epoch"] != number:
        raise ValueError(f"row {number} is not that of epoch {number}")
    return values | {"epoch": number}


def _remove_folder(path):
    """Remove a folder in a checkpoint's place; the folder of backups holds nothing else."""
    if path.is_dir():
        shutil.rmtree(path)


def _state(model):
    """Return all variables that the rest of a training depends on, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _assign(model, state):
    for variable, value in zip(_state(model), state, strict=True):
        variable.assign(value)
