# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Priors on simulated spectra
#
# A row of a spectra table is one MS2 scan. The model sees the **MS1 survey scan before it** and
# the acquisition settings, and says whether the MS2 scan will be identifiable (`y = 1`). Only some
# identifiable scans carry a label (`s = 1`); every other row is *unlabelled*, not negative.
#
# On real data nobody knows `y`. Here the data are **simulated**, so `y`, the label frequency `c`
# and the class prior `pi` are known, and so is the best score that any model could give. That lets
# us ask, without training anything:
#
# 1. How well can `c` and `pi` be estimated, even with a perfect model?
# 2. What do the two versions of the nnPU risk reward?
# 3. What does the tracking server know of earlier runs?
#
# The words: `s` (of a row) labelled or not; `s` (rate) = P(s=1); `c` = P(s=1 | y=1); `pi` = P(y=1)
# = s / c; `alpha` = (pi - s) / (1 - s), the positive share of the unlabelled rows.

# %%
import json
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from priorwise.pu.intervals import HeldOutRows, LabelCounts, bootstrap_priors
from priorwise.pu.priors import estimate_priors
from priorwise.pu.rates import ClassPrior, PolarityPriors, alpha_of
from priorwise.pu.risk import logistic_loss
from priorwise.pu.risk_sums import RiskSums
from priorwise.pu.score_table import ScoreTable
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.schema import CATEGORICAL_SETTINGS, NUMERIC_SETTINGS, POLARITIES
from priorwise.spectra.simulate import Simulation, read_truth, write
from priorwise.store.tables import open_pinned

#: rows of the training table; the test of this notebook sets a smaller number
ROWS = int(os.environ.get("PRIORWISE_NOTEBOOK_ROWS", "12000"))
plt.rcParams.update({"figure.dpi": 80, "axes.grid": True, "grid.alpha": 0.3})

# %% [markdown]
# ## 1. Tables with a known truth
#
# `simulate` writes a training, a validation and three test tables in the published layout, and
# beside them a `truth` table that no trainer reads. The rates are the guide's.

# %%
folder = Path(tempfile.mkdtemp(prefix="priorwise-")) / "simulated"
simulation = Simulation(n_train=ROWS, n_validation=60, n_test=max(ROWS // 2, 300), max_peaks=40)
tables = write(simulation, str(folder))
pd.DataFrame(tables.manifest["true"]).T.round(4)

# %% [markdown]
# The rates that the training table really got, by chance, are close to these.

# %%
train = load_rows(open_pinned(str(folder / "train_data")))
truth = read_truth(str(folder), "train_data")
s_of_row, y = train.s.numpy(), truth["y"].to_numpy()
positive_mode = train.positive.numpy()
in_mode = {mode: positive_mode == (mode == "positive") for mode in POLARITIES}

pd.DataFrame(
    {
        mode: {
            "rows": rows.sum(),
            "s": s_of_row[rows].mean(),
            "c": s_of_row[rows & (y == 1)].mean(),
            "pi": y[rows].mean(),
            "alpha": y[rows & (s_of_row == 0)].mean(),
        }
        for mode, rows in in_mode.items()
    }
).T.round(4)

# %% [markdown]
# ## 2. What the model sees
#
# The acquisition settings of the first row: 14 numbers, stored as z-scores, and four pairs of 0 or
# 1.

# %%
statistics = json.loads((folder / "settings_stats.json").read_text())
z = train.settings[0].numpy()
numbers = pd.DataFrame(
    {
        "z-score": z[:14].round(3),
        "value": [
            f"{value:,.2f}"
            for value in z[:14] * np.array(statistics["std"]) + np.array(statistics["mean"])
        ],
    },
    index=list(NUMERIC_SETTINGS),
)
pairs = {
    name: values[int(z[14 + 2 * i + 1] > 0.5)]
    for i, (name, values) in enumerate(CATEGORICAL_SETTINGS.items())
}
print(pairs)
numbers.head(14)

# %% [markdown]
# And its MS1 scan. Intensities are stored as square roots. The red band marks the precursor, which
# the instrument is about to isolate for the MS2 scan; the MS2 scan itself is never shown to the
# model.


# %%
def peaks_of(row: int) -> tuple[np.ndarray, np.ndarray]:
    """m/z and square-root intensity of a row's MS1 scan."""
    here = slice(int(train.starts[row]), int(train.starts[row] + train.sizes[row]))
    return train.mz[here].numpy(), train.intensity[here].numpy()


figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
mz, intensity = peaks_of(0)
precursor = float(train.precursor_mz[0])
axes.axvline(precursor, color="tab:red", lw=4, alpha=0.35, label="precursor", zorder=1)
axes.vlines(mz, 0, intensity, color="black", lw=1.2, zorder=2)
axes.set(xlabel="m/z (Th)", ylabel="square root of intensity", title="MS1 survey scan (simulated)")
axes.set_ylim(0)
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 3. The best possible score
#
# `bayes_score` is P(y=1 | x), exactly. Its AUC is the ceiling for every model on these data. The
# classes overlap, as real ones do.

# %%
bayes = truth["bayes_score"].to_numpy()
{mode: round(roc_auc_score(y[rows], bayes[rows]), 4) for mode, rows in in_mode.items()}

# %% [markdown]
# ## 4. Estimating c and pi with a perfect model
#
# Labels are drawn at random among the positives, so the perfect classifier of `s` is `g(x) = P(s=1
# | x) = c * P(y=1 | x)`. Phase 1 of the workflow trains a model to be as close to `g` as it can.
# Phase 2 then estimates `c` on Test Set 1, and `pi = s / c`. Here we hand it the perfect `g`, and
# compare two estimators:
#
# * **e1** (Elkan and Noto, the guide's): `c` is the mean of `g` over labelled rows.
# * **median**: the middle one of three estimators (BBE, KDE-EM, TIcE) that use the *order* of the
#   scores only. They look where `g` is highest. Hardly any negative is there, so the labelled
#   fraction there is close to `c`.

# %%
test = load_rows(open_pinned(str(folder / "test_1/test_data")))
test_truth = read_truth(str(folder), "test_1/test_data")
lines = {}
for mode in POLARITIES:
    rows = test.positive.numpy() == (mode == "positive")
    g = simulation.c[mode] * test_truth["bayes_score"].to_numpy()[rows]
    s_of_test = test.s.numpy()[rows]
    mine = s_of_row[in_mode[mode]]
    priors = estimate_priors(ScoreTable.of(g, s_of_test), float(mine.mean()))
    intervals = bootstrap_priors(
        ["e1", "median"],
        HeldOutRows(g, s_of_test),
        LabelCounts.of([len(mine)], [int(mine.sum())]),
        resamples=200,
        rng=np.random.default_rng(1),
    )
    for name, interval in intervals.items():
        lines[mode, name] = {
            "true c": simulation.c[mode],
            "c": priors[name].c,
            "true pi": simulation.pi[mode],
            "pi = s/c": priors[name].pi,
            "interval, low": interval.pi.low,
            "interval, high": interval.pi.high,
        }
estimates = pd.DataFrame(lines).T
estimates["error of pi"] = estimates["pi = s/c"] - estimates["true pi"]
estimates.round(4)

# %% [markdown]
# With e1, `c` comes out too low and `pi` too high, **with a perfect model**. A positive row that
# looks negative gets a low `g`, and e1 averages it in: E[e1] = c * E[P(y=1 | x) | y=1], which is
# below `c` as soon as the classes overlap. The bootstrap interval does not show this: it measures
# variance, not bias.
#
# The median has no such bias: rows that look negative are not where it looks. It pays with a wider
# interval, since it rests on fewer rows.

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for axes, mode in zip(panels, POLARITIES, strict=True):
    rows = test.positive.numpy() == (mode == "positive")
    g = simulation.c[mode] * test_truth["bayes_score"].to_numpy()
    for value, name, colour in ((0, "unlabelled", "tab:gray"), (1, "labelled", "tab:blue")):
        part = g[rows & (test.s.numpy() == value)]
        axes.hist(
            part, bins=40, range=(0, 0.65), density=True, alpha=0.55, color=colour, label=name
        )
    axes.axvline(simulation.c[mode], color="black", lw=1, label="true c")
    for name, colour, line in (("e1", "tab:red", "--"), ("median", "tab:green", ":")):
        axes.axvline(estimates.loc[(mode, name), "c"], color=colour, ls=line, lw=1.5, label=name)
    axes.set(title=f"{mode} mode", xlabel="perfect g(x) = P(s=1 | x)", ylabel="density")
panels[0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## 5. Two versions of the risk
#
# Both start from Kiryo et al. 2017. With f the logit, E_P the mean over labelled rows and E_{s=0}
# that over unlabelled rows:
#
# * **published** (the guide): `pi E_P l(f) + max(0, E_{s=0} l(-f) - pi E_P l(-f))`
# * **censoring**: `pi E_P l(f) + max(0, (1-s) E_{s=0} l(-f) - (pi-s) E_P l(-f))`
#
# The first is right if the unlabelled rows are a sample of **all** rows. Here they are what
# labelling left over, so their positive share is `alpha`, not `pi`, and too many positives are
# subtracted.
#
# Below, true `pi` and `s` and the perfect scores; then all logits are shifted by the same amount.
# A sound risk is least at a shift near 0. The black line is the true risk, which needs `y`.

# %%
shifts = np.linspace(-2, 10, 121)
logit = torch.logit(torch.tensor(bayes), eps=1e-6).float()
lines, curves = {}, {}
for mode, rows in in_mode.items():
    f, s, labels = logit[rows], train.s[rows], torch.tensor(y[rows])
    is_positive = train.positive[rows]
    s_rate, pi = float(s.mean()), float(labels.float().mean())
    priors = PolarityPriors(**{mode: ClassPrior(pi, s_rate)})
    curve = {"published": [], "censoring": [], "truth": []}
    for shift in shifts:
        moved = f + float(shift)
        sums = RiskSums.of(moved, s, is_positive)
        curve["published"].append(sums.risk(priors, "published"))
        curve["censoring"].append(sums.risk(priors, "censoring"))
        loss = torch.where(labels == 1, logistic_loss(moved, 1), logistic_loss(moved, 0))
        curve["truth"].append(float(loss.mean()))
    curves[mode] = curve
    for name, values in curve.items():
        best = float(shifts[int(np.argmin(values))])
        predicted = (f + best).numpy() >= 0
        lines[mode, name] = {
            "risk at shift 0": values[int(np.argmin(np.abs(shifts)))],
            "best shift": best,
            "predicted positive": predicted.mean(),
            "pi": pi,
            "alpha": alpha_of(pi, s_rate),
            "accuracy": (predicted == (y[rows] == 1)).mean(),
        }
pd.DataFrame(lines).T.round(4)

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
styles = {"published": ("tab:red", "-"), "censoring": ("tab:blue", "-"), "truth": ("black", "--")}
for axes, mode in zip(panels, POLARITIES, strict=True):
    for name, (colour, line) in styles.items():
        axes.plot(shifts, curves[mode][name], color=colour, ls=line, label=name)
    axes.axvline(0, color="tab:gray", lw=0.8)
    axes.set(title=f"{mode} mode", xlabel="shift of all logits", ylabel="risk (nats per row)")
panels[0].legend(frameon=False)
plt.show()

# %% [markdown]
# The censoring risk follows the true one. The published risk is lowest where positives are
# over-predicted. A trained model adds its own errors to this; `main` trains under both scenarios
# so that the two can be compared on your data.

# %% [markdown]
# ## 6. What the tracking server knows
#
# Every phase is a run. If there is a store (after `make demo`, the file `mlflow.db` in the
# project's root; or the server named by `MLFLOW_TRACKING_URI`), this lists its complete runs.
# Otherwise it says so and goes on.


# %%
def store_address() -> str:
    """The user's own store, else the project's, else nothing."""
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    files = [Path(parent, "mlflow.db") for parent in (".", "..")]
    return named or next((f"sqlite:///{file}" for file in files if file.exists()), "")


def complete_runs(address: str) -> pd.DataFrame | None:
    """Tags and metrics of the complete runs; None if there are none."""
    import mlflow

    mlflow.set_tracking_uri(address)
    runs = mlflow.search_runs(
        filter_string="tags.complete = 'true'", search_all_experiments=True, max_results=200
    )
    names = ("phase", "polarity", "scenario")
    wanted = [f"tags.{n}" for n in names] + [
        f"metrics.{n}" for n in ("c", "s", "pi", "recall", "q")
    ]
    if runs.empty or "tags.phase" not in runs:
        return None
    table = runs[[name for name in wanted if name in runs]].sort_values("tags.phase")
    return table.rename(columns=lambda name: name.partition(".")[2]).reset_index(drop=True)


address = store_address()
found = complete_runs(address) if address else None
found.round(4) if found is not None else print("no complete runs yet: try `make demo`")
