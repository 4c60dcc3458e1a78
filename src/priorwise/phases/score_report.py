"""What a scoring tells the user, and what it leaves on its run."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from priorwise.phases.desk import say
from priorwise.phases.score_expectation import Expectation
from priorwise.plots.ms1_window import ms1_window
from priorwise.plots.scores import score_histogram
from priorwise.spectra.score.part import shown
from priorwise.spectra.score.run import REACH
from priorwise.spectra.score.summary import Summary
from priorwise.tracking.datasets import lance_input
from priorwise.tracking.runs import RunTrack


def tell(summary: Summary, expected: Expectation, out: Path) -> None:
    """Say what came of each input and of all."""
    for source, notes, counts in summary.inputs:
        say(counts.in_words(source.label, expected.recall))
        if doubt := expected.doubt(counts):
            say(f"warning: {shown(source.label)}: {doubt}")
        if notes.damage:
            say(f"warning: {shown(notes.damage)}")
        if notes.counts.numbered_by_position:
            name = shown(source.label)
            say(f"warning: {name}: scan ids have no number; the position in it is used")
    if len(summary.inputs) > 1:
        say(summary.total.in_words(f"all {len(summary.inputs)} inputs", expected.recall))
    if expected.caution:
        say(expected.caution)
    say(f"written: {out}")


def record(summary: Summary, threshold: float, n_windows: int, track: RunTrack) -> None:
    """Put counts, tables and figures on the run."""
    total = summary.total
    metrics = {"n": float(total.n), "n_scorable": float(total.n_scorable)}
    if total.n_scorable:
        metrics["share_kept"] = total.share_kept
    for reason, n in total.reasons.items():
        metrics[f"reason.{re.sub(r'[^a-z0-9]+', '_', reason.lower()).strip('_')}"] = float(n)
    track.metrics(metrics)
    track.text(summary.table().to_csv(index=False), "summary.csv")
    tables = [
        lance_input(
            source.name,
            "scored",
            source.address,
            notes.version,
            notes.digest,
            {"rows": notes.rows},
        )
        for source, notes, _ in summary.inputs
        if source.is_table and notes.digest
    ]
    if tables:
        track.inputs(tables)
    for mode, scores in summary.probabilities.items():
        track.figure(histogram(scores, mode, threshold), f"scores_{mode}")
    for number, window in enumerate(summary.windows(n_windows), start=1):
        figure = ms1_window(
            pd.DataFrame({"mz": window.mz, "intensity": window.intensity}),
            window.precursor_mz,
            window.width,
            f"{window.usi}\nprobability {_probability(window.probability)}",
            REACH,
        )
        track.figure(figure, f"ms1_window_{number}")


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def histogram(scores: Any, mode: str, threshold: float) -> Figure:
    """Scores of one polarity; nothing is known of labels here."""
    rows = pd.DataFrame({"probability": scores, "label": np.zeros(len(scores), dtype=int)})
    figure = score_histogram(rows, f"scores, {mode} mode", math.nan)
    axes = figure.axes[0]
    axes.set(
        xlabel="probability to be identifiable", ylabel=axes.get_ylabel().replace("rows", "scans")
    )
    axes.axvline(threshold, color="tab:red", lw=1.4, label=f"threshold {threshold:.3f}")
    handles, labels = axes.get_legend_handles_labels()
    known = {name: handle for handle, name in zip(handles, labels, strict=True)}
    shown = [name for name in labels if not name.startswith("labelled")]
    axes.legend([known[name] for name in shown], shown, frameon=False, loc="best")
    return figure
