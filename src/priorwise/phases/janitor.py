"""Close the runs whose processes died without a word, and say which ones are left."""

from dataclasses import asdict, dataclass

import pandas as pd

from priorwise.phases.checks import within
from priorwise.phases.desk import Desk, Plan, say
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.orphans import HOUR, OpenRun, close, open_runs
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class Janitor:
    """Parameters of `janitor`.

    Attributes
    ----------
    older_than_hours : float
        Also close runs of other machines that gave no sign of life for so long, and runs that
        `mlflow run` made so long ago without a phase ever beginning; 0 = leave them.
    all_experiments : bool
        In every experiment of the store, not only in the active one.
    dry_run : bool
        Only say what would be done.
    seed : int
        Accepted as in every phase; nothing here is random.
    config : str
        Recipe YAML; empty for none.
    out : str
        Unused; accepted as in every phase.
    """

    older_than_hours: float = 0.0
    all_experiments: bool = False
    dry_run: bool = False
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        within("older_than_hours", self.older_than_hours, 0, 1e6)


Config = Janitor


def prepare(config: Janitor, desk: Desk) -> Plan:
    """Find the runs that say RUNNING."""
    track = desk.track
    experiments = [track.experiment_id]
    if config.all_experiments:
        experiments = [e.experiment_id for e in track.client.search_experiments()]
    found = open_runs(
        track.client, experiments, config.older_than_hours * HOUR, leave={track.run_id}
    )
    return Plan(
        phase="janitor",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("janitor", asdict(config), [run.run_id for run in found], {}),
        resolved=found,
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Close the orphans among them."""
    found: list[OpenRun] = plan.resolved
    lines = []
    for each in found:
        done = "left"
        if each.verdict.orphan:
            done = "would be closed" if plan.config.dry_run else _closed(each, track)
        line = {"run": each.run_id, "phase": each.phase or each.name, "done": done}
        lines.append({**line, "why": each.verdict.reason})
        say("  ".join(lines[-1].values()))
    counts = pd.Series([line["done"] for line in lines], dtype=str).value_counts()
    closed, left = int(counts.get("closed (KILLED)", 0)), int(counts.get("left", 0))
    say(f"{len(found)} runs say RUNNING: {closed} closed, {len(found) - closed} not")
    if closed:
        say("a training among them goes on with resume=<its run id> and the same parameters")
    if left and not plan.config.older_than_hours:
        say("older_than_hours=24, say, also closes those that have been silent for a day")
    track.text(
        pd.DataFrame(lines, columns=["run", "phase", "done", "why"]).to_csv(index=False),
        "runs.csv",
    )
    track.metrics({"found": len(found), "closed": closed})


def _closed(run: OpenRun, track: RunTrack) -> str:
    return "closed (KILLED)" if close(track.client, run) else "left (taken up again just now)"
