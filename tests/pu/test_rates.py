import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import elkan_noto

from priorwise.pu.rates import ClassPrior, PolarityPriors, alpha_of, check_prior, class_prior

rates = st.floats(0.001, 0.999)


@pytest.mark.parametrize(("s", "c", "pi"), [(0.267, 0.5889, 0.4534), (0.128, 0.4486, 0.2853)])
def test_the_guide_s_numbers(s, c, pi):
    assert round(class_prior(s, c), 4) == pi


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 500))
def test_rates_agree_with_counting(labelled, hidden, negatives):
    s, c, pi, alpha = elkan_noto.rates_from_counts(labelled, labelled + hidden, negatives)
    assert class_prior(float(s), float(c)) == pytest.approx(float(pi))
    assert alpha_of(float(pi), float(s)) == pytest.approx(float(alpha), abs=1e-12)


@pytest.mark.parametrize(
    ("s", "c", "name"),
    [(26.7, 0.5, "s"), (-0.1, 0.5, "s"), (math.nan, 0.5, "s"), (0.1, 0, "c"), (0.1, 1.01, "c")],
)
def test_class_prior_names_the_argument(s, c, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        class_prior(s, c)


def test_alpha_of_arrays_and_range():
    pi, s = np.array([0.4534, 0.2853]), np.array([0.267, 0.128])
    np.testing.assert_allclose(alpha_of(pi, s), [0.2543, 0.1804], atol=5e-5)
    for s in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="^s:"):
            alpha_of(0.5, s)


@given(rates, rates)
def test_a_prior_fits_exactly_if_s_is_below_c(s, c):
    reasons = check_prior(s, c, s / c)
    assert (reasons == []) == (s < c)


@pytest.mark.parametrize(
    ("s", "c", "pi", "says"),
    [
        (0.0, 0.5, 0.2, "s must be above 0"),
        (0.6, 0.5, 0.9, "s must be below c"),
        (0.5, 0.5, 0.9, "s must be below c"),
        (0.2, 1.2, 0.17, "c must be at most 1"),
        (0.2, 0.5, 0.0, "pi must lie between"),
        (0.2, 0.5, 1.0, "pi must lie between"),
        (0.2, 0.5, 45.34, "pi must lie between"),
        (math.nan, 0.5, 0.4, "not finite: s"),
        (0.2, math.inf, math.nan, "not finite: c, pi"),
    ],
)
def test_reasons_name_the_rule_and_the_values(s, c, pi, says):
    reasons = check_prior(s, c, pi)
    assert any(reason.startswith(says) for reason in reasons)
    assert all(f"s={s:.6g}" in r and f"c={c:.6g}" in r and f"pi={pi:.6g}" in r for r in reasons)


def test_all_broken_rules_are_listed():
    assert len(check_prior(-0.1, -0.5, 2.0)) == 3  # s above 0, s below c, pi range


def test_c_of_one_is_fit():
    assert check_prior(0.2, 1.0, 0.2) == []
    assert ClassPrior(0.2, 0.2).alpha == 0


def test_class_prior_record():
    prior = ClassPrior(0.4534, 0.267)
    assert prior.c == pytest.approx(0.5889, abs=1e-4)
    assert prior.alpha == pytest.approx(0.2543, abs=1e-4)
    with pytest.raises(ValueError, match="unfit"):
        ClassPrior(pi=0.2, s=0.3)
    for pi in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="unfit"):
            ClassPrior(pi, 0.1)


def test_polarity_priors():
    positive = ClassPrior(0.45, 0.27)
    priors = PolarityPriors(positive=positive)
    assert priors.of(True) is positive
    with pytest.raises(ValueError, match="negative mode"):
        priors.of(False)
    with pytest.raises(ValueError, match="at least one"):
        PolarityPriors()
