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
# # From runs to a decision
#
# The workflow leaves runs on the tracking server. This notebook goes from there to a model in use:
#
# 1. Compare the runs: which recipe keeps the identifiable scans and skips the others?
# 2. Look at the threshold, and what another one would cost.
# 3. Promote: what is checked before a model becomes the champion?
# 4. Load the champion and score data with it, as rows of a table and as raw spectra.
#
# It trains a small model on **simulated** spectra, whose truth is known, in a store of its own. To
# look at your runs, set `STORE` to your tracking server and leave the two calls of `entry` out.

# %%
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd

import priorwise
from priorwise.spectra.simulate import read_truth
from priorwise.store.tables import open_pinned

#: rows of the training table; the test of this notebook sets a smaller number
ROWS = int(os.environ.get("PRIORWISE_NOTEBOOK_ROWS", "8000"))
PROJECT = Path(priorwise.__file__).parents[2]
WORK = Path(tempfile.mkdtemp(prefix="priorwise-"))
STORE = f"sqlite:///{WORK / 'mlflow.db'}"
# progress bars of downloads have no place in a notebook
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
plt.rcParams.update({"figure.dpi": 80, "axes.grid": True, "grid.alpha": 0.3})

RECIPE = f"""
simulate: {{n_train: {ROWS}, n_validation: {ROWS // 4}, n_test: {ROWS // 4}, max_peaks: 24}}
training: {{batch_size: 64, d_model: 32, n_layers: 1, encoder_lr: 0.003, linear_lr: 0.003,
           epochs: 4}}
bce_pretrain: {{monitor: val_loss}}
estimate_prior: {{min_labelled: 3, resamples: 50}}
select_threshold: {{min_labelled: 3}}
"""
(WORK / "recipe.yaml").write_text(RECIPE)


def entry(name: str, **parameters: object) -> str:
    """Run an entry point, as `mlflow run . -e NAME -P ...` does; what it printed."""
    flags = [f"--{key}={value}" for key, value in parameters.items()]
    script = PROJECT / "entry_points" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, "-P", str(script), f"--config={WORK / 'recipe.yaml'}", *flags],
        cwd=WORK,
        env={**os.environ, "MLFLOW_TRACKING_URI": STORE, "PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


mlflow.set_tracking_uri(STORE)
printed = entry("main")
print(f"{len(mlflow.search_runs(search_all_experiments=True))} runs are on the server now")

# %% [markdown]
# ## 1. Compare the runs
#
# `main` trained the guide's recipe (`published`) and the recommended one (`censoring`), chose a
# threshold for each on Test Set 2 and judged it on Test Set 3. `recall` is the share of labelled
# scans that are kept, `share_kept` that of all scans, `precision` is estimated from labels alone.

# %%
runs = mlflow.search_runs(search_all_experiments=True, filter_string="tags.complete = 'true'")
judged = runs[runs["tags.phase"] == "evaluate"].copy()
scenario = runs.set_index("run_id")["tags.scenario"]
judged["scenario"] = judged["tags.upstream.training"].map(scenario)
numbers = ["threshold", "recall", "recall.low", "recall.high", "share_kept", "precision", "q"]
judged.set_index("scenario")[[f"metrics.{name}" for name in numbers]].rename(
    columns=lambda name: name.removeprefix("metrics.")
).round(3)

# %% [markdown]
# Both keep about the same labelled scans, since the rule asks for that. They differ in `q`, the
# share called positive at a probability of .5: the guide's recipe calls far more than the prior
# says, so its probabilities cannot be read as such.
#
# ## 2. The threshold
#
# Each `select_threshold` run keeps its curve as an artifact.

# %%
client = mlflow.MlflowClient()
figure, axis = plt.subplots(figsize=(7, 4))
for _, run in runs[runs["tags.phase"] == "select_threshold"].iterrows():
    curve = pd.read_csv(client.download_artifacts(run["run_id"], "threshold_curve.csv"))
    name = scenario[run["tags.upstream.training"]]
    (line,) = axis.plot(100 * curve["share_kept"], 100 * curve["recall"], label=name)
    at = 100 * run["metrics.share_kept"], 100 * run["metrics.recall"]
    axis.plot(*at, "o", color=line.get_color())
axis.set(
    title="Simulated Test Set 2: what a threshold keeps (dots: the chosen ones)",
    xlabel="scans kept, %",
    ylabel="labelled scans kept, %",
)
axis.legend()
plt.show()

# %% [markdown]
# ## 3. Promote
#
# `promote` registers the model that was evaluated last, and checks a list of gates before it
# becomes the champion. A refused model stays a challenger, and nothing changes. With `force` it is
# promoted all the same, and the decision says so for ever; a model this small may need that.

# %%
shown = entry("promote", force=True)
champion = client.get_model_version_by_alias("priorwise-spectra", "champion")
gates = {
    key.removeprefix("gate."): text for key, text in champion.tags.items() if "gate." in key[:5]
}
print(f"version {champion.version} is the champion; decision: {champion.tags['decision']}")
pd.Series(gates, name="gate").to_frame()

# %% [markdown]
# ## 4. Load it and score
#
# The model is a pyfunc: to load it, neither this project nor a GPU is needed (here the project only
# reads the table). Rows as in a table go in, a probability and a decision come out.

# %%
model = mlflow.pyfunc.load_model("models:/priorwise-spectra@champion")
tables = next((WORK / ".priorwise" / "simulated").iterdir())
rows = open_pinned(str(tables / "test_3" / "test_data")).dataset.to_table().to_pandas()
columns = ["mz_array", "intensity_array", "precursor_mz", "instrument_settings"]
answer = model.predict(rows[columns])
answer.head()

# %%
y = read_truth(str(tables), "test_3/test_data")["y"].to_numpy() == 1
bins = np.linspace(0, 1, 31)
figure, axis = plt.subplots(figsize=(7, 4))
axis.hist(answer["probability"][y], bins, alpha=0.6, label="identifiable (y = 1)")
axis.hist(answer["probability"][~y], bins, alpha=0.6, label="not identifiable (y = 0)")
axis.axvline(float(champion.tags["threshold"]), color="black", linestyle="--", label="threshold")
axis.set(
    title="Simulated Test Set 3: the champion's scores against the truth",
    xlabel="probability",
    ylabel="scans",
)
axis.legend()
plt.show()
kept = answer["identifiable"].to_numpy()
print(
    f"keeps {100 * kept.mean():.0f} % of scans and {100 * kept[y].mean():.0f} % of the "
    f"identifiable ones; {100 * y[kept].mean():.0f} % of what it keeps is identifiable"
)

# %% [markdown]
# The truth is known here only because the data are simulated. `evaluate` estimated the same numbers
# from labels alone: recall and precision in the table above.
#
# A spectrum straight from an instrument (counts, settings by name) goes in with `raw`; the model
# filters it, takes the square root and z-scores the settings itself.

# %%
raw = pd.DataFrame(
    {
        "mz_array": [[150.1, 288.2, 301.4, 455.3, 610.9]],
        "intensity_array": [[2.1e5, 8.8e6, 4.0e4, 1.2e6, 3.3e5]],
        "precursor_mz": [288.2],
        "polarity": ["positive"],
        "MS2 Isolation Width": [1.0],
        "Ion Injection Time (ms)": [35.0],
        "HCD Energy(1)": [20.0],
    }
)
model.predict(raw, params={"raw": True})

# %% [markdown]
# To score files, use `mlflow run . -e score -P inputs=my_runs -P out=scores.csv`: it reads mzML,
# mzXML, RAW and MGF, and takes the champion by itself. To go back to the champion before:
# `mlflow run . -e promote -P action=rollback`.
#
# The decision is kept where the model is, so that anybody can ask later why it is in use:

# %%
trail = client.get_registered_model("priorwise-spectra").tags
for key in sorted(key for key in trail if key.startswith("audit.")):
    line = json.loads(trail[key])
    print({name: line[name] for name in ("action", "before", "after", "decision")})
