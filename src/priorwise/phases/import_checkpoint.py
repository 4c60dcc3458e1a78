"""A published checkpoint as a tracked run and a registered model, loadable at once."""

import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from priorwise.errors import BadInput
from priorwise.learn.network_folder import DEFAULT_THRESHOLD, write_model
from priorwise.phases.checks import polarity_list, within
from priorwise.phases.data import read_table
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.spectra_model import log_spectra_model
from priorwise.pu.proportions import wilson
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.published import Published, published_stats, read_published
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.saved_model import load_saved_model
from priorwise.spectra.schema import POLARITIES, SCHEMA_NAME
from priorwise.spectra.scoring import score_rows
from priorwise.spectra.settings import SettingsStats
from priorwise.spectra.table_stats import stats_of_table
from priorwise.store.tables import open_pinned
from priorwise.tracking.fingerprint import file_sha256, fingerprint
from priorwise.tracking.models import MODEL_DIGEST, MODEL_SHA256, WEIGHTS, folder_digest
from priorwise.tracking.registry import Registry, check_name
from priorwise.tracking.runs import RunTrack

#: what the authors report of their final model, on their Test Set 3
PUBLISHED_RECALL, PUBLISHED_THRESHOLD = 0.8986, 0.767


@dataclass(frozen=True)
class ImportCheckpoint:
    """Parameters of `import_checkpoint`.

    Attributes
    ----------
    checkpoint : str
        A `.ckpt` of bittremieuxlab/pu_ms2_identifiability, BCE or nnPU, or one of ours.
    name : str
        Registered model it becomes a version of.
    polarity : str
        both, positive or negative: what it was trained on; auto = both for a checkpoint with a
        prior for each, otherwise it has to be said.
    threshold : float
        From which probability on a scan counts as identifiable, in [0, 1].
    settings_stats : str
        JSON with mean and deviation of the settings it was trained on, ours or the authors'
        training_stats.json; without it the model takes no raw settings. auto = those of `data`.
    data : str
        Folder with a table to check recall on; empty for no check.
    table : str
        Name of the table in it.
    seed : int
        Accepted as in every phase; nothing here is random.
    config : str
        Recipe YAML; empty for none.
    out : str
        Folder in which the network folder is left, too; empty for none.
    """

    checkpoint: str = ""
    name: str = "priorwise-imported"
    polarity: str = "auto"
    threshold: float = DEFAULT_THRESHOLD
    settings_stats: str = "auto"
    data: str = ""
    table: str = "test_data"
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        if not self.checkpoint:
            raise BadInput("checkpoint: nothing (expected the path of a .ckpt file)")
        if re.match(r"[a-z0-9+]+:/", self.checkpoint):
            raise BadInput(
                f"checkpoint: {self.checkpoint} (expected a local file; download it first)"
            )
        check_name("name", self.name)
        within("threshold", self.threshold, 0, 1)
        if self.polarity != "auto":
            modes = polarity_list(self.polarity, "polarity")
            object.__setattr__(self, "polarity", "both" if len(modes) == 2 else modes[0])
        if self.out and os.path.lexists(self.out):  # false for a name that is too long
            raise BadInput(f"out: {self.out} is there already (expected a new folder)")


Config = ImportCheckpoint


def prepare(config: ImportCheckpoint, desk: Desk) -> Plan:
    """Read the checkpoint, and the table if there is one."""
    published = read_published(Path(config.checkpoint))
    sha256 = file_sha256(Path(config.checkpoint))
    polarity = polarity_of(config.polarity, published)
    tables: dict[str, TableFacts] = {}
    if config.data:
        _, table = read_table(config.data, config.table, desk)
        for mode in polarity_list(polarity):
            if table.n_rows(mode):
                table.require(mode, what="a check of recall", unlabelled=False)
        if not any(table.n_labelled(mode) for mode in polarity_list(polarity)):
            raise BadInput(f"{table.uri}: no labelled rows of {polarity} polarity")
        tables["check"] = table
    stats = stats_of(config, tables)
    return Plan(
        phase="import_checkpoint",
        polarity=polarity,
        config=config,
        tables=tables,
        fingerprint=fingerprint(
            "import_checkpoint",
            asdict(config),
            [table.digest for table in tables.values()],
            {"checkpoint": sha256, "stats": stats.to_json() if stats else ""},
        ),
        tags={"imported.sha256": sha256, "imported.from": Path(config.checkpoint).name},
        resolved=(published, stats),
    )


def polarity_of(wanted: str, published: Published) -> str:
    """What the model was trained on, as far as the file says."""
    if wanted != "auto":
        return wanted
    if len(published.priors(POLARITIES)) == 2:
        return "both"
    raise BadInput(
        "polarity: auto, but the checkpoint holds no prior for each polarity, so it is a BCE "
        "model; say polarity=positive, negative or both"
    )


def stats_of(config: ImportCheckpoint, tables: dict[str, TableFacts]) -> SettingsStats | None:
    """Statistics of the settings, from the file named or from the table."""
    if config.settings_stats == "auto":
        if not tables:
            return None
        table = tables["check"]
        return stats_of_table(open_pinned(table.uri, table.version))
    path = Path(config.settings_stats)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"settings_stats: {path}: cannot be read as JSON ({error})") from error
    if isinstance(content, dict) and "0" in content:
        return published_stats(content, str(path))
    return SettingsStats.from_json(text, f"settings_stats: {path}")


def spoken(polarity: str) -> str:
    """A polarity as one says it."""
    return "both polarities" if polarity == "both" else f"{polarity} polarity"


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Log the model, register it, and say what it reaches on the table."""
    config: ImportCheckpoint = plan.config
    published, stats = plan.resolved
    folder = Path(config.out) if config.out else Path(".priorwise") / "runs" / track.run_id
    network = folder / "network"
    try:
        network.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"out: {folder} cannot be made ({error.strerror})") from error
    write_model(
        network,
        published.architecture,
        published.state,
        {
            "phase": plan.phase,
            "polarity": plan.polarity,
            "schema": SCHEMA_NAME,
            "training_run": track.run_id,
            "threshold": config.threshold,
            "rule": "given at import",
            "settings_stats": json.loads(stats.to_json()) if stats else None,
            "priors": published.priors(polarity_list(plan.polarity)),
        },
    )
    model_id = log_spectra_model(track, network)
    track.json(printable(published.hparams), "published_hparams.json")
    if plan.tables:
        check_recall(plan, network, model_id, track)
    version = Registry(track.client, config.name).register(
        model_id,
        track.run_id,
        {
            MODEL_SHA256: file_sha256(network / WEIGHTS),
            MODEL_DIGEST: folder_digest(network),
            "threshold": f"{config.threshold:.6g}",
            "imported.sha256": plan.tags["imported.sha256"],
            "training_run": track.run_id,
        },
        f"Imported from {Path(config.checkpoint).name} (sha256 "
        f"{plan.tags['imported.sha256'][:12]}...). Not trained here; it passed no gate.",
    )
    track.tags({"registered": version.address})
    say(f"registered: {version.address}, {spoken(plan.polarity)}, threshold {config.threshold:g}")
    if stats is None:
        say(
            "it takes rows as of a table only; for raw files, import it again with "
            "settings_stats=training_stats.json"
        )


def printable(value: Any) -> Any:
    """Hyper-parameters as JSON can hold them, whatever a file uses as a key."""
    if isinstance(value, dict):
        return {str(key): printable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [printable(part) for part in value]
    if isinstance(value, float) and math.isfinite(value):
        return value
    return value if isinstance(value, str | int | None) else str(value)


def check_recall(plan: Plan, network: Path, model_id: str, track: RunTrack) -> None:
    """Recall on the labelled rows of the table, beside what the authors report."""
    table = plan.tables["check"]
    saved = load_saved_model(network)
    rows = load_rows(open_pinned(table.uri, table.version), plan.polarity)
    scores = score_rows(saved.network, rows)
    labelled = rows.s.numpy() == 1
    kept = scores >= saved.threshold
    n, hits = int(labelled.sum()), int((kept & labelled).sum())
    low, high = wilson(hits, n)
    metrics = {
        "recall": hits / n,
        "recall.low": low,
        "recall.high": high,
        "share_kept": float(np.mean(kept)),
        "threshold": saved.threshold,
    }
    track.model_metrics(model_id, metrics, Path(table.uri).name, table.digest)
    say(
        f"recall {hits / n:.4f} [{low:.4f}, {high:.4f}] of {n} labelled rows at threshold "
        f"{saved.threshold:g}, {100 * np.mean(kept):.1f} % of {len(scores)} rows kept (published, "
        f"nnPU model on Test Set 3: {PUBLISHED_RECALL} at {PUBLISHED_THRESHOLD})"
    )
