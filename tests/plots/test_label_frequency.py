import math

import pytest
from tests.plots.drawn import inside, texts

from priorwise.plots.label_frequency import LONGEST, label_frequencies
from priorwise.pu.scar_result import GroupFrequency, ScarCheck


def check(n=8, p=0.5, reason="", name="MSV{:09d}", untested=0):
    groups = [
        GroupFrequency(name.format(i), 40 + i, 20, 0.5 - i / 400, 0.1, 0.9, True) for i in range(n)
    ]
    groups += [
        GroupFrequency(f"few {i}", 3, 1, math.nan, math.nan, math.nan, False)
        for i in range(untested)
    ]
    return ScarCheck(12.3, n - 1, 2.0, p, 0.4, 0.51, 0.0, 0.05, tuple(groups), reason)


def test_lowest_first_and_the_test_in_the_title():
    figure = label_frequencies(check(untested=2), "Label frequency, positive mode")
    said = texts(figure)
    assert "no difference beyond chance: chi-square 12.3, 7 df, p = 0.5" in said
    assert "all together: c = 0.510" in said and said.count("not tested") == 2
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[0] == "MSV000000007 (n=47)" and names[-1].startswith("few")
    assert "differs between data sets" in texts(label_frequencies(check(p=0.001), "t"))


def test_not_tested():
    nothing = check(0, reason="12 labelled rows, 20 needed", untested=2)
    figure = label_frequencies(nothing, "t")
    assert "not tested: 12 labelled rows, 20 needed" in texts(figure) and inside(figure)
    label_frequencies(check(0, reason="no rows"), "t").canvas.draw()


@pytest.mark.parametrize("n", [1, 2, 30, 120])
def test_many_data_sets_with_long_names_stay_readable(n):
    long = "a_very_long_stem_of_a_raw_file_20251104_{:03d}_QE_plus_second_injection"
    figure = label_frequencies(check(n, name=long), "Label frequency by data set, negative mode")
    assert inside(figure)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert len(labels) == n and all(len(t.split(" (")[0]) <= LONGEST for t in labels)
    boxes = [t.get_window_extent() for t in figure.axes[0].get_yticklabels()]
    assert all(a.y0 >= b.y1 - 1 for a, b in zip(boxes, boxes[1:], strict=False))
