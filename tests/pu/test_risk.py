import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import nnpu

from priorwise.pu.rates import ClassPrior, PolarityPriors
from priorwise.pu.risk import prior_in_loss, pu_risk
from priorwise.pu.risk_sums import RiskSums

PRIORS = PolarityPriors(positive=ClassPrior(0.4534, 0.267), negative=ClassPrior(0.2853, 0.128))
REFERENCE_PRIORS = {True: (0.4534, 0.267), False: (0.2853, 0.128)}

# name: (logits, s, positive_mode)
BATCHES = {
    "all right": ([4, 5, -6, -4], [1, 1, 0, 0], [1, 1, 1, 1]),
    "all wrong": ([-4, -5, 6, 4], [1, 1, 0, 0], [1, 1, 1, 1]),
    "clamped": ([6, 5, -6, -7, -5], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]),
    "not clamped": ([1, -1, 0.5, 2], [1, 1, 0, 0], [1, 1, 1, 1]),
    "mixed polarity": ([2, -1, 0.5, 1, -2, 3], [1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0]),
    "one of two clamped": ([5, 6, -5, -4, 1, -1, 2], [1, 1, 0, 0, 1, 0, 0], [1, 1, 1, 1, 0, 0, 0]),
    "negative mode only": ([1, -2, 0.3], [1, 0, 0], [0, 0, 0]),
    "no labelled": ([1, -2, 0.3], [0, 0, 0], [1, 0, 1]),
    "no unlabelled": ([1, -2, 0.3], [1, 1, 1], [1, 0, 1]),
    "one mode without labelled": ([1, -2, 0.3, -1], [1, 0, 0, 0], [1, 1, 0, 0]),
    "one mode without unlabelled": ([1, -2, 0.3, -1], [1, 0, 1, 1], [1, 1, 0, 0]),
    "each mode lacks the other half": ([1, -2, 0.3, -1], [1, 1, 0, 0], [1, 1, 0, 0]),
    "single labelled row": ([0.7], [1], [1]),
    "single unlabelled row": ([0.7], [0], [0]),
    "zero logits": ([0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0]),
}
SCENARIOS = {
    "published": {"scenario": "published"},
    "weighted": {"scenario": "censoring"},
    "marginal": {"scenario": "censoring", "censoring_form": "marginal"},
    "case_control": {"scenario": "case_control"},
}
SETTINGS = {
    "default": {},
    "beta": {"beta": 0.05},
    "gamma": {"gamma": 0.3},
    "both": {"beta": 0.02, "gamma": 0.5},
    "no ascent": {"gamma": 0.0},
    "skip": {"fallback": "skip"},
    "sigmoid": {"loss": "sigmoid"},
    "sigmoid, beta": {"loss": "sigmoid", "beta": 0.1},
    "unbiased": {"non_negative": False},
    "unbiased, sigmoid": {"non_negative": False, "loss": "sigmoid", "beta": 0.1},
}


def run(f, s, mode, scenario, priors=PRIORS, dtype=torch.float64, **kwargs):
    logits = torch.tensor(f, dtype=dtype, requires_grad=True)
    out = pu_risk(
        logits,
        torch.tensor(s, dtype=torch.float32),
        torch.tensor(mode, dtype=torch.bool),
        priors,
        scenario=scenario,
        **kwargs,
    )
    (grad,) = torch.autograd.grad(out.objective, logits)
    return out, grad.double().numpy()


def assert_same(f, s, mode, scenario, **kwargs):
    out, grad = run(f, s, mode, scenario, **kwargs)
    value, expected, clamped, strata, fell_back = nnpu.risk(
        f, s, mode, REFERENCE_PRIORS, scenario, **kwargs
    )
    np.testing.assert_allclose(out.objective.item(), value, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(grad, expected, rtol=1e-10, atol=1e-12)
    assert (out.clamped, out.strata, out.fell_back) == (clamped, strata, fell_back)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("batch", BATCHES)
def test_value_and_gradient_equal_the_reference(batch, setting, scenario):
    assert_same(*BATCHES[batch], **SCENARIOS[scenario], **SETTINGS[setting])


def test_the_cases_reach_every_branch():
    """Guards the list above: clamped and not, in both scenarios, and one of two."""
    clamped = {
        (name, scenario): run(*BATCHES[name], **kwargs)[0].clamped
        for name in BATCHES
        for scenario, kwargs in SCENARIOS.items()
    }
    for scenario in SCENARIOS:
        assert clamped["clamped", scenario] == 1
        assert clamped["not clamped", scenario] == 0
    for scenario in ("weighted", "case_control"):
        assert clamped["one of two clamped", scenario] == 1
    both = run([5, -5, 5, -5], [1, 0, 1, 0], [1, 1, 0, 0], "censoring")[0]
    assert (both.clamped, both.strata) == (2, 2)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_reference_gradient_equals_finite_differences(scenario):
    """Unclamped, the hand-derived gradient is the slope of the value."""
    f, s, mode = [1.0, -1.0, 0.5, 1.0, 2.0, 0.3], [1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0]
    scenario = SCENARIOS[scenario]
    _, grad, clamped, _, _ = nnpu.risk(f, s, mode, REFERENCE_PRIORS, **scenario)
    assert clamped == 0
    for i in range(len(f)):
        up, down = list(f), list(f)
        up[i], down[i] = f[i] + 1e-5, f[i] - 1e-5
        slope = (
            nnpu.risk(up, s, mode, REFERENCE_PRIORS, **scenario)[0]
            - nnpu.risk(down, s, mode, REFERENCE_PRIORS, **scenario)[0]
        ) / 2e-5
        assert grad[i] == pytest.approx(slope, abs=1e-8)


def test_hand_computed():
    """f = 0 everywhere: each l is ln 2."""
    ln2 = np.log(2)
    out, _ = run([0.0, 0.0], [1, 0], [1, 1], "published")
    assert out.objective.item() == pytest.approx(ln2)  # pi + 1 - pi
    priors = PolarityPriors(positive=ClassPrior(0.5, 0.2))
    out, grad = run([0.0, 0.0], [1, 0], [1, 1], "censoring", priors=priors)
    assert out.objective.item() == pytest.approx((0.5 + 0.8 - 0.3) * ln2)
    np.testing.assert_allclose(grad, [-0.25 - 0.15, 0.4])
    # case-control: alpha = .3 / .8, and alpha + 1 - alpha = 1
    out, grad = run([0.0, 0.0], [1, 0], [1, 1], "case_control", priors=priors)
    assert out.objective.item() == pytest.approx(ln2)
    np.testing.assert_allclose(grad, [-0.375 / 2 - 0.375 / 2, 0.5])
    # marginal: all rows have l(-f) = ln 2
    out, _ = run([0.0, 0.0], [1, 0], [1, 1], "censoring", priors=priors, censoring_form="marginal")
    assert out.objective.item() == pytest.approx((0.5 + 1 - 0.5) * ln2)


def test_clamped_branch_descends_the_negative_part_only():
    f, s, mode = BATCHES["clamped"]
    out, grad = run(f, s, mode, "published", beta=0.01)
    labelled = np.array([6.0, 5.0])
    positive_part = 0.4534 * np.log1p(np.exp(-labelled)).mean()
    assert out.objective.item() == pytest.approx(positive_part - 0.01)
    # ascent on mean_U l(-f) - pi mean_P l(-f): logits of labelled fall no more, of others rise
    np.testing.assert_allclose(grad[:2], 0.4534 / (1 + np.exp(-labelled)) / 2)
    assert (grad[2:] < 0).all()


rows = st.lists(
    st.tuples(st.floats(-30, 30), st.booleans(), st.booleans()), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=150)
@given(
    rows,
    st.sampled_from(list(SCENARIOS.values())),
    st.sampled_from(["logistic", "sigmoid"]),
    st.sampled_from(["bce", "skip"]),
    st.floats(0, 0.2),
    st.floats(0, 1),
    st.booleans(),
)
def test_equals_the_reference_everywhere(
    batch, scenario, loss, fallback, beta, gamma, non_negative
):
    f, s, mode = zip(*batch, strict=True)
    kwargs = {"loss": loss, "fallback": fallback, "beta": beta, "gamma": gamma}
    assert_same(f, s, mode, **scenario, **kwargs, non_negative=non_negative)


@settings(deadline=None, max_examples=50)
@given(rows, st.sampled_from(list(SCENARIOS.values())), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(batch, scenario, random):
    order = list(range(len(batch)))
    random.shuffle(order)
    out, grad = run(*zip(*batch, strict=True), **scenario)
    shuffled, grad_shuffled = run(*zip(*(batch[i] for i in order), strict=True), **scenario)
    assert shuffled.objective.item() == pytest.approx(out.objective.item(), abs=1e-12)
    np.testing.assert_allclose(grad_shuffled, grad[order], atol=1e-14)


@settings(deadline=None, max_examples=50)
@given(rows, st.sampled_from(list(SCENARIOS.values())), st.integers(2, 4))
def test_rows_repeated_change_nothing(batch, scenario, times):
    out, grad = run(*zip(*batch, strict=True), **scenario)
    again, grad_again = run(*zip(*(batch * times), strict=True), **scenario)
    assert again.objective.item() == pytest.approx(out.objective.item(), abs=1e-12)
    np.testing.assert_allclose(grad_again.reshape(times, -1).sum(axis=0), grad, atol=1e-12)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("loss", ["logistic", "sigmoid"])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_logits_stay_finite(scenario, loss, sign):
    f = [sign * 1e4, -sign * 1e4, sign * 1e4, -sign * 1e4]
    for s in ([1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]):
        out, grad = run(f, s, [1, 0, 1, 0], **SCENARIOS[scenario], dtype=torch.float32, loss=loss)
        assert np.isfinite(out.objective.item()) and np.isfinite(grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    f = [4.0, -3.0, 0.5, -8.0]
    out, grad = run(f, [1, 0, 0, 1], [1, 1, 0, 0], "censoring", dtype=dtype)
    exact, exact_grad = run(f, [1, 0, 0, 1], [1, 1, 0, 0], "censoring")
    assert out.objective.dtype == torch.float32
    assert out.objective.item() == pytest.approx(exact.objective.item(), rel=1e-6)
    np.testing.assert_allclose(grad, exact_grad, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_skip_gives_a_zero_that_can_be_descended(scenario):
    for s in (0, 1):
        out, grad = run([1.0, 2.0], [s, s], [1, 1], **SCENARIOS[scenario], fallback="skip")
        assert out.objective.item() == 0 and out.fell_back == 1 and out.strata == 0
        assert (grad == 0).all()
    out, grad = run([], [], [], **SCENARIOS[scenario])
    assert out.objective.item() == 0 and grad.shape == (0,)


def test_weighted_equals_marginal_where_s_is_the_batch_fraction():
    """(1-s) E_{s=0} l(-f) - (pi-s) E_P l(-f) = E_all l(-f) - pi E_P l(-f), nnPUss."""
    rng = np.random.default_rng(0)
    f, s = rng.normal(size=400), np.arange(400) < 100
    priors = PolarityPriors(positive=ClassPrior(0.45, 0.25))
    weighted, grad = run(f, s, np.ones(400), "censoring", priors=priors)
    as_positive, as_negative = np.log1p(np.exp(-f)), np.log1p(np.exp(f))
    by_hand = 0.45 * as_positive[s].mean() + as_negative.mean() - 0.45 * as_negative[s].mean()
    assert weighted.objective.item() == pytest.approx(by_hand, rel=1e-12)
    marginal, same = run(f, s, np.ones(400), "censoring", priors=priors, censoring_form="marginal")
    assert marginal.objective.item() == pytest.approx(by_hand, rel=1e-12)
    np.testing.assert_allclose(same, grad, rtol=1e-12, atol=1e-15)


def simulated(pi, c, n=200_000, distance=1.2, seed=7):
    """Logits, y, s of rows whose labels are selected completely at random."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < pi
    s = y & (rng.random(n) < c)
    return rng.normal(np.where(y, distance, -distance), 1.0), y, s


def oracle_risk(f, y):
    """Mean logistic loss with the true classes."""
    return np.where(y, np.log1p(np.exp(-f)), np.log1p(np.exp(f))).mean()


@pytest.mark.parametrize(("pi", "c"), [(0.454, 0.5889), (0.285, 0.4486)])
def test_censoring_risks_are_the_true_risk_and_published_is_not(pi, c):
    """200,000 simulated rows, labels selected completely at random, the guide's rates."""
    f, y, s = simulated(pi, c)
    priors = PolarityPriors(positive=ClassPrior(pi, pi * c))
    risk = {
        name: run(f, s, np.ones(y.size), priors=priors, **kwargs)[0].objective.item()
        for name, kwargs in SCENARIOS.items()
    }
    truth = oracle_risk(f, y)
    assert risk["weighted"] == pytest.approx(truth, rel=0.01)
    assert risk["marginal"] == pytest.approx(truth, rel=0.01)
    assert risk["weighted"] == pytest.approx(risk["marginal"], rel=0.01)
    assert risk["published"] < 0.8 * truth
    # case-control: the true risk, but of the unlabelled rows
    assert risk["case_control"] == pytest.approx(oracle_risk(f[~s], y[~s]), rel=0.01)


def test_the_target_of_case_control_is_the_unlabelled_rows_of_both_polarities():
    """Twice the labelled rows of one polarity (drawn from elsewhere) leave the risk as it is."""
    parts = {True: simulated(0.454, 0.5889), False: simulated(0.285, 0.4486, n=80_000, seed=8)}
    priors = PolarityPriors(ClassPrior(0.454, 0.454 * 0.5889), ClassPrior(0.285, 0.285 * 0.4486))
    f, y, s = (np.concatenate([part[i] for part in parts.values()]) for i in range(3))
    mode = np.repeat([True, False], [200_000, 80_000])
    risk = run(f, s, mode, "case_control", priors=priors)[0].objective.item()
    assert risk == pytest.approx(oracle_risk(f[~s], y[~s]), rel=0.01)
    again = np.flatnonzero(s & mode)
    more = np.concatenate([np.arange(f.size), again])
    twice = run(f[more], s[more], mode[more], "case_control", priors=priors)[0].objective.item()
    assert twice == pytest.approx(risk, rel=1e-9)


def test_unbiased_risk_becomes_negative_where_the_other_is_held():
    f, s, mode = BATCHES["clamped"]
    for kwargs in SCENARIOS.values():
        held, _ = run(f, s, mode, **kwargs)
        free, grad = run(f, s, mode, **kwargs, non_negative=False)
        assert free.objective.item() < 0 < held.objective.item()
        assert (held.clamped, free.clamped, free.strata) == (1, 0, 1)
        assert (grad[:2] < 0).all()  # labelled logits go on rising: it overfits


def test_the_value_that_enters_the_loss():
    prior = ClassPrior(0.5, 0.2)
    assert prior_in_loss(prior, "published") == prior_in_loss(prior, "censoring") == 0.5
    assert prior_in_loss(prior, "case_control") == pytest.approx(0.375)
    with pytest.raises(ValueError, match="^scenario:"):
        prior_in_loss(prior, "seed")


def test_polarity_without_prior_is_refused():
    only_positive = PolarityPriors(positive=ClassPrior(0.45, 0.27))
    for scenario in SCENARIOS.values():
        with pytest.raises(ValueError, match="negative mode"):
            run([1.0, 2.0], [1, 0], [0, 0], **scenario, priors=only_positive)
        run([1.0, 2.0], [1, 0], [1, 1], **scenario, priors=only_positive)


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"scenario": "seed"}, "scenario"),
        ({"scenario": "censoring", "censoring_form": "plain"}, "censoring_form"),
        ({"scenario": "published", "loss": "hinge"}, "loss"),
        ({"scenario": "published", "fallback": "zero"}, "fallback"),
        ({"scenario": "published", "beta": -1.0}, "beta"),
        ({"scenario": "published", "gamma": 1.5}, "gamma"),
    ],
)
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        run([1.0, 2.0], [1, 0], [1, 1], **kwargs)


def test_shapes_that_would_broadcast_are_refused():
    column = torch.zeros(3, 1)
    s, mode = torch.zeros(3), torch.ones(3, dtype=torch.bool)
    with pytest.raises(ValueError, match="^logits:"):
        pu_risk(column, s, mode, PRIORS, scenario="published")
    with pytest.raises(ValueError, match="^s:"):
        pu_risk(torch.zeros(3), s[:, None], mode, PRIORS, scenario="published")
    with pytest.raises(ValueError, match="^positive_mode:"):
        pu_risk(torch.zeros(3), s, mode[:1], PRIORS, scenario="published")


@pytest.mark.parametrize("loss", ["logistic", "sigmoid"])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("n_batches", [1, 3])
def test_sums_over_batches_give_the_risk_of_the_whole(scenario, loss, n_batches):
    rng = np.random.default_rng(3)
    f, s, mode = rng.normal(size=90) * 3, rng.random(90) < 0.3, rng.random(90) < 0.6
    sums = RiskSums.zero()
    for part in np.array_split(np.arange(90), n_batches):
        sums = sums + RiskSums.of(
            torch.tensor(f[part]), torch.tensor(s[part]), torch.tensor(mode[part]), loss
        )
    kwargs = SCENARIOS[scenario]
    expected = nnpu.risk(f, s, mode, REFERENCE_PRIORS, loss=loss, **kwargs)[0]
    assert sums.risk(PRIORS, **kwargs) == pytest.approx(expected, rel=1e-6)
    separated = np.where(s, 9.0, -9.0)
    sums = RiskSums.of(torch.tensor(separated), torch.tensor(s), torch.tensor(mode), loss)
    for beta, non_negative in ((0.0, True), (0.03, True), (0.0, False)):
        value, _, clamped, _, _ = nnpu.risk(
            separated,
            s,
            mode,
            REFERENCE_PRIORS,
            loss=loss,
            beta=beta,
            non_negative=non_negative,
            **kwargs,
        )
        assert (clamped > 0) == non_negative
        found = sums.risk(PRIORS, beta=beta, non_negative=non_negative, **kwargs)
        assert found == pytest.approx(value, rel=1e-5)


def test_sums_of_one_polarity_need_one_prior_and_undefined_risks_are_nan():
    only_positive = PolarityPriors(positive=ClassPrior(0.45, 0.27))
    ones = torch.ones(2, dtype=torch.bool)
    sums = RiskSums.of(torch.zeros(2), torch.tensor([1, 0]), ones)
    for scenario in SCENARIOS.values():
        assert np.isfinite(sums.risk(only_positive, **scenario))
        assert np.isnan(RiskSums.zero().risk(PRIORS, **scenario))
        assert np.isnan(RiskSums.of(torch.zeros(2), torch.zeros(2), ones).risk(PRIORS, **scenario))
        with pytest.raises(ValueError, match="negative mode"):
            RiskSums.of(torch.zeros(2), torch.tensor([1, 0]), ~ones).risk(only_positive, **scenario)
