"""The counts of an evaluation: per data set and polarity, summed up, and as metrics of a run."""

from collections.abc import Iterator, Mapping

import pandas as pd

from priorwise.learn.network_folder import DEFAULT_THRESHOLD
from priorwise.pu.evaluation import Frequency, Kept, precision
from priorwise.pu.proportions import Proportion

#: counts of each (data set, polarity)
Groups = Mapping[tuple[str, str], Kept]


def groups_of(scores: pd.DataFrame, threshold: float) -> dict[tuple[str, str], Kept]:
    """Counts of each (data set, polarity), in alphabetical order."""
    return {
        (str(dataset), str(mode)): Kept.of(rows["probability"], rows["label"], threshold)
        for (dataset, mode), rows in scores.groupby(["dataset_id", "polarity"])
    }


def total(groups: Groups, mode: str = "") -> Kept:
    """Counts of one polarity, or of all."""
    parts = [kept for (_, of), kept in groups.items() if mode in ("", of)]
    return sum(parts, Kept(0, 0, 0, 0))


def labelled_by_dataset(groups: Groups, mode: str = "") -> tuple[list[int], list[int]]:
    """Labelled rows, and kept ones of these, of each data set (of one polarity)."""
    found: dict[str, Kept] = {}
    for (dataset, of), kept in groups.items():
        if mode in ("", of):
            found[dataset] = found.get(dataset, Kept(0, 0, 0, 0)) + kept
    return [kept.labelled for kept in found.values()], [k.labelled_kept for k in found.values()]


def summed_up(
    scores: pd.DataFrame, groups: Groups, c: Mapping[str, Frequency]
) -> tuple[dict[str, float], pd.DataFrame]:
    """Metrics of the contract, and the same as a table: all rows, then each polarity.

    `q` is the share of rows at `DEFAULT_THRESHOLD`, as in the trainings, whatever the threshold.
    """
    modes = sorted({mode for _, mode in groups}, reverse=True)
    metrics: dict[str, float] = {}
    lines = []
    for mode in ["", *modes]:
        rows = scores[scores["polarity"] == mode] if mode else scores
        kept = total(groups, mode)
        positive = rows["probability"] >= DEFAULT_THRESHOLD
        parts = [(total(groups, m), c[m]) for m in ([mode] if mode else modes) if m in c]
        complete = len(parts) == (1 if mode else len(modes))
        found = {
            "recall": kept.recall,
            "share_kept": kept.share_kept,
            "precision": precision(parts) if complete else None,
            "q": Proportion.of(int(positive.sum()), len(rows)),
        }
        line: dict[str, object] = {
            "rows of": mode or "all",
            "scans": kept.rows,
            "labelled": kept.labelled,
        }
        end = f".{mode}" if mode else ""
        metrics |= {f"n{end}": float(kept.rows), f"n_labelled{end}": float(kept.labelled)}
        for name, value in found.items():
            if value is None:
                continue
            for part in ("", ".low", ".high"):
                number = getattr(value, part.removeprefix(".") or "value")
                metrics[f"{name}{end}{part}"] = line[f"{name}{part}"] = number
        lines.append(line)
    return metrics, pd.DataFrame(lines)


def lines_of(groups: Groups, c: Mapping[str, Frequency]) -> Iterator[dict[str, object]]:
    """One line for each data set and polarity; precision takes c to be the same in all of them."""
    for (dataset, mode), kept in groups.items():
        line: dict[str, object] = {
            "dataset_id": dataset,
            "polarity": mode,
            "n": kept.rows,
            "n_labelled": kept.labelled,
            "n_kept": kept.kept,
            "n_labelled_kept": kept.labelled_kept,
        }
        found = {"recall": kept.recall, "share_kept": kept.share_kept}
        for name, value in found.items():
            line |= {name: value.value, f"{name}.low": value.low, f"{name}.high": value.high}
        if mode in c:
            estimate = precision([(kept, c[mode])])
            line |= {
                "precision": estimate.value,
                "precision.low": estimate.low,
                "precision.high": estimate.high,
            }
        yield line
