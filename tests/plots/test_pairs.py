import numpy as np
import pandas as pd
import pytest
from tests.plots.drawn import inside, texts

from priorwise.plots.pairs import dot_plot, pair_precision_recall, pair_reliability


def bins():
    p = np.linspace(0.01, 0.99, 20)
    cells = np.geomspace(1e6, 50, 20).round()
    return pd.DataFrame({"mean_probability": p, "paired_share": p**2, "cells": cells})


def curve():
    recall = np.linspace(0.01, 1, 50)
    return pd.DataFrame({"threshold": 1 - recall, "recall": recall, "precision": 1 - recall**3})


def cells(length):
    i, j = np.triu_indices(length, 4)
    true, predicted = i + j == length - 1, (i + j == length - 1) & (i > 1) | (i + j == length)
    p = np.where(predicted, 0.9, 0.05)
    table = pd.DataFrame({"i": i, "j": j, "probability": p, "predicted": predicted, "true": true})
    return table[table["true"] | table["predicted"] | (table["i"] % 3 == 0)]


def test_reliability_shows_points_and_cells():
    figure = pair_reliability(bins(), 0.1234, "TS0")
    said = texts(figure)
    for part in ("TS0", "ECE 0.123", "perfectly calibrated", "cells", "pair probability"):
        assert part in said
    above, below = figure.axes
    points = above.containers[0].lines[0]
    assert points.get_xdata().tolist() == bins()["mean_probability"].tolist()
    assert points.get_ydata().tolist() == bins()["paired_share"].tolist()
    assert below.get_lines()[0].get_ydata().tolist() == bins()["cells"].tolist()
    assert "ECE" not in texts(pair_reliability(bins(), np.nan, "TS0"))
    assert inside(figure)


def test_reliability_without_cells():
    assert inside(pair_reliability(bins().iloc[:0], np.nan, "TS0"))


def test_curve_marks_the_chosen_threshold():
    figure = pair_precision_recall(curve(), 0.5, 0.654, "TS0")
    (axes,) = figure.axes
    chosen = next(line for line in axes.get_lines() if line.get_marker() == "o")
    (recall,) = chosen.get_xdata()
    line = curve()[curve()["threshold"] >= 0.5].iloc[-1]
    assert recall == line["recall"]
    said = texts(figure)
    assert f"threshold 0.50: precision {line['precision']:.3f}, recall {recall:.3f}" in said
    assert "average precision 0.654" in said and "TS0" in said
    assert inside(figure)


def test_a_threshold_above_all_cells_is_drawn_at_the_first():
    figure = pair_precision_recall(curve(), 1.0, 0.654, "TS0")
    chosen = next(line for line in figure.axes[0].get_lines() if line.get_marker() == "o")
    assert chosen.get_xdata().tolist() == [0.01]


def test_curve_without_true_pairs_says_so():
    assert "no true pairs" in texts(pair_precision_recall(curve().iloc[:0], 0.5, np.nan, "NEW"))


@pytest.mark.parametrize("length", [12, 50, 120])
def test_dot_plot_counts_what_it_shows(length):
    table = cells(length)
    figure = dot_plot(table, ("ACGU" * length)[:length], "RF00001_1")
    said = texts(figure)
    found = int((table["predicted"] & table["true"]).sum())
    wrong = int((table["predicted"] & ~table["true"]).sum())
    missed = int((~table["predicted"] & table["true"]).sum())
    assert min(found, wrong, missed) > 0
    for part in (
        f"true pair, predicted: {found}",
        f"predicted, not true: {wrong}",
        f"true pair, missed: {missed}",
        "position (nt)",
        "pair probability",
        "RF00001_1",
    ):
        assert said.count(part) >= 1, part
    assert said.count("predicted, not true") == 1
    letters = [t for t in said.split("\n") if t in "ACGU" and t]
    assert len(letters) == (2 * length if length <= 64 else 0)
    assert inside(figure)


def test_dot_plot_of_nothing():
    assert "missed: 0" in texts(dot_plot(cells(20).iloc[:0], "A" * 20, "none"))
