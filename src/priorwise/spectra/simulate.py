"""Simulated spectra tables with known y, c and pi: what an estimate can be checked against.

Real tables never tell which unlabelled scans are positive. These do: `write` leaves, beside tables
of the usual contract, a `truth` table with the class of every row and its exact Bayes score.
**Truth is for measuring, never for training**: nothing that fits, selects or calibrates a model
may call `read_truth`.

The rates default to those reported for the published study: label frequencies c of .5889 and .4486
and priors pi of .454 and .285 in positive and negative mode, so s = c pi = .267 and .128; settings,
cycles and m/z ranges are of the order seen on real Orbitraps. Unlike reality, labels are selected
completely at random (SCAR): s ~ Bernoulli(c y), whatever the row looks like. The classes overlap
so that no score exceeds an AUC of about .98. Hence Elkan and Noto's e1 is biased even for a perfect
score g = c P(y=1|x): E[e1] = c E[P(y=1|x) | y=1] < c, and s / e1 - pi is about +.06.

How a row comes about: `simulated.generative` (formulas), `simulated.scans` (MS1 peaks).
"""

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from priorwise.errors import BadInput
from priorwise.spectra.schema import POLARITIES
from priorwise.spectra.settings import STATS_FILE
from priorwise.spectra.simulated.noise_pool import read_noise_pool
from priorwise.spectra.simulated.parameters import (
    FORMAT,
    TABLES,
    Simulation,
    key,
    key_with,
    parameters,
)
from priorwise.spectra.simulated.rows import settings_statistics, simulate_rows
from priorwise.spectra.simulated.scans import NoisePool
from priorwise.spectra.simulated.tables import (
    TRUTH_SCHEMA,
    realised_rates,
    truth_batches,
    write_rows,
)
from priorwise.store.addresses import is_remote
from priorwise.store.tables import open_pinned, scan, table_exists, write_table

MANIFEST = "simulation.json"

__all__ = ["Simulation", "SimulatedTables", "key", "read_truth", "write"]


@dataclass(frozen=True)
class SimulatedTables:
    """Where the tables are, and what is in them.

    Attributes
    ----------
    root : str
        The folder.
    manifest : dict
        The content of its simulation.json.
    reused : bool
        Whether the same simulation was there already.
    """

    root: str
    manifest: dict[str, Any]
    reused: bool

    @property
    def tables(self) -> dict[str, str]:
        """Path of each table by its name in the truth table."""
        return {name: str(Path(self.root, name)) for name in TABLES}


def write(simulation: Simulation, root: str) -> SimulatedTables:
    """Write the five tables, their truth and their description into the folder `root`.

    The folder appears whole or not at all. If it is there already and holds the same simulation
    (say, from a process that was faster) nothing is written.

    Parameters
    ----------
    simulation : Simulation
    root : str
        A local folder that is absent, empty, or holds this very simulation.

    Raises
    ------
    BadInput
        If `root` is remote or holds something else, or the background table cannot be used.
    """
    if is_remote(root):
        raise BadInput(f"{root}: simulated tables are written to a local folder")
    target = Path(root)
    pool = read_noise_pool(simulation.backgrounds)
    digest = key_with(simulation, pool)
    if _occupied(target):
        return _reuse(target, digest)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{target}: its parent folder cannot be made ({error.strerror})") from error
    staging = target.parent / f".partial-{target.name}-{uuid.uuid4().hex[:8]}"
    try:
        manifest = _write_all(simulation, digest, pool, staging)
        try:
            staging.rename(target)
        except OSError:
            if not _occupied(target):
                raise
            return _reuse(target, digest)  # another process won the race
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return SimulatedTables(str(target), manifest, reused=False)


def _occupied(target: Path) -> bool:
    return target.exists() and not (target.is_dir() and not any(target.iterdir()))


def _reuse(target: Path, digest: str) -> SimulatedTables:
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{target}: already there and not a simulation; choose another `out` or remove it"
        ) from error
    if found != digest:
        raise BadInput(
            f"{target}: holds simulation {found}, not {digest}; choose another `out` or remove it"
        )
    for name in (*TABLES, "truth"):
        if not table_exists(str(target / name)):
            raise BadInput(f"{target}: its table {name} is gone; choose another `out` or remove it")
    return SimulatedTables(str(target), manifest, reused=True)


def _write_all(
    simulation: Simulation, name_key: str, pool: NoisePool | None, folder: Path
) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    truth: list[pa.RecordBatch] = []
    first_id = 1
    for stream, (name, n_datasets) in enumerate(TABLES.items()):
        # a stream of its own for each table: the size of one never changes the rows of another
        rng = np.random.default_rng(
            np.random.SeedSequence(int(simulation.seed), spawn_key=(stream,))
        )
        ids = [f"MSV{900000000 + i}" for i in range(first_id, first_id + n_datasets)]
        first_id += n_datasets
        rows = simulate_rows(
            rng,
            simulation.sizes[name],
            ids,
            simulation.pi,
            simulation.c,
            int(simulation.max_peaks),
            pool,
        )
        digest = write_rows(str(folder / name), rows)
        tables[name] = {"rows": rows.y.size, "digest": digest, **realised_rates(rows)}
        truth += truth_batches(name, rows)
    write_table(str(folder / "truth"), TRUTH_SCHEMA, iter(truth))
    stats = settings_statistics(simulation.pi, int(simulation.n_train))
    (folder / STATS_FILE).write_text(stats.to_json(), encoding="utf-8")
    manifest = {
        "what": "simulated spectra with known y, c and pi (SCAR); not measurements",
        "format": FORMAT,
        "key": name_key,
        "parameters": parameters(simulation),
        "true": {p: _rates(simulation.c[p], simulation.pi[p]) for p in POLARITIES},
        "tables": tables,
    }
    text = json.dumps(manifest, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _rates(c: float, pi: float) -> dict[str, float]:
    s = c * pi
    return {"c": c, "pi": pi, "s": s, "alpha": (pi - s) / (1 - s)}


def read_truth(root: str, table: str) -> pd.DataFrame:
    """Read the true classes and Bayes scores of a table: to measure with, never to train on.

    Parameters
    ----------
    root : str
        Folder that `write` filled.
    table : str
        "train_data", "validation_data", or "test_1/test_data" to "test_3/test_data".

    Returns
    -------
    pandas.DataFrame
        Columns row, y, bayes_score; line i is row i of the table.

    Raises
    ------
    BadInput
        If there is no truth at `root` or `table` is not one of the five.
    """
    if table not in TABLES:
        raise BadInput(f"{table}: not a simulated table (expected one of {', '.join(TABLES)})")
    pinned = open_pinned(str(Path(root, "truth")))
    if pinned.schema.names != TRUTH_SCHEMA.names:
        raise BadInput(
            f"{pinned.uri}: not a truth table (columns {', '.join(pinned.schema.names)})"
        )
    whole: pd.DataFrame = pa.Table.from_batches(list(scan(pinned)), TRUTH_SCHEMA).to_pandas()
    part: pd.DataFrame = whole[whole["table"] == table].drop(columns="table")
    return part.sort_values("row", ignore_index=True)
