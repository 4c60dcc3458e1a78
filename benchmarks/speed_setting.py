"""What the speed benchmark is told, and how its lines take turns."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks import speed_data


@dataclass(frozen=True)
class Setting:
    """Parameters of the command.

    Attributes
    ----------
    out : pathlib.Path
        Folder of tables, figures and the data.
    rows : int
        Of the table that loaders read.
    rounds : int
        Turns of each line, after one that is not counted.
    threads : int
    seed : int
    quick : bool
        A small part of everything, to try it.
    """

    out: Path
    rows: int
    rounds: int
    threads: int
    seed: int
    quick: bool

    def table(self, n_rows: int = 0, name: str = "train_data") -> Path:
        """A table of so many rows; of `rows` if not given."""
        n_rows = n_rows or self.rows
        uri = self.out.absolute() / "data" / f"rows_{n_rows}_{self.seed}" / name
        speed_data.write(uri, n_rows, self.seed)
        return uri


@dataclass(frozen=True)
class Turn:
    """What one turn of a line took.

    Attributes
    ----------
    rows : int
    wall, cpu : float
        Seconds.
    waste : float
        Share of the tokens that were padding.
    """

    rows: int
    wall: float
    cpu: float
    waste: float = float("nan")


def timed(work: Callable[[], tuple[int, float]]) -> Turn:
    """Do the work, which returns its rows and its padding waste."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows, waste = work()
    return Turn(rows, time.perf_counter() - wall, time.process_time() - cpu, waste)


def take_turns(
    lines: dict[str, Callable[[int], Turn]], rounds: int, baseline: str, by: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Time the lines in turn, so that whatever else the machine does hits all of them alike.

    Parameters
    ----------
    lines : dict
        Functions of the number of the round; round 0 warms up and is not counted.
    rounds : int
    baseline : str
        The line that the others are compared with, round by round.
    by : {"wall", "cpu"}
        The seconds that are compared.

    Returns
    -------
    table : pandas.DataFrame
        A row for each line: medians over the rounds.
    turns : pandas.DataFrame
        Every turn.
    """
    found = []
    for number in range(rounds + 1):
        for name, line in lines.items():
            turn = line(number)
            if number:
                speeds = {"wall": turn.rows / turn.wall, "cpu": turn.rows / turn.cpu}
                found.append({"line": name, "round": number, **speeds, "waste": turn.waste})
    turns = pd.DataFrame(found)
    of_round = turns.pivot(index="round", columns="line", values=by)
    ratios = of_round.div(of_round[baseline], axis=0)
    grouped = turns.groupby("line", sort=False)
    order = list(grouped.groups)
    table = pd.DataFrame(
        {
            "line": order,
            "rows/s": grouped["wall"].median().loc[order].to_numpy(),
            "rows/CPU-s": grouped["cpu"].median().loc[order].to_numpy(),
            "x baseline": ratios.median().loc[order].to_numpy(),
            "lowest x": ratios.min().loc[order].to_numpy(),
            "highest x": ratios.max().loc[order].to_numpy(),
            "padding": grouped["waste"].mean().loc[order].to_numpy(),
        }
    )
    return table, turns
