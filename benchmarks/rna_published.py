"""Part `published`: same data, encoder and CPU time as the published modules.

ArchiveII of at most 128 nt without copies, 400 sequences to train on and 120 to test with, drawn at
random: families are on both sides, so this compares modules, and says nothing about new families.
Encoder 128 wide, 3 layers, 512 (0.71 M parameters); AdamW 1e-3, batches of 16, warmup 30, 8 epochs;
the published modules pad to the longest sequence of the data, not to 512: that is in `speed`.

Each line of ours trains for the CPU time that the published modules took with the focal loss. CPU
time is that of the training with everything round it, validation apart. Nothing is chosen on the
test part but the best threshold, for every line alike. Decoded: whole sequences, symmetric logits,
pairs AU, GC, GU with j - i >= 4, greedy, one partner per base; mean F1 per sequence.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks import published_rna
from benchmarks.figures import dots
from benchmarks.published_rna_training import Controller, PublishedTraining, validate
from benchmarks.rna_data import archive
from benchmarks.rna_runs import decoded, published_sizes, scratch, train, validated
from benchmarks.rna_setting import Setting
from benchmarks.tables import Goal, Report, present
from priorwise.phases.rna_fit import RnaJob
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.predict import predict
from priorwise.rna.rows import RnaRows

LONGEST, N_TRAIN, N_TEST, EPOCHS, WARMUP = 128, 400, 120, 8, 30
SIZE = "0.7M"
FOCAL = "published, focal"
#: line -> focal loss, sparse training
PUBLISHED = {FOCAL: (True, False), "published, BCE": (False, False), "published, AST": (True, True)}
OURS: dict[str, Any] = {
    "model_size": SIZE,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "warmup_steps": WARMUP,
    "lr_scheduler_type": "cosine",
    "monitor": "val_loss",
    "decoding": "greedy",
}
HEADS: dict[str, dict[str, Any]] = {
    "ours, bilinear": {"pair_head": "bilinear", "positions": "learned"},
    "ours, bilinear, masked input": {
        "pair_head": "bilinear",
        "positions": "learned",
        "structure_input": "masked",
    },
    # a smaller map than the usual one: the budget is that of eight passes of the encoder alone
    "ours, conv": {
        "pair_head": "conv",
        "positions": "rotary",
        "pair_channels": 16,
        "pair_dilations": "1,2,4,8",
        "learning_rate": 2e-3,
        "fp16": True,
    },
}


#: of the table, those that are printed
COLUMNS = (
    *("line", "seed", "epochs", "CPU s", "ap", "decoded_f1", "best_f1", "pair_precision"),
    *("pair_recall", "pair_f1", "mlm_accuracy", "structure_accuracy"),
)


def run(setting: Setting) -> Report:
    """Train all lines for each seed."""
    torch.set_num_threads(setting.threads)
    lines, epochs = [], setting.epochs or EPOCHS
    for seed in setting.several(1):
        n_train, n_test = (min(n, setting.limit or n) for n in (N_TRAIN, N_TEST))
        parts = archive(setting.source.archive(), LONGEST, n_train, n_test, seed)
        for name in PUBLISHED:
            lines.append({"line": name, "seed": seed, **published(name, *parts, epochs, seed)})
        budget = next(x["CPU s"] for x in lines if x["line"] == FOCAL and x["seed"] == seed)
        for name, head in HEADS.items():
            options = setting.options({**OURS, "seed": seed}, **head)
            found = our_line(options, *parts, affordable(options, parts[0], budget))
            lines.append({"line": name, "seed": seed, **found})
    table = pd.DataFrame(lines)
    mean = table.groupby("line", sort=False).mean(numeric_only=True)
    used = [
        f"ArchiveII, at most {LONGEST} nt: {n_train} to train on, {n_test} to test with; "
        f"{setting.threads} thread(s)"
    ]
    figure = dots(
        table,
        "line",
        {"ap": "average precision", "decoded_f1": "decoded F1 at .35", "CPU s": "CPU time (s)"},
        "Published modules and ours: same data, same encoder",
        ours=list(HEADS),
    )
    title = "the published modules and ours on the same data, encoder and CPU time"
    report = Report("published", title, used, table, goals(mean), {"": figure}, columns=COLUMNS)
    return present(report, setting.out)


def goals(mean: pd.DataFrame) -> list[Goal]:
    """Ratios at equal CPU time."""
    found = []
    for name in HEADS:
        ap = mean["ap"][name] / mean["ap"][FOCAL]
        f1 = _ratio(mean["decoded_f1"][name], mean["decoded_f1"][FOCAL])
        best = _ratio(mean["best_f1"][name], mean["best_f1"][FOCAL])
        cpu = mean["CPU s"][name] / mean["CPU s"][FOCAL]
        found += [
            Goal(f"{name}: AP ratio", ap, 5, reference="AP .070"),
            Goal(f"{name}: decoded F1 ratio at .35", f1, 3, reference="F1 .071"),
            Goal(f"{name}: decoded F1 ratio, best thresholds", best),
            Goal(f"{name}: CPU time ratio", cpu),
        ]
    return found


def published(
    name: str, rows: RnaRows, test: RnaRows, epochs: int, seed: int
) -> dict[str, float | int]:
    """Train the published modules, and judge them."""
    focal, sparse = PUBLISHED[name]
    width = int(max(rows.lengths.max(), test.lengths.max())) + 2
    torch.manual_seed(seed)  # dropout
    training = PublishedTraining(
        published_rna.published_network(SIZE, seed=seed),
        rows,
        width,
        total_steps=epochs * -(-len(rows) // 16),
        warmup_steps=WARMUP,
        focal=focal,
        controller=Controller() if sparse else None,
        seed=seed,
    )
    began = time.process_time()
    for _ in range(epochs):
        training.epoch()
    seconds = time.process_time() - began
    own = validate(training.network, test, width, training.rng, focal=focal)
    found = decoded(published_rna.pair_probabilities(training.network, test, width), test)
    return {
        "epochs": epochs,
        "CPU s": seconds,
        "activation": float(np.mean(training.activations)) if sparse else 1.0,
        **found,
        **_own(own),
        "structure incl. padding": own["structure_accuracy_padded"],
        "val loss": own["val_loss"],
    }


def affordable(options: RnaPretrain, rows: RnaRows, budget: float) -> int:
    """Epochs for so many seconds of CPU time."""
    # by two trials: what is only done once must not count for every epoch
    first, second = (our_training(options, rows, epochs)[1] for epochs in (1, 2))
    each = max(second - first, first / 2)
    return max(1, round((budget - max(first - each, 0)) / each))


def our_training(options: RnaPretrain, rows: RnaRows, epochs: int) -> tuple[Any, float]:
    """The network after the last epoch, and CPU seconds; one row is validated, in passing."""
    steps = epochs * -(-len(rows) // options.batch_size)
    warmup = min(options.warmup_steps, steps // 4)
    options = replace(options, num_epochs=epochs, patience=epochs, warmup_steps=warmup)
    with published_sizes(), scratch() as folder:
        done = train(RnaJob(options, rows, rows.take([0]), folder))
        return done.network(last=True), done.cpu


def our_line(
    options: RnaPretrain, rows: RnaRows, test: RnaRows, epochs: int
) -> dict[str, float | int]:
    """Train ours, and judge it in the same way."""
    network, seconds = our_training(options, rows, epochs)
    own = validated(network, test, options.seed, whole=False)
    found = decoded(((p.row, p.pairs) for p in predict(network, test)), test)
    return {
        "epochs": epochs,
        "CPU s": seconds,
        "activation": 1.0,
        **found,
        **_own(own),
        "structure incl. padding": float("nan"),
        "val loss": own["loss"],
    }


def _own(metrics: Mapping[str, float]) -> dict[str, float]:
    names = ("pair_precision", "pair_recall", "pair_f1", "mlm_accuracy", "structure_accuracy")
    return {name: metrics[name] for name in names}


def _ratio(part: float, whole: float) -> float:
    if not whole:
        return float("inf") if part else float("nan")
    return part / whole
