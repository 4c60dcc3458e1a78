"""Tables, goals and figure of the part `final`: our rows beside published ones."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.tables import Goal
from priorwise.rna.evaluation import MODEL, RNAFOLD, PartEvaluation
from priorwise.rna.scoring import bootstrap_mean

SEED = 1
#: strict F1 on exactly these sequences, recomputed from published predictions
PUBLISHED = {
    "TS0": {
        "one-hot ResNet": 0.414,
        "RiNALMo (650M)": 0.649,
        "ERNIE-RNA (86M)": 0.658,
        "sincFold / UFold": 0.662,
        "REDfold": 0.688,
        "probe (0.12M)": 0.679,
        "probe with bpp": 0.693,
    },
    "NEW": {
        "one-hot ResNet": 0.444,
        "RiNALMo (650M)": 0.492,
        "ERNIE-RNA (86M)": 0.709,
        "LinearPartition-C": 0.671,
        "probe (0.12M)": 0.557,
        "probe with bpp": 0.627,
    },
}
#: with features or not -> partition -> must reach, stretch, what others reach
GOALS = {
    False: {
        "TS0": (0.68, 0.72, "copy .431, RNAfold .529, REDfold .688, probe .679"),
        "NEW": (0.57, 0.646, "copy .021, RNAfold .646, ERNIE-RNA .709, probe .557"),
    },
    True: {
        "TS0": (0.69, 0.72, "probe .693; mean bpp > .5, untrained, .582"),
        "NEW": (0.66, 0.715, "probe .627; mean bpp > .5, untrained, .676"),
    },
}


def methods_table(parts: Sequence[PartEvaluation], resamples: int) -> pd.DataFrame:
    """One line per partition and method; published rows last, without intervals."""
    lines = []
    for part in parts:
        for method, scores in part.scores.items():
            mean = scores.mean()
            low, high = bootstrap_mean(scores.f1, resamples=resamples, seed=SEED)
            line = {
                "partition": part.partition,
                "method": method,
                "n": len(part.rows),
                "f1": mean["f1"],
                "low": low,
                "high": high,
                "precision": mean["precision"],
                "recall": mean["recall"],
                "ap": np.nan,
                "structure": np.nan,
                "minus RNAfold": np.nan,
                "minus.low": np.nan,
                "minus.high": np.nan,
            }
            if method == MODEL:
                line["ap"] = part.cells.average_precision()
                line["structure"] = part.structure_accuracy
            if RNAFOLD in part.scores and method != RNAFOLD:
                gain = scores.f1 - part.scores[RNAFOLD].f1
                line["minus RNAfold"] = float(gain.mean())
                ends = bootstrap_mean(gain, resamples=resamples, seed=SEED)
                line["minus.low"], line["minus.high"] = ends
            lines.append(line)
        published = PUBLISHED.get(part.partition, {})
        for method, f1 in sorted(published.items(), key=lambda item: -item[1]):
            lines.append({"partition": part.partition, "method": f"({method})", "f1": f1})
    table = pd.DataFrame(lines)
    table["n"] = table["n"].astype("Int64").astype(str).replace("<NA>", "")
    return table


def strata_table(parts: Sequence[PartEvaluation], resamples: int) -> pd.DataFrame:
    """Mean F1 of every method by similarity to the nearest sequence trained on."""
    frames = []
    for part in parts:
        of_part = part.by_similarity(resamples)
        wide = of_part.pivot(index="group", columns="method", values="f1")
        wide = wide.reindex(of_part["group"].unique())[list(part.scores)]
        model = of_part[of_part["method"] == MODEL].set_index("group")
        wide.insert(0, "n", model["n"])
        wide.insert(2, "low", model["f1.low"])
        wide.insert(3, "high", model["f1.high"])
        wide.insert(0, "similarity", wide.index)
        wide.insert(0, "partition", part.partition)
        frames.append(wide)
    return pd.concat(frames, ignore_index=True)


def goals_of(table: pd.DataFrame, with_features: bool) -> list[Goal]:
    """What TS0 and NEW must reach."""
    ours = table[table["method"] == MODEL].set_index("partition")
    goals = []
    for partition, (must, stretch, reference) in GOALS[with_features].items():
        if partition in ours.index:
            f1 = ours["f1"][partition]
            goals.append(Goal(f"{partition}: strict F1", f1, must, stretch, reference=reference))
    for partition in ours.index:
        goals.append(
            Goal(
                f"{partition}: structure accuracy, nucleotides only",
                ours["structure"][partition],
                0.80 if partition == "VL0" else None,
                0.85 if partition == "VL0" else None,
                reference="published modules .72-.74",
            )
        )
    return goals


def figure_of(table: pd.DataFrame, name: str) -> Figure:
    """F1 of all methods on the test partitions, the best on top."""
    shown = [p for p in ("TS0", "NEW") if p in set(table["partition"])]
    figure = Figure(figsize=(5.4 * max(len(shown), 1), 4.4), layout="constrained")
    for place, partition in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        lines = table[table["partition"] == partition].sort_values("f1")
        for y, (_, line) in enumerate(lines.iterrows()):
            published = line["method"].startswith("(")
            colour = "0.7" if published else "tab:blue" if line["method"] == MODEL else "tab:orange"
            axes.barh(y, line["f1"], color=colour)
            if np.isfinite(line["low"]):
                ends = [[line["f1"] - line["low"]], [line["high"] - line["f1"]]]
                axes.errorbar(line["f1"], y, xerr=ends, fmt="none", ecolor="black", lw=1)
            axes.text(0.01, y, f"{line['f1']:.3f}", va="center", fontsize=8)
        axes.set_yticks(range(len(lines)), lines["method"])
        axes.set(xlabel="mean strict F1 per sequence", xlim=(0, 1), title=partition)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    figure.suptitle(f"{name} (blue), baselines run here (orange), published rows (grey)")
    return figure
