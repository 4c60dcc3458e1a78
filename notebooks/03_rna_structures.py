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
# # RNA structures: from sequences to a model in use
#
# 1. Make a table of sequences and look at how alike its partitions are.
# 2. Train, and look at the curves.
# 3. Evaluate: is the model better than copying the structure of the nearest training sequence?
# 4. Promote it, load the champion, and fold sequences with it.
#
# The sequences are **synthetic**, from a grammar of stems and loops, and the network is small: it
# shows how things work, not how well. All runs go to a store of their own.

# %%
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

#: training sequences; the test of this notebook sets a smaller number
ROWS = int(os.environ.get("PRIORWISE_NOTEBOOK_ROWS", "800"))
PROJECT = Path(priorwise.__file__).parents[2]
WORK = Path(tempfile.mkdtemp(prefix="priorwise-"))
STORE = f"sqlite:///{WORK / 'mlflow.db'}"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
plt.rcParams.update({"figure.dpi": 80, "axes.grid": True, "grid.alpha": 0.3})

RECIPE = f"""
rna_prepare: {{n_train: {ROWS}, n_validation: 100, n_test: 100, n_new: 100, max_length: 60}}
rna_pretrain: {{model_size: tiny, pair_channels: 16, pair_dilations: "1,2,4,1,2,4", num_epochs: 5,
               learning_rate: 0.003, warmup_steps: 20, ema_decay: 0.98, fp16: true}}
rna_evaluate: {{rnafold: false}}
"""
(WORK / "recipe.yaml").write_text(RECIPE)


def entry(phase: str, /, **parameters: object) -> str:
    """Run an entry point, as `mlflow run . -e NAME -P ...` does; what it printed."""
    flags = [f"--{key}={value}" for key, value in parameters.items()]
    script = PROJECT / "entry_points" / f"{phase}.py"
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


def newest(phase: str) -> mlflow.entities.Run:
    """The newest run of a phase."""
    return mlflow.search_runs(
        filter_string=f"tags.phase = '{phase}'", max_results=1, output_format="list"
    )[0]


mlflow.set_tracking_uri(STORE)
_ = entry("rna_prepare")
client = mlflow.MlflowClient()

# %% [markdown]
# ## 1. The table
#
# TR0 is for training, VL0 for validation, TS0 for the test. NEW holds families that TR0 does not
# have, and CUT was cut out of the training rows so that nothing like it stayed there. `mean` is the
# mean similarity of a sequence of the second partition to its nearest one in the first.

# %%
overlap = pd.read_csv(client.download_artifacts(newest("rna_prepare").info.run_id, "overlap.csv"))
overlap.round(3)

# %% [markdown]
# ## 2. The training

# %%
entry("rna_pretrain")
training = newest("rna_pretrain")
history = pd.read_csv(client.download_artifacts(training.info.run_id, "history.csv"))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for name in ("train_loss", "val_loss"):
    left.plot(history["epoch"] + 1, history[name], marker="o", label=name)
left.set(title="Loss", xlabel="epoch", ylabel="weighted sum of three losses")
for name in ("val_strict_f1", "cut_strict_f1", "val_structure_accuracy", "val_mlm_accuracy"):
    right.plot(history["epoch"] + 1, history[name], marker="o", label=name)
right.set(title="Validation", xlabel="epoch", ylabel="fraction", ylim=(0, 1))
for axes in (left, right):
    axes.legend(frameon=False)
plt.show()

# %% [markdown]
# `val_strict_f1` is the mean F1 of whole structures on VL0, `cut_strict_f1` the same on CUT. A
# model that learns families by heart is good on the first and poor on the second.
#
# ## 3. The evaluation
#
# `copy F1` is what one gets by copying the structure of the nearest training sequence of the same
# length: no model at all.

# %%
entry("rna_evaluate")
evaluation = newest("rna_evaluate")
table = pd.read_csv(client.download_artifacts(evaluation.info.run_id, "evaluation.csv"))
table.round(3).dropna(axis=1, how="all")

# %% [markdown]
# ## 4. Into use
#
# Promotion loads the model in a fresh process and asks its gates: is the lineage complete, was this
# very model evaluated, did it see none of the test sequences, how good is it on new families?

# %%
print(entry("promote", name="priorwise-rna").replace(f"{WORK}/", ""))
champion = client.get_model_version_by_alias("priorwise-rna", "champion")
decision = champion.tags.get("decision")
print(f"version {champion.version} is the champion; decision: {decision}")

# %%
model = mlflow.pyfunc.load_model("models:/priorwise-rna@champion")
sequences = pd.DataFrame(
    {"sequence": ["GGGAACGUCCGAAAGGACGUUCCC", "gcgcaaaagcgcuuuuggaccuucggguccaa", "ACGUACGU"]}
)
answers = model.predict(sequences)
pd.concat([sequences, answers[["dot_bracket", "confidence"]]], axis=1)

# %% [markdown]
# The threshold is stored in the model. A lower one calls more pairs:

# %%
counts = {
    threshold: [len(p) for p in model.predict(sequences, params={"threshold": threshold})["pairs"]]
    for threshold in np.round(np.arange(0.1, 0.95, 0.1), 2).tolist()
}
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for row, sequence in enumerate(sequences["sequence"]):
    axes.plot(list(counts), [found[row] for found in counts.values()], marker="o", label=sequence)
axes.set(title="Pairs against the threshold", xlabel="threshold", ylabel="predicted pairs")
axes.legend(frameon=False)
plt.show()
