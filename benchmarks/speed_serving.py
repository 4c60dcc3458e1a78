"""Part `pyfunc`: what the served model's own code adds to each row, its network apart."""

import numpy as np
import pandas as pd

from benchmarks.figures import dots
from benchmarks.serving import spectra
from benchmarks.speed_setting import Setting, Turn, timed
from benchmarks.tables import Goal, Report, present
from priorwise.serving.spectra_frames import table_rows

ARRAYS, LISTS = "frame of arrays", "frame of lists (as from JSON)"


def run(setting: Setting) -> Report:
    """Frames to rows, both kinds in turn."""
    frame = spectra()
    lists = frame.map(lambda cell: cell.tolist() if isinstance(cell, np.ndarray) else cell)
    found = []
    for number in range(setting.rounds + 1):
        for name, given in ((ARRAYS, frame), (LISTS, lists)):

            def work(given: pd.DataFrame = given) -> tuple[int, float]:
                return len(table_rows(given)), float("nan")

            turn: Turn = timed(work)
            if number:
                found.append({"line": name, "round": number, "us": turn.cpu / turn.rows * 1e6})
    turns = pd.DataFrame(found)
    table = turns.groupby("line", sort=False)["us"].agg(["median", "min", "max"]).reset_index()
    table.columns = ["line", "us a row", "lowest", "highest"]
    slowest = float(table["us a row"].max())
    goals = [Goal("pyfunc, our share, us a row", slowest, 20, 10, "<=", "probe 11.6")]
    used = [f"{len(frame)} rows of 150 peaks; CPU time; {setting.rounds} rounds"]
    figure = dots(turns, "line", {"us": "us a row (dot: round)"}, "pyfunc", ours=[ARRAYS, LISTS])
    title = "data frame to rows: checks and conversion, MLflow's own schema check apart"
    return present(Report("pyfunc", title, used, table, goals, {"": figure}), setting.out)
