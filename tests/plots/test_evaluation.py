import numpy as np
import pandas as pd
import pytest
from tests.plots.drawn import inside, texts
from tests.plots.test_scores import table

from priorwise.plots.evaluation import MOST_GROUPS, recall_by_dataset, scores_at_threshold
from priorwise.pu.proportions import Proportion


def groups(n=6, empty=0):
    lines = []
    for i in range(n):
        n_labelled = 0 if i < empty else 20 + i
        recall = Proportion.of(n_labelled // 2 + i % 3 if n_labelled else 0, n_labelled)
        lines.append(
            {
                "dataset_id": f"MSV00008{i:04d}",
                "polarity": ("positive", "negative")[i % 2],
                "n_labelled": n_labelled,
                "recall": recall.value,
                "recall.low": recall.low,
                "recall.high": recall.high,
            }
        )
    return pd.DataFrame(lines)


def drawn(found):
    return recall_by_dataset(found, 0.9, 0.7312, "Test Set 3")


def test_every_data_set_is_drawn_lowest_first():
    found = groups()
    figure = drawn(found)
    said = texts(figure)
    for name in found["dataset_id"]:
        assert name in said
    for part in ("recall at 0.7312", "positive mode", "negative mode", "all together: 0.900"):
        assert part in said
    (axes,) = figure.axes
    places = {}
    for container in axes.containers:
        points = container.lines[0]
        places |= dict(zip(points.get_ydata(), points.get_xdata(), strict=True))
    values = [places[i] for i in sorted(places)]
    assert values == sorted(found["recall"])


def test_data_sets_without_labelled_rows_are_left_out():
    said = texts(drawn(groups(6, empty=2)))
    assert "MSV000080001" not in said and "MSV000080002" in said


def test_of_many_data_sets_the_largest_are_drawn():
    figure = drawn(groups(MOST_GROUPS + 5))
    assert len(figure.axes[0].get_yticks()) == MOST_GROUPS
    assert f"the {MOST_GROUPS} largest of {MOST_GROUPS + 5}" in texts(figure)


def test_no_labelled_row_at_all():
    drawn(groups(3, empty=3)).canvas.draw()


def test_long_names_stay_inside():
    found = groups(4)
    found["dataset_id"] = ["x" * 200 + name for name in found["dataset_id"]]
    assert inside(drawn(found))


@pytest.mark.parametrize("c", [0.5, np.nan])
def test_scores_with_the_threshold(c):
    figure = scores_at_threshold(table(), 0.7312, "Scores, Test Set 3", c)
    said = texts(figure)
    assert "threshold 0.7312" in said and "probability given by the model" in said
    assert "P(s=1 | x)" not in said
    assert ("expected positives" in said) == (not np.isnan(c))
    lines = [line.get_xdata()[0] for line in figure.axes[0].get_lines()]
    assert lines == [0.7312]
