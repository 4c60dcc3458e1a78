import math

import numpy as np
import pytest
from tests.plots.drawn import inside, texts

from priorwise.plots.priors import bbe_curve, estimators_compared


def test_bbe_curve_marks_the_chosen_bin():
    share = np.linspace(0.01, 1, 100)
    ratio = 0.3 + 0.5 * share**8
    upper = ratio + 0.05 / share
    chosen = int(upper.argmin())
    figure = bbe_curve(share, ratio, upper, chosen, "BBE, positive mode")
    assert f"alpha = {ratio[chosen]:.3f}" in texts(figure) and inside(figure)
    point = figure.axes[0].get_lines()[3]
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (share[chosen], ratio[chosen])
    low, high = figure.axes[0].get_ylim()
    assert low < ratio[chosen] < upper[chosen] < high


def test_bbe_curve_of_one_bin():
    assert inside(bbe_curve([1.0], [0.4], [0.6], 0, "t"))


@pytest.mark.parametrize("n", [1, 2, 16])
def test_estimators(n):
    pi = {f"estimator_{i}_with_isotonic": 0.4 + i / 40 for i in range(n)}
    chosen = list(pi)[-1]
    figure = estimators_compared(
        pi, chosen, (0.38, 0.5), 0.2, "Priors", interval_label="variance only", truth=0.45
    )
    said = texts(figure)
    for part in (*pi, "s = 0.200", "true pi = 0.450", f"{chosen}: variance only", "Priors"):
        assert part in said
    assert inside(figure)
    assert "true" not in texts(estimators_compared(pi, chosen, (0.3, 0.5), 0.2, "t"))


def test_estimates_that_are_none_or_impossible():
    pi = {"e1": math.nan, "e3": 1.4, "median": 0.99}
    figure = estimators_compared(pi, "median", (0.9, 1.3), 0.3, "t")
    said = texts(figure)
    assert "no estimate" in said and "1.400" in said and inside(figure)
    assert figure.axes[0].get_xlim()[1] <= 1
