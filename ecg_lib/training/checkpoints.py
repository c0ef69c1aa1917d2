"""What an interrupted training goes on from.

    history.csv                a row an epoch that is done
    backup/after_epoch_<n>.npz weights, optimiser state and random states after n epochs

Each file is there whole or not at all, and an epoch counts once its row stands in `history.csv`,
which is written last. So there is no moment at which a kill leaves files that disagree.
"""

import zipfile

import keras
import numpy as np
import pandas as pd

from ecg_lib.files import replacing
from ecg_lib.runs.folder import BACKUP, HISTORY

_BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)
"""What reading a damaged file raises."""


class Checkpoints(keras.callbacks.Callback):
    """Writes the history and the state of training after each epoch, and goes on from them.

    It stands for three callbacks of Keras. `BackupAndRestore` writes over its weights, then over
    its epoch number, and leaves out the state of dropout's random generators; `ModelCheckpoint` and
    `CSVLogger` each write a file that may disagree with it after a kill.

    Args:
        folder: the run folder.
        keep_best: whether the weights of the epoch with the least validation loss are kept, rather
            than those of the last epoch.
        read_only: whether another process writes the files, see `ecg_lib.runs.workers`.
    """

    def __init__(self, folder, keep_best, read_only=False):
        super().__init__()
        self._folder = folder
        self._keep_best = keep_best
        self._read_only = read_only
        self._history = []

    @property
    def history(self):
        """DataFrame with a row an epoch that is done."""
        return pd.DataFrame(self._history)

    @property
    def epoch_kept(self):
        """Number of the epoch whose weights are kept, from 1."""
        return self._kept_of(len(self._history))

    def restore(self, model):
        """Give a compiled model the state after the last epoch that is done and whole on disk.

        Under a strategy, to be called in its scope.

        Returns:
            Number of epochs done: 0 if there is nothing to go on from.
        """
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        history = self._read_history()
        for done in range(len(history), 0, -1):
            self._history = history[:done]
            if self._path(done).exists() and self._restore_epoch(model, done):
                return done
        self._history = []
        return 0

    def restore_kept(self, model):
        """Give a compiled model the weights that are kept."""
        _assign(model, self._read(model, self.epoch_kept))

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        self._history.append({"epoch": epoch} | dict(sorted(logs.items())))
        if self._read_only:
            return
        self._path(done).parent.mkdir(exist_ok=True)
        with replacing(self._path(done)) as part, part.open("wb") as file:
            np.savez(file, *[variable.numpy() for variable in _state(self.model)])
        with replacing(self._folder / HISTORY) as part:
            self.history.to_csv(part, index=False)
        self._remove_older(done)

    def _remove_older(self, done):
        # The epoch before stays, in case the disk loses the last: a full disk, a power cut.
        needed = [self._path(number) for number in self._needed(done) | self._needed(done - 1)]
        for path in self._path(done).parent.glob("*.npz"):
            if path not in needed:
                path.unlink()

    def _restore_epoch(self, model, done):
        states = {}
        for number in self._needed(done):
            try:
                states[number] = self._read(model, number)
            except _BROKEN:
                print(f"{self._path(number)} is broken: going on without it", flush=True)
                return False
        _assign(model, states[done])
        return True

    def _needed(self, done):
        """Of which epochs the state is needed to go on after `done` epochs."""
        return {done, self._kept_of(done)} if done else set()

    def _kept_of(self, done):
        if not self._keep_best:
            return done
        return int(np.argmin([row["val_loss"] for row in self._history[:done]])) + 1

    def _path(self, done):
        return self._folder / BACKUP / f"after_epoch_{done}.npz"

    def _read(self, model, done):
        with np.load(self._path(done)) as file:
            state = [file[name] for name in file.files]
        expected = [tuple(variable.shape) for variable in _state(model)]
        if [value.shape for value in state] != expected:
            raise ValueError("the state of another model")
        return state

    def _read_history(self):
        path = self._folder / HISTORY
        try:
            # pandas' faster way of reading is off by the last digit.
            rows = pd.read_csv(path, float_precision="round_trip").to_dict("records")
            return rows if [row["epoch"] for row in rows] == list(range(len(rows))) else []
        except _BROKEN:
            return []


def _state(model):
    """All variables that the rest of a training depends on, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _assign(model, state):
    for variable, value in zip(_state(model), state, strict=True):
        variable.assign(value)
