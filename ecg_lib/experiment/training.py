"""Train one model on one split of the pages, and record what came out."""

import shutil
import time
from contextlib import contextmanager
from functools import partial

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from ecg_lib.data.classes import CLASSES
from ecg_lib.data.splits import PROTOCOLS, SPLITS
from ecg_lib.errors import InputError
from ecg_lib.experiment import runs
from ecg_lib.experiment.checkpoints import Checkpoints
from ecg_lib.experiment.devices import choose_strategy, device_name, wait_for_workers
from ecg_lib.experiment.evaluation import LOGIT, SCORED_SPLITS, metrics
from ecg_lib.experiment.inputs import name_of_data
from ecg_lib.experiment.recipes import RECIPES, class_weights, compile_model
from ecg_lib.experiment.workers import is_chief, worker_count
from ecg_lib.models import build, load

PREDICT_BATCH = 64

_SHARE_BATCHES = tf.data.Options()
# Of several workers, each takes its part of every batch.
_SHARE_BATCHES.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA


def train(config, inputs):
    """Train the model of a `RunConfig`, unless the same run is finished already.

    A training that was interrupted is gone on with after its last whole epoch. The weights are
    saved as `model.keras`; the predictions and every figure come from that file, loaded again
    outside the strategy, so what is reported is what others can load. Of several workers, each has
    to call this with the same arguments; the chief alone writes, see `ecg_lib.experiment.workers`.

    Args:
        config: a `RunConfig`.
        inputs: what `ecg_lib.experiment.inputs.open_inputs(config)` returned.

    Returns:
        The run folder, as a `pathlib.Path`; `ecg_lib.experiment.runs` says what it holds.

    Raises:
        InputError: if the strategy or the image size cannot be used, if there is one class alone,
            if training ran into NaN or infinity, or if another process is training in the run
            folder.
    """
    folder = config.run_path
    if not is_chief():
        if not runs.is_finished(folder, inputs.identity):
            _train(config, inputs, folder)
        return folder
    with runs.only_process_in(folder):
        if not runs.is_finished(folder, inputs.identity):
            runs.open_run(folder, inputs.identity)
            _train(config, inputs, folder)
        shutil.rmtree(folder / runs.BACKUP, ignore_errors=True)
    return folder


def _train(config, inputs, folder):
    """Train, predict, and write the record last."""
    prepared, splits = inputs.prepared, inputs.splits
    strategy = choose_strategy(config.strategy)
    wait_for_workers(strategy)  # Until then, the chief may be clearing the run folder.
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()

    used = prepared.pages[splits.notna()]
    classes = [name for name in CLASSES if name in set(used["class"])]
    if len(classes) < 2:
        raise InputError(
            f"{config.data_path} holds pages of one class alone, {classes[0]}: expected a folder "
            f"with a folder for each of two classes or more"
        )
    labels = used["class"].map(classes.index)
    rows = {name: splits.index[splits == name].to_numpy() for name in SPLITS}
    fitted = _fit(config, strategy, prepared.crops, labels, rows, classes, folder)
    fitted |= {"data": name_of_data(config, prepared.pages)}

    if is_chief():
        _judge(inputs, fitted, rows, classes, folder)
    wait_for_workers(strategy)  # Until then, there is no record to read.


def _judge(inputs, fitted, rows, classes, folder):
    """Predict with the saved model, and write the record."""
    prepared, splits = inputs.prepared, inputs.splits
    model = load(folder / runs.MODEL)
    scored = splits.index[splits.isin(SCORED_SPLITS)].to_numpy()
    predictions = _predict(model, prepared, splits, scored, classes)
    predictions.to_csv(folder / runs.PREDICTIONS, index=False, float_format="%.6g")
    runs.write_record(
        folder,
        inputs.identity
        | fitted
        | {
            "classes": classes,
            "parameters": model.count_params(),
            "trainable_parameters": int(sum(np.prod(w.shape) for w in model.trainable_weights)),
            "pages": {name: len(of_split) for name, of_split in rows.items()},
            "layouts": inputs.layouts,
            "metrics": metrics(
                runs.read_predictions(folder), inputs.identity["config"]["protocol"]
            ),
        },
    )


def _fit(config, strategy, crops, labels, rows, classes, folder):
    """Train, save `model.keras` and `history.csv`; return what the record says about it."""
    protocol, recipe = PROTOCOLS[config.protocol], RECIPES[config.recipe]
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise InputError(
            f"batch_size {config.batch_size} does not divide among {replicas} devices: "
            f"expected a multiple of {replicas}"
        )
    steps = -(-len(rows["train"]) // config.batch_size)
    mean, variance = moments(crops, rows["train"])
    new_model = partial(
        build, config.model, crops.shape[1:], len(classes), mean=mean, variance=variance
    )
    checkpoints = Checkpoints(folder, protocol.keep_best, read_only=not is_chief())
    with strategy.scope(), precision(config.mixed_precision):
        model = new_model()
        compile_model(model, recipe, config.learning_rate, steps, config.epochs)
        done = checkpoints.restore(model)
    if done:
        print(f"{config.run_name}: going on after epoch {done} of {config.epochs}", flush=True)
        if is_chief():
            runs.note_resumed(folder, done)
    order = page_order(
        len(rows["train"]),
        config.epochs * steps * config.batch_size,
        config.seed,
        protocol.reshuffle,
    )
    if done < config.epochs:
        model.fit(
            batches(
                crops,
                labels,
                rows["train"],
                order,
                config.batch_size,
                augment=recipe.augment,
                seed=config.seed,
                skip=done * steps,
            ),
            steps_per_epoch=steps,
            initial_epoch=done,
            epochs=config.epochs,
            class_weight=class_weights(labels.loc[rows["train"]], recipe.balance),
            validation_data=whole(crops, labels, rows["validation"], replicas),
            shuffle=False,
            verbose=2,
            callbacks=[EpochSeconds(), keras.callbacks.TerminateOnNaN(), checkpoints],
        )
    history = checkpoints.history
    _check_numbers(config, history, folder)
    if is_chief():
        checkpoints.restore_kept(model)
        # Saved without the optimiser, whose state is twice as large as the weights, and in float32,
        # which every device computes.
        to_save = new_model()
        to_save.set_weights(model.get_weights())
        to_save.save(folder / runs.MODEL)
    return {
        "recipe": recipe.choice,
        "epochs_done": len(history),
        "epoch_kept": checkpoints.epoch_kept,
        "resumed": done > 0,
        "wall_seconds": round(float(history["seconds"].sum()), 1),
        "strategy": type(strategy).__name__,
        "workers": worker_count(),
        "replicas": replicas,
        "batch_per_replica": config.batch_size // replicas,
        "devices": [device_name(device) for device in strategy.extended.worker_devices],
    }


def _check_numbers(config, history, folder):
    """Give up a training that ran into NaN or infinity, at both of which Keras stops."""
    finite = np.isfinite(history[["loss", "val_loss"]]).all(axis="columns")
    failed = history["epoch"][~finite]
    if failed.empty:
        return
    # What was saved since may hold them as well, so there is nothing to go on from.
    shutil.rmtree(folder / runs.BACKUP, ignore_errors=True)
    raise InputError(
        f"{config.run_name}: training ran into NaN or infinity in epoch {failed.iloc[0] + 1}: "
        f"expected a smaller learning_rate than {config.learning_rate}"
    )


@contextmanager
def precision(mixed):
    """Let the models that are built in this context compute in float16, or else in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16" if mixed else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class EpochSeconds(keras.callbacks.Callback):
    """Adds the duration of each epoch, in seconds, to its logs as `seconds`."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = round(time.perf_counter() - self._begin, 3)


def moments(crops, rows):
    """Mean and variance of all pixels of the given rows, for the model's Normalization layer.

    Args:
        crops: uint8 array `(pages, 13, height, width)`.
        rows: rows to take.

    Returns:
        `(mean, variance)`, floats on the scale of 0..255.
    """
    counts = np.zeros(256, np.int64)
    for row in rows:
        counts += np.bincount(crops[row].ravel(), minlength=256)
    levels = np.arange(256)
    mean = np.average(levels, weights=counts)
    return float(mean), float(np.average((levels - mean) ** 2, weights=counts))


def page_order(pages, length, seed, reshuffle):
    """In which order the training pages are gone through, round after round.

    The rounds follow each other without a gap and batches are cut from the whole, so that every
    batch is full, no page is left out more often than another, and the order at any step is known
    without going through the steps before it.

    Args:
        pages: number of training pages.
        length: number of places to fill.
        seed: random seed of the order.
        reshuffle: whether each round has an order of its own; otherwise they are taken as they are.

    Returns:
        int64 array `(length,)` of numbers from 0 to `pages - 1`.
    """
    rounds = range(-(-length // pages))
    if reshuffle:
        orders = [np.random.default_rng([seed, number]).permutation(pages) for number in rounds]
    else:
        orders = [np.arange(pages)] * len(rounds)
    return np.concatenate(orders)[:length]


def batches(crops, labels, rows, order, batch_size, *, augment=None, seed=0, skip=0):
    """A `tf.data.Dataset` of full batches of `(crops, labels)` of `rows`, taken in `order`.

    Args:
        crops: uint8 array `(pages, 13, height, width)`.
        labels: Series of class numbers, its index the rows of `crops`.
        rows: rows to take.
        order: places in `rows`, one after the other.
        batch_size: pages a batch.
        augment: what is done to each batch's crops, see `ecg_lib.experiment.recipes.Recipe`.
        seed: random seed of what `augment` does; a batch's number counts as well.
        skip: number of batches to leave out, those that were trained on before.
    """
    with tf.device("CPU"):
        all_crops = tf.constant(crops[rows])
        all_labels = tf.constant(labels.loc[rows].to_numpy())

    def take(number, places):
        taken = tf.gather(all_crops, places)
        if augment:
            taken = augment(taken, [seed, number])
        return taken, tf.gather(all_labels, places)

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size, drop_remainder=True)
        .enumerate()
        .skip(skip)
        .map(take)
        .prefetch(tf.data.AUTOTUNE)
        .with_options(_SHARE_BATCHES)
    )


def whole(crops, labels, rows, replicas=1):
    """A `tf.data.Dataset` of `(crops, labels, weights)` of all `rows`, in their order.

    Replicas fail on a batch that does not divide among them, so in front of them the first rows
    come once more where it takes that, with a weight of 0. The weights add up to their number, by
    which Keras divides.
    """
    filled = np.resize(rows, -(-len(rows) // replicas) * replicas)
    weights = np.zeros(len(filled), np.float32)
    weights[: len(rows)] = len(filled) / len(rows)
    pages = tf.data.Dataset.from_tensor_slices((crops[filled], labels.loc[filled], weights))
    return pages.batch(PREDICT_BATCH // replicas * replicas).with_options(_SHARE_BATCHES)


def _predict(model, prepared, splits, rows, classes):
    logits = model.predict(prepared.crops[rows], batch_size=PREDICT_BATCH, verbose=0)
    pages = prepared.pages.loc[rows]
    columns = pages[["file", "page_id", "group"]].assign(split=splits[rows], label=pages["class"])
    named = pd.DataFrame(logits, index=rows, columns=[LOGIT + name for name in classes])
    return pd.concat([columns, named], axis="columns")
