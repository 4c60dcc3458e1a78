import numpy as np
import pandas as pd
from tests.plots.drawn import inside, texts

from priorwise.plots.threshold import threshold_curves
from priorwise.pu.threshold import ThresholdCurve


def curve(weight=None, n=300):
    rng = np.random.default_rng(0)
    y = rng.random(n) < 0.4
    s = (y & (rng.random(n) < 0.5)).astype(int)
    return ThresholdCurve.of(rng.beta(1 + 3 * y, 2), s, weight)


def drawn(found, threshold, title="Test Set 2"):
    points = pd.DataFrame(vars(found))
    return threshold_curves(points, found.at(threshold), "rule percentile 5", title)


def test_says_what_was_chosen():
    found = curve(np.full(300, 2.0))
    said = texts(drawn(found, 0.4))
    chosen = found.at(0.4)
    for part in (
        "threshold 0.4000 (rule percentile 5)",
        f"keeps {100 * chosen.recall:.1f} % of labelled",
        f"{100 * chosen.share_kept:.1f} % of all",
        "precision, estimated",
        "chosen: 0.4000",
    ):
        assert part in said


def test_both_panels_hold_the_chosen_point():
    found = curve()
    over, against = drawn(found, 0.4).axes
    chosen = found.at(0.4)
    points = [tuple(map(tuple, line.get_data())) for line in over.get_lines()]
    assert ((0.4, 0.4), (chosen.recall, chosen.share_kept)) in points
    assert any(
        list(map(float, np.ravel(line.get_data()))) == [chosen.share_kept, chosen.recall]
        for line in against.get_lines()
    )


def test_precision_is_left_out_where_c_is_not_known():
    assert "precision" not in texts(drawn(curve(), 0.4))


def test_one_point_and_a_long_title_are_drawn():
    found = ThresholdCurve.of([0.3, 0.3], [0, 1])
    assert inside(drawn(found, 0.3, "Test Set 2, a title that is rather long for this figure"))
