import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from tests.plots.drawn import inside, texts

from priorwise.plots.strict_f1 import (
    METHODS,
    MOST_FAMILIES,
    f1_against_length,
    f1_by_family,
    f1_by_stratum,
)


def table(groups, methods=("model", "rnafold", "copy")):
    lines = []
    for g, group in enumerate(groups):
        for m, method in enumerate(methods):
            f1 = 0.05 + 0.9 * ((3 * g + m) % 7) / 7
            lines.append((group, method, 100 - g, f1, f1 - 0.04, f1 + 0.05))
    return pd.DataFrame(lines, columns=["group", "method", "n", "f1", "f1.low", "f1.high"])


def test_strata_side_by_side():
    strata = ["below 0.5", "0.5 to 0.7", "0.7 or more"]
    found = table(strata)
    figure = f1_by_stratum(found, "identity with the nearest training sequence", "TS0")
    (axes,) = figure.axes
    said = texts(figure)
    for part in (*strata, "n = 100", "n = 98", "identity with", "model", "rnafold", "copy", "TS0"):
        assert part in said
    bars = sorted(axes.patches, key=lambda bar: bar.get_x())
    assert np.allclose([bar.get_height() for bar in bars], found["f1"])
    lefts = [bar.get_x() for bar in bars]
    rights = [bar.get_x() + bar.get_width() for bar in bars]
    assert all(right <= left for right, left in zip(rights[:-1], lefts[1:], strict=True))
    assert inside(figure)


def test_a_method_without_scores_in_a_stratum_leaves_a_gap():
    found = table(["a", "b"]).drop(index=0)
    figure = f1_by_stratum(found, "stratum", "TS0")
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert np.isnan(heights).sum() == 1 and inside(figure)


def test_methods_keep_their_colours():
    (axes,) = f1_by_stratum(table(["a"], ["copy", "other", "model"]), "x", "t").axes
    drawn = {c.get_label(): c.patches[0].get_facecolor()[:3] for c in axes.containers[::2]}
    assert drawn["copy"] == to_rgb(METHODS["copy"]) and drawn["model"] == to_rgb(METHODS["model"])
    assert len(set(drawn.values())) == 3


def test_families_largest_on_top():
    found = table([f"RF{k:05d}" for k in range(5)])
    figure = f1_by_family(found.iloc[::-1], "NEW")
    (axes,) = figure.axes
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == [f"RF{k:05d} (n = {100 - k})" for k in range(5)]
    low, high = axes.get_ylim()
    assert low > high  # downwards
    assert inside(figure)


def test_of_many_families_the_largest_are_drawn():
    found = table([f"family {k}" + "x" * 90 for k in range(MOST_FAMILIES + 4)])
    figure = f1_by_family(found, "NEW")
    assert len(figure.axes[0].get_yticks()) == MOST_FAMILIES
    assert f"the {MOST_FAMILIES} largest of {MOST_FAMILIES + 4}" in texts(figure)
    assert inside(figure)


def test_over_the_length_points_and_means():
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 100, 300)
    scores = pd.concat(
        [
            pd.DataFrame({"length": lengths, "method": m, "f1": rng.random(300)})
            for m in ("model", "rnafold")
        ]
    )
    figure = f1_against_length(scores, "TS0")
    (axes,) = figure.axes
    points, model, rnafold = axes.get_lines()
    assert len(points.get_xdata()) == 300
    assert len(model.get_xdata()) == len(rnafold.get_xdata()) == 6
    of_model = scores[scores["method"] == "model"]
    assert np.isclose(np.mean(model.get_ydata()), of_model["f1"].mean())
    assert (np.diff(model.get_xdata()) > 0).all()
    said = texts(figure)
    assert "length (nt)" in said and "strict F1" in said and "rnafold, mean" in said
    assert inside(figure)


def test_over_the_length_of_few_sequences():
    few = pd.DataFrame({"length": [30], "method": ["model"], "f1": [0.5]})
    assert inside(f1_against_length(few, "TS0"))
