"""How many rows are labelled: s per polarity and per dataset_id."""

from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.checks import polarity_list
from priorwise.phases.data import read_table
from priorwise.phases.desk import Desk, Plan, say
from priorwise.spectra.facts import TableFacts
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class DatasetStats:
    """Parameters of `dataset_stats`.

    Attributes
    ----------
    data : str
        Folder that holds the table; `simulated` = the simulated tables.
    table : str
        Name of the table in it.
    polarity : str
        both, positive or negative (the guide's 1 or 0).
    seed : int
        Accepted as in every phase; counting is not random.
    config : str
        Recipe YAML; empty for none.
    out : str
        Unused; accepted as in every phase.
    """

    data: str = "simulated"
    table: str = "train_data"
    polarity: Literal["both", "positive", "negative", "1", "0"] = "both"
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        modes = polarity_list(self.polarity, "polarity")
        object.__setattr__(self, "polarity", "both" if len(modes) == 2 else modes[0])


Config = DatasetStats


def prepare(config: DatasetStats, desk: Desk) -> Plan:
    """Read the table whole."""
    _, facts = read_table(config.data, config.table, desk)
    return Plan(
        phase="dataset_stats",
        polarity=config.polarity,
        config=config,
        tables={config.table: facts},
        fingerprint=fingerprint("dataset_stats", asdict(config), [facts.digest], {}),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Print and log the label rates."""
    facts = plan.tables[plan.config.table]
    modes = [m for m in polarity_list(plan.polarity) if facts.n_rows(m)]
    if not modes:
        raise BadInput(f"{facts.uri}: no rows of {plan.polarity} polarity")
    for mode in modes:
        s = facts.label_rate(mode)
        say(f"Results for Polarity {'1' if mode == 'positive' else '0'} ({mode})")
        say(f"Total samples matched: {facts.n_rows(mode)}")
        say(f"Samples with Label=1: {facts.n_labelled(mode)}")
        say(f"Positivity Rate: {100 * s:.2f}%")
        track.metrics({f"s.{mode}": s, f"n.{mode}": facts.n_rows(mode)})
        if len(modes) == 1:
            track.metrics({"s": s})
    table = rates(facts, modes)
    say(table.to_string(index=False, float_format=lambda v: f"{v:.4f}"))
    track.text(table.to_csv(index=False), "label_rates.csv")


def rates(facts: TableFacts, modes: list[str]) -> pd.DataFrame:
    """Rows, labelled rows and s of each polarity and dataset_id."""
    lines = [
        {
            "polarity": mode,
            "dataset_id": dataset_id,
            "rows": rows,
            "labelled": facts.labelled.get((mode, dataset_id), 0),
            "s": facts.labelled.get((mode, dataset_id), 0) / rows,
        }
        for (mode, dataset_id), rows in sorted(facts.rows.items())
        if mode in modes
    ]
    return pd.DataFrame(lines)
