from dataclasses import asdict

import numpy as np
import pandas as pd
from tests.plots.drawn import inside, texts

from priorwise.plots.sensitivity import prior_sensitivity
from priorwise.pu.sensitivity import epochs_by_prior, prior_grid, thresholds_by_prior


def test_epochs():
    found = epochs_by_prior([0.4, 0.9], [0.1, 0.6], prior_grid(0.1, 0.7))
    curves = pd.DataFrame(asdict(found)).assign(kept=lambda table: table["kept"] + 1)
    figure = prior_sensitivity(curves, 0.4, "nnPU, positive mode")
    said = texts(figure)
    assert "nnPU, positive mode\nthe kept epoch moves between 1 and 2" in said
    assert "0.100 to 0.700" in said and "red: 0.400" in said and inside(figure)
    np.testing.assert_allclose(figure.axes[0].get_lines()[0].get_ydata(), found.proxy_f1)


def test_nothing_hangs_on_pi():
    found = epochs_by_prior([0.9], [0.4], prior_grid(0.4, 0.4, 2))
    figure = prior_sensitivity(pd.DataFrame(asdict(found)), 0.4, "t")
    assert "the kept epoch is the same from end to end" in texts(figure)


def test_thresholds():
    rng = np.random.default_rng(0)
    found = thresholds_by_prior(rng.random(200), rng.random(200) < 0.3, prior_grid(0.3, 0.5))
    figure = prior_sensitivity(pd.DataFrame(asdict(found)), 0.4, "t", kept_label="threshold")
    assert "the threshold moves between" in texts(figure) and inside(figure)
