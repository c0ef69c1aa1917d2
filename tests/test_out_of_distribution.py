"""The out-of-distribution score, and the limits that a run's record holds."""

import numpy as np
import pandas as pd
from conftest import ROOT

from ecg_lib.data.classes import CLASSES
from ecg_lib.evaluation.out_of_distribution import (
    KEPT,
    answering_of,
    fit_answering,
    out_of_distribution_score,
)
from ecg_lib.runs.folder import DEFAULT_RUN, read_run
from ecg_lib.runs.predictions import LOGIT


def made_up(logits, split="validation"):
    table = pd.DataFrame(logits, columns=[LOGIT + name for name in CLASSES])
    labels = np.resize(CLASSES, len(table))
    return table.assign(split=split, label=labels)


def is_answered(logits, answering):
    score = out_of_distribution_score(np.asarray(logits), answering)
    return score <= answering.out_of_distribution_limit


def test_the_limit_keeps_its_share_of_the_validation_pages():
    logits = np.random.default_rng(0).normal(0, 3, (400, 5))
    answering = fit_answering(pd.concat([made_up(logits), made_up(100 * logits, "test")]))
    kept = is_answered(logits, answering).mean()
    assert KEPT <= kept <= KEPT + 1 / 400


def test_logits_too_close_together_or_too_far_apart_are_refused():
    answering = fit_answering(made_up(np.random.default_rng(0).normal(0, 3, (400, 5))))
    logits = np.array([[3.0, -3, 3, -3, 0], [0.1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [90, 0, 0, 0, 0]])
    assert list(is_answered(logits, answering)) == [True, False, False, False]
    # What all logits have in common says nothing about the classes.
    np.testing.assert_allclose(
        out_of_distribution_score(logits[:1] + 50, answering),
        out_of_distribution_score(logits[:1], answering),
    )


def test_the_committed_record_holds_what_its_predictions_give():
    run = read_run(ROOT / DEFAULT_RUN)
    assert run.record.answering == fit_answering(run.predictions)
    assert answering_of(ROOT / "no such folder", run.record) == run.record.answering
