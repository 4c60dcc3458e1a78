"""Part `storage`: bytes of a table with seven MS2 scans for each MS1 scan."""

import shutil
from pathlib import Path

import pandas as pd

from benchmarks import speed_data
from benchmarks.figures import dots
from benchmarks.speed_setting import Setting
from benchmarks.tables import Goal, Report, present
from priorwise.spectra.ingest.build import SHARED_MS1
from priorwise.spectra.schema import SPECTRA_SCHEMA
from priorwise.store.tables import write_shared_table, write_table

ROWS, ROWS_PER_FILE = 20_000, 4096
REPEATED, SHARED = "published: peaks in each row", "ours: peaks once"


def run(setting: Setting) -> Report:
    """Write the same rows both ways, as `ingest` does."""
    n = min(ROWS, setting.rows)
    folder = setting.out.absolute() / "data" / "storage"
    shutil.rmtree(folder, ignore_errors=True)
    rows = speed_data.batches(n, setting.seed)
    write_table(str(folder / "repeated"), SPECTRA_SCHEMA, rows, ROWS_PER_FILE)
    write_shared_table(
        str(folder / "shared"),
        SPECTRA_SCHEMA,
        lambda: speed_data.batches(n, setting.seed),
        SHARED_MS1,
        ROWS_PER_FILE,
    )
    sizes = {
        REPEATED: _bytes(folder / "repeated"),
        SHARED: _bytes(folder / "shared") + _bytes(folder / f"shared{SHARED_MS1.ending}"),
    }
    shutil.rmtree(folder)
    table = pd.DataFrame({"line": list(sizes), "MB": [size / 1e6 for size in sizes.values()]})
    table["bytes a row"] = [size / n for size in sizes.values()]
    table["x smaller"] = [sizes[REPEATED] / size for size in sizes.values()]
    goals = [Goal("storage: x smaller", sizes[REPEATED] / sizes[SHARED], 5)]
    used = [f"{n} rows, {speed_data.MS2_PER_MS1} MS2 scans for each MS1 scan"]
    title = "bytes of a table on disk"
    figure = dots(table, "line", {"MB": "MB"}, title, ours=[SHARED])
    return present(Report("storage", title, used, table, goals, {"": figure}), setting.out)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
