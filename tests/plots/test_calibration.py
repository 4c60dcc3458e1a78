import numpy as np
from tests.plots.drawn import inside, texts

from priorwise.plots.calibration import reliability_curves
from priorwise.pu.calibration import Reliability


def curve(shift=0.0):
    mean = np.linspace(0.05, 0.75, 8)
    return Reliability(mean, np.clip(mean + shift, 0, 1), np.full(8, 50.0))


def test_one_curve_with_its_error_in_the_title():
    figure = reliability_curves({"raw": curve(0.1)}, "Reliability, positive mode")
    said = texts(figure)
    assert "Reliability, positive mode\nECE 0.100 (raw)" in said and "raw: ECE 0.100" in said
    assert "labelled fraction" in said and "P(s=1 | x)" in said


def test_several_curves_name_the_best():
    curves = {"raw": curve(0.1), "platt": curve(0.02), "isotonic": curve(0.05)}
    figure = reliability_curves(curves, "t")
    assert "ECE 0.100 (raw), 0.020 (platt)" in texts(figure)
    drawn = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 8]
    assert len(drawn) == 3 and inside(figure)
    np.testing.assert_allclose(drawn[1].get_ydata(), curves["platt"].labelled_rate)
