import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency
from tests.reference.scar import wilson as by_quadratic

from priorwise.pu.proportions import Proportion, differences, wilson

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_interval_is_wilson_s(counts):
    k, n = counts
    np.testing.assert_allclose(wilson(k, n), by_quadratic(k, n), atol=1e-9)
    known = binomtest(k, n).proportion_ci(0.9, "wilson")
    np.testing.assert_allclose(wilson(k, n, 0.9), (known.low, known.high), atol=1e-9)


@given(COUNTS)
def test_interval_encloses_the_proportion(counts):
    found = Proportion.of(*counts)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    assert found.value == counts[0] / counts[1]


def test_no_rows_have_no_proportion():
    found = Proportion.of(0, 0)
    assert np.isnan([found.value, found.low, found.high]).all()


@pytest.mark.parametrize(("k", "n"), [(-1, 4), (5, 4), (1, 0)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="^k:"):
        Proportion.of(k, n)


def test_statistic_is_pearson_s():
    k, n = np.array([30, 45, 12]), np.array([50, 60, 40])
    expected = np.full((1, 3), k.sum() / n.sum())
    statistic, largest, p = differences(k, n, expected)
    table = np.array([k, n - k])
    assert statistic[0] == pytest.approx(chi2_contingency(table, correction=False).statistic)
    # Haberman's adjusted residuals: residual / sqrt(variance * (1 - rows of the group / all rows))
    rate = k.sum() / n.sum()
    adjusted = (k - n * rate) / np.sqrt(n * rate * (1 - rate) * (1 - n / n.sum()))
    assert largest[0] == pytest.approx(np.abs(adjusted).max())
    assert 0 < p[0] < 1


def test_false_alarms_are_about_as_rare_as_announced():
    rng = np.random.default_rng(0)
    n = np.array([40, 80, 60, 30, 120, 55])
    p = []
    for _ in range(2000):
        k = rng.binomial(n, 0.85)
        p.append(differences(k, n, np.full((1, 6), k.sum() / n.sum()))[2][0])
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.08


def test_one_odd_group_is_seen():
    n = np.full(8, 60)
    k = np.array([54, 54, 54, 54, 54, 54, 54, 36])
    assert differences(k, n, np.full((1, 8), k.sum() / n.sum()))[2][0] < 1e-6
