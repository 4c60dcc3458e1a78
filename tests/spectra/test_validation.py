"""Metrics of a validation table, against ones computed from all rows at once."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tests.reference import nnpu

from priorwise.pu.selection import proxy_accuracy, proxy_f1, pu_auc
from priorwise.spectra.objective import Objective
from priorwise.spectra.validation import ValidationTally

PI, S = {"positive": 0.45, "negative": 0.3}, {"positive": 0.25, "negative": 0.1}
REFERENCE = {True: (0.45, 0.25), False: (0.3, 0.1)}
PRIOR_FREE = {"val_loss", "val_recall", "q", "pu_f", "score_spread"}
OF_A_PRIOR = {"nnpu_risk", "proxy_f1", "proxy_accuracy", "pu_auc", "q_gap"}


def table(n=3000):
    rng = np.random.default_rng(5)
    positive_mode = rng.random(n) < 0.7
    y = rng.random(n) < np.where(positive_mode, 0.45, 0.3)
    s = y & (rng.random(n) < np.where(positive_mode, 0.25 / 0.45, 0.1 / 0.3))
    # logits of the two polarities lie elsewhere, so that mixing them in one area would show
    logits = rng.normal(np.where(y, 1.0, -1.0)) + np.where(positive_mode, 0.3, -0.5)
    return logits, s, positive_mode


def alone(values, reduce_op="sum"):
    return values


def tally(objective, rows, n_batches):
    out = ValidationTally(objective)
    for part in np.array_split(np.arange(len(rows[0])), n_batches):
        logits, s, mode = (values[part] for values in rows)
        out.add(torch.tensor(logits).float(), torch.tensor(s).float(), torch.tensor(mode))
    return out


def objective(scenario, **kwargs):
    return Objective("nnpu", scenario=scenario, pi=PI, s=S, **kwargs)


def test_bce_metrics_need_no_prior():
    logits, s, mode = table()
    rows = logits[mode], s[mode], mode[mode]
    found = tally(Objective("bce"), rows, 7).metrics(alone)
    assert set(found) == PRIOR_FREE | {"labelled_auc"}
    assert found["labelled_auc"] == pytest.approx(roc_auc_score(rows[1], rows[0]), abs=1e-3)
    assert found["q"] == (rows[0] >= 0).mean()
    assert found["val_recall"] == (rows[0][rows[1]] >= 0).mean()
    assert found["score_spread"] == pytest.approx(np.ptp(rows[0]), rel=1e-6)


@pytest.mark.parametrize("kwargs", [{}, {"non_negative": False}, {"censoring_form": "marginal"}])
@pytest.mark.parametrize("scenario", ["published", "censoring", "case_control"])
def test_nnpu_metrics(scenario, kwargs):
    logits, s, mode = table()
    found = tally(objective(scenario, **kwargs), (logits, s, mode), 5).metrics(alone)
    assert set(found) >= PRIOR_FREE | OF_A_PRIOR
    risk = nnpu.risk(logits, s, mode, REFERENCE, scenario, **kwargs)[0]
    assert found["nnpu_risk"] == found["val_loss"] == pytest.approx(risk, rel=1e-5)

    called, target = logits >= 0, ~s if scenario == "case_control" else np.ones_like(s)
    alpha = {m: (pi - rate) / (1 - rate) for m, (pi, rate) in REFERENCE.items()}
    prior = alpha if scenario == "case_control" else {m: pi for m, (pi, _) in REFERENCE.items()}
    positives = {m: prior[m] * (target & (mode == m)).sum() for m in (True, False)}
    pi = sum(positives.values()) / target.sum()
    hit = sum(positives[m] * called[s & (mode == m)].mean() for m in (True, False))
    recall, q = hit / sum(positives.values()), called[target].mean()
    assert found["proxy_f1"] == pytest.approx(proxy_f1(recall, q, pi))
    assert found["proxy_accuracy"] == pytest.approx(proxy_accuracy(recall, q, pi))
    assert found["q_gap"] == pytest.approx(abs(q - pi))
    assert found["q"] == called.mean()

    areas = [pu_auc(roc_auc_score(s[mode == m], logits[mode == m]), alpha[m]) for m in alpha]
    shares = [(target & (mode == m)).sum() for m in alpha]
    assert found["pu_auc"] == pytest.approx(np.average(areas, weights=shares), abs=1e-3)
    for name, m in (("positive", True), ("negative", False)):
        assert found[f"q.{name}"] == called[mode == m].mean()
        assert found[f"val_recall.{name}"] == called[s & (mode == m)].mean()
        if scenario == "case_control":
            assert found[f"alpha.{name}"] == pytest.approx(alpha[m])
            assert found[f"q_unlabelled.{name}"] == called[~s & (mode == m)].mean()
        else:
            assert found[f"pi.{name}"] == prior[m]


def test_proxies_are_the_truth_where_labels_are_selected_at_random():
    """c differs by polarity: recall over all labelled rows would favour the one with more."""
    rng = np.random.default_rng(3)
    mode = np.arange(200_000) % 2 == 0
    y = rng.random(mode.size) < np.where(mode, 0.45, 0.3)
    s = y & (rng.random(mode.size) < np.where(mode, 0.25 / 0.45, 0.1 / 0.3))
    logits = rng.normal(np.where(y, 1.0, -1.0)) + np.where(mode, 1.0, -1.0)
    found = tally(objective("censoring"), (logits, s, mode), 4).metrics(alone)
    called = logits >= 0
    f1 = 2 * (called & y).sum() / (called.sum() + y.sum())
    assert found["proxy_f1"] == pytest.approx(f1, abs=0.005)
    assert found["proxy_accuracy"] == pytest.approx((called == y).mean(), abs=0.005)
    area = np.mean([roc_auc_score(y[mode == m], logits[mode == m]) for m in (True, False)])
    assert found["pu_auc"] == pytest.approx(area, abs=0.01)


@pytest.mark.parametrize("scenario", ["published", "case_control"])
def test_neither_batches_nor_ranks_change_anything(scenario):
    rows = table()
    whole = tally(objective(scenario), rows, 1).metrics(alone)
    halves = [tuple(values[i::2] for values in rows) for i in (0, 1)]
    ranks = [tally(objective(scenario), half, 6) for half in halves]
    # what each rank contributes is noted first, then every rank is given the total
    noted = [[], []]
    for rank, notes in zip(ranks, noted, strict=True):
        rank.metrics(lambda values, op, notes=notes: notes.append((values, op)) or values)
    totals = iter(
        a + b if op == "sum" else np.maximum(a, b)
        for (a, op), (b, same) in zip(*noted, strict=True)
        if op == same
    )
    found = ranks[0].metrics(lambda values, op: next(totals))
    assert found.keys() == whole.keys()
    for name, value in whole.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_a_polarity_without_labelled_rows_leaves_the_other():
    logits, s, mode = table()
    found = tally(objective("censoring"), (logits, s & mode, mode), 2).metrics(alone)
    assert np.isnan(found["nnpu_risk"])
    assert np.isfinite(found["pu_auc"]) and np.isfinite(found["proxy_f1"])
    assert "q.negative" not in found


def test_what_is_degenerate():
    bce, pu = Objective("bce"), objective("censoring")
    for metrics in ({"q": 0.0, "score_spread": 3.0}, {"q": 1.0, "score_spread": 3.0}):
        assert bce.degenerate(metrics) is None  # a perfect score of s never exceeds c
        assert pu.degenerate(metrics).startswith("q = ")
    for each in (bce, pu):
        assert "constant" in each.degenerate({"q": 0.5, "score_spread": 0.0})
        assert each.degenerate({"q": 0.5, "score_spread": 2.0}) is None
        assert each.degenerate({}) is None
    one = {"q": 0.5, "q.positive": 0.99, "q.negative": 0.01, "score_spread": 2.0}
    assert pu.degenerate(one) is None
    assert pu.degenerate_in_a_polarity(one).startswith("positive mode: q = 0.9900 > .98")
    assert bce.degenerate_in_a_polarity(one) is None
