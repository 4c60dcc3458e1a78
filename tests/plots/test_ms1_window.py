import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from tests.plots.drawn import inside, texts

from priorwise.plots.ms1_window import ms1_window


def peaks(mz, intensity):
    return pd.DataFrame({"mz": mz, "intensity": intensity})


def sticks(figure):
    """m/z and heights of the peaks outside and inside of the isolation band."""
    drawn = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    return [[(s[0][0], s[1][1]) for s in lines.get_segments()] for lines in drawn]


def band(figure):
    """Edges of the isolation band; None if there is none."""
    patches = figure.axes[0].patches
    if not patches:
        return None
    box = patches[0].get_path().get_extents(patches[0].get_patch_transform())
    return box.x0, box.x1


TABLE = peaks([100.0, 298.0, 299.6, 300.0, 300.4, 301.0, 304.0], [9.0, 1, 2, 3, 4, 5, 99])


def test_only_peaks_near_the_precursor_and_which_of_them_were_isolated():
    figure = ms1_window(TABLE, 300.0, 1.0, "t", reach=3.0)
    outside, isolated = sticks(figure)
    assert outside == [(298.0, 1.0), (301.0, 5.0)]
    assert isolated == [(299.6, 2.0), (300.0, 3.0), (300.4, 4.0)]
    assert band(figure) == pytest.approx((299.5, 300.5))
    axes = figure.axes[0]
    assert axes.get_xlim() == (297.0, 303.0)
    assert 5 < axes.get_ylim()[1] < 10  # the tall peak outside does not set the scale


def test_without_a_known_width_there_is_no_band():
    figure = ms1_window(TABLE, 300.0, None, "t")
    assert band(figure) is None
    outside, isolated = sticks(figure)
    assert len(outside) == 5 and isolated == []


def test_says_what_it_shows_and_takes_a_name_as_it_stands():
    figure = ms1_window(TABLE, 300.0, 1.5, "mzspec:x:a$_b$^:scan:7\nprobability 0.912")
    said = texts(figure)
    for part in ("a$_b$^:scan:7", "0.912", "1.5 Th", "300.0000", "m/z (Th)", "square root"):
        assert part in said
    assert inside(figure)


@pytest.mark.parametrize("table", [peaks([], []), peaks([900.0], [1.0])])
def test_no_peak_near(table):
    figure = ms1_window(table.astype(float), 300.0, 1.0, "t")
    assert "no MS1 peak here" in texts(figure)
    assert np.isfinite(figure.axes[0].get_ylim()).all()
