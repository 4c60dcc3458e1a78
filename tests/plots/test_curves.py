import pandas as pd

from priorwise.plots.curves import training_curves


def history(**columns):
    return pd.DataFrame({"epoch": range(4), **columns})


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def test_share_against_the_prior_is_drawn_per_polarity():
    q = [0.2, 0.3, 0.4, 0.5]
    figure = training_curves(
        history(**{"q.positive": q, "pi.positive": 0.45, "q.negative": q, "pi.negative": 0.3}), "x"
    )
    [axes] = figure.axes
    assert axes.get_title() == "Predicted share against the prior"
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [0.45, 0.3]
    assert list(axes.lines[0].get_ydata()) == q
    # a polarity's share and prior have the same colour, other polarities another
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]


def test_case_control_is_drawn_against_alpha():
    columns = {"q.positive": 0.6, "q_unlabelled.positive": 0.3, "alpha.positive": 0.25}
    [axes] = training_curves(history(**columns), "x").axes
    assert axes.lines[0].get_ydata()[0] == 0.3 and axes.lines[1].get_ydata()[0] == 0.25


def test_panels_without_data_are_left_out():
    figure = training_curves(history(train_loss=1.0, clamp_rate=0.2, proxy_f1=float("nan")), "x")
    assert titles(figure) == ["Risk", "Non-negative clamp"]
    assert training_curves(history(), "nothing recorded").axes == []


def test_every_panel_of_an_nnpu_run():
    names = ("train_loss", "val_loss", "val_recall", "q", "proxy_f1", "proxy_accuracy", "pu_auc")
    columns = dict.fromkeys((*names, "pu_f", "q_gap", "clamp_rate", "q.positive"), 0.5)
    figure = training_curves(history(**columns, **{"pi.positive": 0.4}), "nnpu_train positive")
    assert len(figure.axes) == 8
    for axes in figure.axes:
        assert axes.get_title() and axes.get_xlabel() == "epoch" and axes.get_ylabel()
