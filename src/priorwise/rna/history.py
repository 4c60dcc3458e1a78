"""The published metrics file, training_metrics.csv: written epoch by epoch, and read back."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from priorwise.errors import BadInput
from priorwise.learn.history_file import Row, read_rows, write_rows
from priorwise.learn.recorder import NullRecorder, Recorder

#: name of the file in a run's folder and among its artifacts
METRICS_FILE = "training_metrics.csv"
PHASES = ("train", "val")
#: as in genesis_rna, whose scripts read these files, too
MEASURES = (
    *("loss", "mlm_loss", "structure_loss", "pair_loss"),
    *("mlm_accuracy", "structure_accuracy", "pair_precision", "pair_recall", "pair_f1"),
)
COLUMNS = ("epoch", "step", "phase", *MEASURES, "learning_rate", "activation_rate")


class PublishedHistory:
    """Recorder of a `train` and a `val` row per epoch, which hands the metrics on.

    The file is on disk, whole, before the next recorder hears of the epoch. What an epoch did not
    measure stays empty, the activation rate of validation as published.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    batches_per_epoch : int
        Steps of an epoch: the column `step` says how many were done when the epoch began.
    then : Recorder
        Who records next.
    """

    def __init__(self, path: Path, batches_per_epoch: int, then: Recorder | None = None) -> None:
        self.path = path
        self._batches_per_epoch = batches_per_epoch
        self._then = then or NullRecorder()

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the rows of epoch `step` (0-based); rows of it and of later ones are replaced.

        Parameters
        ----------
        metrics : mapping
            `train_loss`, `val_loss`, `val_pair_f1` and so on, fractions in [0, 1];
            `learning_rate`, `activation_rate`. Others are only handed on.
        step : int
        """
        rows = [row for row in self._rows() if int(row["epoch"]) < step]
        for phase in PHASES:
            values = {name: metrics.get(f"{phase}_{name}") for name in MEASURES}
            values["learning_rate"] = metrics.get("learning_rate")
            if phase == "train":
                values["activation_rate"] = metrics.get("activation_rate")
            texts = {name: repr(float(v)) for name, v in values.items() if v is not None}
            at = {"epoch": str(step), "step": str(step * self._batches_per_epoch), "phase": phase}
            rows.append({**at, **texts})
        write_rows(self.path, COLUMNS, rows, line_end="\n")
        self._then.epoch(metrics, step)

    def step(self, metrics: Mapping[str, float], step: int) -> None:
        """Hand on."""
        self._then.step(metrics, step)

    def _rows(self) -> list[Row]:
        return read_rows(self.path).rows if self.path.exists() else []


def read_metrics(path: Path, say: Callable[[str], None] | None = None) -> pd.DataFrame:
    """Rows of a metrics file, published ones too.

    Parameters
    ----------
    path : pathlib.Path
    say : callable, optional
        Hears that a half written last line was left out; default: standard error.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS` and any others of the file; `epoch` and `step` are integers, `phase` is
        train or val, the others numbers (NaN where nothing was recorded). Where an epoch occurs
        twice, the later row counts.

    Raises
    ------
    BadInput
        Naming file, line and column of what is not as expected.
    """
    file = read_rows(path)
    file.require(COLUMNS)
    for row, line in zip(file.rows, file.lines, strict=True):
        if row["phase"] not in PHASES:
            raise BadInput(
                f"{path}: line {line}, column phase: expected train or val, got "
                f"{row['phase'][:60]!r}"
            )
    if file.dropped:
        (say or _to_stderr)(f"warning: {file.dropped}")
    columns: dict[str, list[int] | list[float] | list[str]] = {
        name: file.numbers(name) for name in file.columns if name not in ("epoch", "phase")
    }
    frame = pd.DataFrame(
        {"epoch": file.epochs(), "phase": [row["phase"] for row in file.rows], **columns}
    )
    frame["step"] = frame["step"].fillna(0).astype(int)
    return (
        frame.drop_duplicates(["epoch", "phase"], keep="last")
        .sort_values(["epoch", "phase"], kind="stable")
        .reset_index(drop=True)[file.columns]
    )


def by_epoch(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per epoch, with the names of epoch metrics: `train_loss`, `val_pair_f1` and so on.

    Parameters
    ----------
    metrics : pandas.DataFrame
        As `read_metrics` returns it.

    Returns
    -------
    pandas.DataFrame
        Column `epoch` (0-based), metrics, and `learning_rate` and `activation_rate` of training.
    """
    parts = []
    for phase in PHASES:
        own = metrics[metrics["phase"] == phase].set_index("epoch")
        part = own[list(MEASURES)].add_prefix(f"{phase}_")
        if phase == "train":
            part[["learning_rate", "activation_rate"]] = own[["learning_rate", "activation_rate"]]
        parts.append(part)
    return parts[0].join(parts[1], how="outer").sort_index().reset_index()


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
