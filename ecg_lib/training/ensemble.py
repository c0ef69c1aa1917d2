"""Make one network of several, which answers with the mean of their probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecg_lib.errors import InputError
from ecg_lib.evaluation.out_of_distribution import (
    fit_answering,
    join_statistics,
    read_statistics,
    write_statistics,
)
from ecg_lib.files import only_process_in, refuse_other_files
from ecg_lib.models import save
from ecg_lib.models.layers import MeanProbability
from ecg_lib.runs.folder import (
    LOCK_SECONDS,
    MODEL,
    check_boxes,
    finish_run,
    holds_finished_run,
    open_run,
)
from ecg_lib.runs.network import load_network, mean_network
from ecg_lib.runs.predictions import (
    LOGIT,
    classes_of,
    logits_of,
    read_predictions,
    write_predictions,
)
from ecg_lib.runs.record import RECORD, Member, read_record


def make_ensemble(members: Sequence[Path], folder: Path) -> Path:
    """Write a run folder whose network answers with the mean probability of several runs.

    Nothing is trained: the weights are those of the members, and the predictions are computed from
    theirs. If all members learnt statements, the network answers with the mean of those
    probabilities, too. The record is that of the first member, except for the numbers that add up,
    the devices, and whether a member was resumed.

    Args:
        members: two or more run folders with their weights that differ only in their seed.
        folder: the run folder to write, which must hold neither a finished run nor other files.

    Returns:
        `folder`.

    Raises:
        InputError: if a member cannot be used, if two of them differ in more than their seed, or if
            `folder` holds a finished run already or other files, cannot be written to, or is
            being written by another process.
    """
    _refuse_used(folder)
    records = [_read_member(member) for member in members]
    _check_they_go_together(members, records)
    network = mean_network([load_network(*pair) for pair in zip(members, records, strict=True)])
    predictions = _mean_predictions(
        [read_predictions(*pair) for pair in zip(members, records, strict=True)]
    )
    statistics = join_statistics(
        [read_statistics(*pair) for pair in zip(members, records, strict=True)]
    )
    with only_process_in(folder, LOCK_SECONDS):
        _refuse_used(folder)  # Another process may have finished meanwhile.
        _write(folder, records, network, predictions, statistics)
    return folder


def _refuse_used(folder):
    if holds_finished_run(folder):
        raise InputError(f"{folder} holds a run already: expected a folder without one")
    refuse_other_files(folder, RECORD, "a run")


def _write(folder, records, network, predictions, statistics):
    first = records[0]
    devices = dict.fromkeys(record.devices for record in records)
    open_run(folder, first.key)
    save(network, folder / MODEL)
    write_statistics(folder, statistics)
    finish_run(
        folder,
        first.key,
        data=first.data,
        classes=first.classes,
        pages=first.pages,
        layouts=first.layouts,
        recipe=first.recipe,
        epochs_done=first.epochs_done,
        strategy=first.strategy,
        workers=first.workers,
        replicas=first.replicas,
        batch_per_replica=first.batch_per_replica,
        resumed=any(record.resumed for record in records),
        wall_seconds=round(sum(record.wall_seconds for record in records), 1),
        devices=tuple(device for of_member in devices for device in of_member),
        parameters=sum(record.parameters for record in records),
        trainable_parameters=sum(record.trainable_parameters for record in records),
        members=tuple(Member(record.config.seed, record.model_sha256) for record in records),
        answering=fit_answering(write_predictions(folder, predictions), statistics),
    )


def _read_member(run):
    record = read_record(run)
    check_boxes(run, record)
    return record


def _check_they_go_together(members, records):
    """Refuse fewer than two members, and members that differ in more than their seed."""
    first = records[0]
    for member, record in zip(members, records, strict=True):
        for name, value in record.config.result_options().items():
            of_first = getattr(first.config, name)
            if name != "seed" and value != of_first:
                raise InputError(
                    f"{member} differs from {members[0]} in {name}, {value} and {of_first}: "
                    f"expected runs that differ by their seed alone"
                )
        if (record.data_hash, record.split_hash) != (first.data_hash, first.split_hash):
            raise InputError(
                f"{member} was not trained and tested on the same pages as {members[0]}: expected "
                f"runs of one split, which the protocol plain draws anew for each seed"
            )
        if record.members:
            raise InputError(f"{member} is an ensemble already: expected runs of one network each")
    seeds = [record.config.seed for record in records]
    if len(set(seeds)) < max(2, len(seeds)):
        raise InputError(
            f"the members have the seeds {', '.join(map(str, seeds))}: expected two or more, each "
            f"another"
        )


def _mean_predictions(tables):
    """Compute the predictions of the mean network from those of its members."""
    first = tables[0].set_index("file")
    members = [logits_of(table.set_index("file").loc[first.index]) for table in tables]
    # The layer of the network, in the precision of the tables.
    mean = np.asarray(MeanProbability(dtype="float64")(members))
    names = [LOGIT + name for name in classes_of(first)]
    return first.assign(**dict(zip(names, mean.T, strict=True))).reset_index()
