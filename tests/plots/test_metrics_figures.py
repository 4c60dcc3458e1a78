import numpy as np
import pandas as pd
import pytest
from tests.plots.drawn import inside, texts

from priorwise.plots.metrics_figures import FIGURES, accuracies, losses, lr_activation, summary

LOSSES = ("loss", "mlm_loss", "structure_loss", "pair_loss")
SCORES = ("mlm_accuracy", "structure_accuracy", "pair_precision", "pair_recall", "pair_f1")


def history(n=4, **columns):
    return pd.DataFrame({"epoch": range(n), **columns})


def rna(n=4):
    falling = np.linspace(2, 1, n)
    found = {f"{p}_{name}": falling for p in ("train", "val") for name in LOSSES}
    found |= {f"{p}_{name}": 1 - falling / 3 for p in ("train", "val") for name in SCORES}
    return history(n, **found, learning_rate=falling * 1e-4, activation_rate=0.4)


def nnpu(n=4):
    names = ("val_recall", "q", "proxy_f1", "proxy_accuracy", "pu_auc", "pu_f", "clamp_rate")
    of_modes = {"q.positive": 0.4, "pi.positive": 0.5, "q.negative": 0.2, "pi.negative": 0.3}
    return history(n, train_loss=1.0, val_loss=0.8, **dict.fromkeys(names, 0.5), **of_modes)


def bce(n=4):
    return history(n, train_loss=1.0, val_loss=0.8, val_recall=0.2, q=0.1, labelled_auc=0.7)


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def line(axes, label):
    [found] = [one for one in axes.lines if one.get_label().startswith(label)]
    return found


def test_losses_of_rna():
    figure = losses(rna(), "run x")
    assert titles(figure) == ["Total loss", "Masked nucleotides (MLM)", "Structure", "Base pairs"]
    assert "Losses: run x" in texts(figure)
    for axes in figure.axes:
        assert list(line(axes, "training").get_xdata()) == [1, 2, 3, 4]  # epochs from 1
        assert list(line(axes, "validation").get_ydata()) == list(np.linspace(2, 1, 4))
    assert "validation (lowest 1, epoch 4)" in texts(figure)
    columns = {axes.get_subplotspec().colspan.start for axes in figure.axes}
    assert columns == {0, 1}  # 2 x 2


def test_accuracies_of_rna():
    figure = accuracies(rna(), "x")
    assert titles(figure) == ["Masked nucleotides and structure", "Base pairs"]
    tokens, pairs = figure.axes
    assert line(tokens, "MLM, validation").get_ydata()[-1] == pytest.approx(200 / 3)
    assert len(tokens.lines) == 4 and len(pairs.lines) == 6
    for name in ("F1", "precision", "recall"):
        pair = [line(pairs, f"{name}, {phase}") for phase in ("validation", "training")]
        assert pair[0].get_color() == pair[1].get_color()
        assert [one.get_linestyle() for one in pair] == ["-", "--"]
    assert all("%" in axes.get_ylabel() and axes.get_ylim()[0] == 0 for axes in figure.axes)


def test_learning_rate_and_activation():
    rate, activation = lr_activation(rna(), "x", target=0.35).axes
    assert rate.get_yscale() == "log"
    assert list(line(rate, "at the end").get_ydata()) == list(np.linspace(2, 1, 4) * 1e-4)
    assert set(line(activation, "target 35 %").get_ydata()) == {35}
    assert set(line(activation, "activated").get_ydata()) == {40}


def test_no_target_is_drawn_where_all_samples_are_used_or_none_was_asked_for():
    plain = rna().assign(activation_rate=1.0)
    for figure in (lr_activation(plain, "x", target=0.4), lr_activation(rna(), "x")):
        assert "target" not in texts(figure)


def test_summary_of_rna():
    figure = summary(rna(), "x")
    assert titles(figure) == [
        "Total loss",
        *(f"{part}: loss" for part in ("Masked nucleotides (MLM)", "Structure", "Base pairs")),
        "Masked nucleotides (MLM): accuracy",
        "Structure: accuracy",
        "Base pairs",
    ]
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert places[0].colspan == range(6)  # wide
    assert [place.rowspan.start for place in places] == [0, 1, 1, 1, 2, 2, 2]


def test_a_published_file_without_component_losses_of_validation():
    missing = dict.fromkeys((f"val_{name}" for name in LOSSES[1:]), np.nan)
    figure = summary(rna().assign(**missing), "x")
    assert len(figure.axes) == 7 and len(figure.axes[1].lines) == 1
    missing |= dict.fromkeys((f"train_{name}" for name in LOSSES[1:]), np.nan)
    assert len(summary(rna().assign(**missing), "x").axes) == 4
    assert titles(losses(rna().assign(**missing), "x")) == [""]  # the picture's title says it


def test_spectra():
    assert "Risk: x" in texts(losses(nnpu(), "x"))
    assert titles(accuracies(nnpu(), "x")) == [
        "Recall and predicted share",
        "Scores without negatives",
        "Ranking",
        "PU-F (Lee and Liu)",
    ]
    [clamp] = lr_activation(nnpu(), "x", target=0.4).axes
    assert set(clamp.lines[0].get_ydata()) == {50}
    assert lr_activation(bce(), "x") is None
    assert titles(summary(bce(), "x")) == ["Risk", "Recall and predicted share", "Ranking"]
    shares = summary(nnpu(), "x").axes[-2]
    assert line(shares, "q, positive").get_color() == line(shares, "pi, positive").get_color()
    assert set(line(shares, "pi, negative").get_ydata()) == {30}


def test_the_grid_closes_up():
    for n in range(1, 7):
        columns = ["train_loss", "val_recall", "proxy_f1", "pu_auc", "pu_f", "clamp_rate"][:n]
        figure = summary(history(**dict.fromkeys(columns, 0.5)), "x")
        assert len(figure.axes) == n
        rows = {}
        for axes in figure.axes:
            place = axes.get_subplotspec()
            rows.setdefault(place.rowspan.start, []).append(place.colspan)
        assert sorted(rows) == list(range(len(rows)))
        for spans in rows.values():
            assert sum(map(len, spans)) == 6  # each row is filled


@pytest.mark.parametrize("make", [rna, nnpu, bce])
@pytest.mark.parametrize("n", [1, 60])
@pytest.mark.parametrize("name", FIGURES)
def test_every_panel_has_title_axes_units_and_legend(make, n, name):
    figure = FIGURES[name](make(n), "bce_pretrain positive, of a rather long name (0a1b2c3d)")
    if figure is None:
        assert (make, name) == (bce, "lr_activation")
        return
    assert inside(figure)
    assert "(0a1b2c3d)" in texts(figure)
    for axes in figure.axes:
        assert axes.lines and axes.get_xlabel() == "epoch" and axes.get_ylabel()
        assert axes.get_title() or len(figure.axes) == 1
        assert axes.get_legend().get_texts()
        ticks = axes.get_xticks()
        assert ticks[0] == 1 and ticks[-1] <= n and (ticks == ticks.astype(int)).all()
        assert len(ticks) <= 12


def test_nothing_recorded_and_nothing_finite():
    for draw in FIGURES.values():
        assert draw(history(), "x") is None
        assert draw(history(train_loss=np.nan, val_recall=np.inf, learning_rate=0.0), "x") is None


def test_a_gap_in_the_record_is_no_value():
    [axes] = losses(history(train_loss=[1, np.nan, np.inf, 2]), "x").axes
    assert list(axes.lines[0].get_xdata()) == [1, 4]


def test_a_loss_that_explodes_gets_a_log_axis():
    [axes] = losses(history(train_loss=[1, 2, 3, 4000.0]), "x").axes
    assert axes.get_yscale() == "log"
    [axes] = losses(history(train_loss=[1, 2, 3, 40.0]), "x").axes
    assert axes.get_yscale() == "linear"


def test_colours_are_the_same_in_all_pictures():
    pictures = [losses(rna(), "x"), summary(rna(), "x")]
    for label in ("training", "validation"):
        assert len({line(picture.axes[0], label).get_color() for picture in pictures}) == 1
    in_both = [accuracies(rna(), "x").axes[1], summary(rna(), "x").axes[6]]
    assert len({line(axes, "F1, validation").get_color() for axes in in_both}) == 1
