"""Pictures of a training, from its metrics file or its run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from priorwise.errors import BadInput, TrackingFailure
from priorwise.learn.history_file import read_rows
from priorwise.phases.desk import WORK_FOLDER, Desk, Plan, say
from priorwise.plots.metrics_figures import FIGURES
from priorwise.rna.history import METRICS_FILE, by_epoch, read_metrics
from priorwise.tracking.fingerprint import file_sha256, fingerprint
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import RunFacts

#: what each training phase leaves among its artifacts
HISTORIES = {
    "bce_pretrain": "history.csv",
    "nnpu_train": "history.csv",
    "rna_pretrain": METRICS_FILE,
}
#: what each picture needs one of
WANTED = {
    "losses": "loss",
    "accuracies": "accuracy, recall or score",
    "lr_activation": "learning rate, activation rate or clamp rate",
    "summary": "loss, accuracy, recall or score",
}
#: of genesis_rna, where nothing says otherwise
PUBLISHED_TARGET = 0.4
#: metrics worth a line in the log, and which end of them is good
JUDGED = {
    **dict.fromkeys(("train_loss", "val_loss"), "lowest"),
    **dict.fromkeys(("val_mlm_accuracy", "val_structure_accuracy"), "highest"),
    **dict.fromkeys(("val_pair_precision", "val_pair_recall", "val_pair_f1"), "highest"),
    **dict.fromkeys(("val_recall", "proxy_f1", "pu_auc", "labelled_auc"), "highest"),
}


@dataclass(frozen=True)
class PlotMetrics:
    """Parameters of `plot_metrics`.

    Attributes
    ----------
    metrics_file : str
        training_metrics.csv of an RNA training (also one of genesis_rna), or history.csv of any
        training. Either this or `run`.
    run : str
        Id of a run of bce_pretrain, nnpu_train or rna_pretrain, whose file is fetched.
    output_dir : str
        Folder of the pictures; empty = `out`.
    seed : int
        Accepted as in every phase; drawing is not random.
    config : str
        Recipe YAML; empty for none.
    out : str
        Another name of `output_dir`; empty = .priorwise/runs/<run id>.
    """

    metrics_file: str = ""
    run: str = ""
    output_dir: str = ""
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        if bool(self.metrics_file) == bool(self.run):
            given = "both" if self.run else "neither"
            raise BadInput(
                f"metrics_file, run: {given} given (expected one: the CSV file of a training, or "
                "the id of its run)"
            )


Config = PlotMetrics


@dataclass(frozen=True)
class Training:
    """What is to be drawn.

    Attributes
    ----------
    history : pandas.DataFrame
        One row per epoch.
    title : str
    target : float
        Activation rate that was asked for.
    """

    history: pd.DataFrame
    title: str
    target: float


def prepare(config: PlotMetrics, desk: Desk) -> Plan:
    """Find and read the file."""
    if config.run:
        facts = _training_run(config.run, desk)
        path = _fetched(facts, desk)
        target = _number(facts.params.get("cfg.ast_target_activation"))
        title = f"{facts.name or facts.tags['phase']} ({facts.run_id[:8]})"
        upstream = {"upstream.plotted": facts.run_id}
    else:
        path = Path(config.metrics_file)
        target = _number(_beside(path).get("ast_target_activation"))
        title = "/".join(path.resolve().parts[-2:])
        upstream = {}
    history = read_history(path)
    if history.empty:
        raise BadInput(f"{path}: holds no epoch yet (expected at least one line below the header)")
    return Plan(
        phase="plot_metrics",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("plot_metrics", {}, [file_sha256(path)], {}),
        upstream=upstream,
        resolved=Training(history, title, PUBLISHED_TARGET if target is None else target),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Draw, write and log the pictures, and say what they show."""
    training: Training = plan.resolved
    folder = _folder(plan.config, track.run_id)
    drawn = 0
    for name, draw in FIGURES.items():
        extra = {"target": training.target} if name == "lr_activation" else {}
        figure = draw(training.history, training.title, **extra)
        path = folder / f"{name}.png"
        if figure is None:
            old = f"; {path} is of an earlier time" if path.exists() else ""
            say(f"{path.name}: left out, there is no {WANTED[name]} on record{old}")
            continue
        try:
            figure.savefig(path, dpi=120)
        except OSError as error:
            raise BadInput(f"output_dir: {path} cannot be written ({error.strerror})") from error
        track.artifact(path, "figures")
        say(f"wrote {path}")
        drawn += 1
    if not drawn:
        raise BadInput(
            f"{training.title}: nothing to draw, no column is known "
            f"(found {', '.join(map(str, training.history.columns))})"
        )
    say(outcome(training.history))


def read_history(path: Path) -> pd.DataFrame:
    """One row per epoch, from either kind of file.

    Raises
    ------
    BadInput
        If it is none of them.
    """
    file = read_rows(path)
    if "phase" in file.columns:
        return by_epoch(read_metrics(path, say))
    if "epoch" not in file.columns:
        raise BadInput(
            f"{path}: has no column epoch (expected {METRICS_FILE} or history.csv of a training; "
            f"found {', '.join(file.columns)})"
        )
    if file.dropped:
        say(f"warning: {file.dropped}")
    others = {name: file.numbers(name) for name in file.columns if name != "epoch"}
    history = pd.DataFrame({"epoch": file.epochs(), **others})
    return history.drop_duplicates("epoch", keep="last").sort_values("epoch", ignore_index=True)


def outcome(history: pd.DataFrame) -> str:
    """Table of the main metrics: first, last and best, with the epoch of the best."""
    lines: list[list[object]] = []
    for name, good in JUDGED.items():
        if name not in history or history[name].isna().all():
            continue
        known = history.dropna(subset=[name])
        values, epochs = known[name].to_numpy(float), known["epoch"].to_numpy(int) + 1
        best = values.argmin() if good == "lowest" else values.argmax()
        shown = [f"{value:.4f}" for value in (values[0], values[-1], values[best])]
        lines.append([name, *shown, epochs[best]])
    n_epochs = f"{len(history)} epoch{'s' if len(history) > 1 else ''}"
    if not lines:
        return n_epochs
    table = pd.DataFrame(lines, columns=["metric", "first", "last", "best", "epoch of best"])
    return f"{n_epochs}\n{table.to_string(index=False)}"


def _training_run(run_id: str, desk: Desk) -> RunFacts:
    facts = desk.track.history.run(run_id)
    if facts is None or facts.deleted:
        raise BadInput(f"run: {run_id} does not exist or is deleted (expected the id of a run)")
    phase = facts.tags.get("phase", "unknown")
    if phase not in HISTORIES:
        raise BadInput(
            f"run: {run_id} is of phase {phase}, which keeps no history of epochs "
            f"(expected {', '.join(HISTORIES)})"
        )
    return facts


def _fetched(facts: RunFacts, desk: Desk) -> Path:
    name = HISTORIES[facts.tags["phase"]]
    try:
        return desk.track.history.fetch(facts.run_id, name)
    except TrackingFailure as error:
        raise BadInput(
            f"run: {facts.run_id} has no {name} (status {facts.status}; a training uploads it "
            "when it ends)"
        ) from error


def _beside(path: Path) -> Mapping[str, object]:
    """The configuration that a training left beside its metrics file; empty if there is none."""
    try:
        values = json.loads((path.parent / "config.json").read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(values, dict):
        return {}
    inner = values.get("training")  # of genesis_rna
    return inner if isinstance(inner, dict) else values


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _folder(config: PlotMetrics, run_id: str) -> Path:
    named = config.output_dir or config.out
    folder = Path(named) if named else WORK_FOLDER / "runs" / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"output_dir: {folder} cannot be made ({error.strerror})") from error
    return folder
