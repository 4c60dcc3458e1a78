"""Runs as the phases leave them, written with MLflow's own client: no training, no project code."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

DIGEST, OTHER_DIGEST = "d" * 32, "e" * 32
SCHEMA = "spectra/1"
#: the guide's numbers; rows and labelled rows that give its s
C = {"positive": 0.5889, "negative": 0.4486}
ROWS = {"positive": 1000, "negative": 500}
LABELLED = {"positive": 267, "negative": 64}
CHECKPOINT = "checkpoints/best_model-epoch=03-val_recall=0.8123.ckpt"


@dataclass
class Runs:
    """Writes runs into one fresh experiment; each starts a second after the one before."""

    client: MlflowClient
    folder: Path
    experiment_id: str = ""
    now: int = field(default_factory=lambda: int(time.time() * 1000))

    def __post_init__(self) -> None:
        name = f"experiment {self.folder}"
        place = (self.folder / "artifacts").as_uri()
        self.experiment_id = self.client.create_experiment(name, artifact_location=place)

    def run(
        self,
        phase: str,
        contract: Mapping[str, str],
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        status: str = "FINISHED",
        complete: bool = True,
        start: int | None = None,
    ) -> str:
        """A run of a phase; its id."""
        self.now += 1000
        facts = {"phase": phase, **contract}
        start = self.now if start is None else start
        run = self.client.create_run(self.experiment_id, start_time=start, run_name=f"{phase} test")
        rows = [Param(f"contract.{key}", value) for key, value in facts.items()]
        rows += [Param(key, value) for key, value in (params or {}).items()]
        labels = {**facts, **(tags or {}), **({"complete": "true"} if complete else {})}
        self.client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, start, 0) for key, value in (metrics or {}).items()],
            params=rows,
            tags=[RunTag(key, value) for key, value in labels.items()],
        )
        if status != "RUNNING":
            self.client.set_terminated(run.info.run_id, status)
        return run.info.run_id

    def contract(self, polarity: str, digest: str = DIGEST, version: str = "3") -> dict[str, str]:
        """The facts that a later resolution compares."""
        return {
            "polarity": polarity,
            "schema": SCHEMA,
            "data.digest": digest,
            "data.version": version,
            "fingerprint": "f" * 32,
        }

    def bce(
        self,
        polarity: str = "positive",
        digest: str = DIGEST,
        content: bytes = b"weights",
        **changes: object,
    ) -> str:
        """A phase 1 run with a checkpoint."""
        tags = {"checkpoint.path": CHECKPOINT, "checkpoint.sha256": sha256(content)}
        run_id = self.run("bce_pretrain", self.contract(polarity, digest), tags=tags, **changes)
        self.write_checkpoint(run_id, content)
        return run_id

    def prior(
        self,
        bce: str,
        polarity: str = "positive",
        digest: str = DIGEST,
        version: str = "3",
        content: bytes = b"weights",
        metrics: Mapping[str, float] | None = None,
        **changes: object,
    ) -> str:
        """A phase 2 run."""
        c, s = C[polarity], LABELLED[polarity] / ROWS[polarity]
        values = {
            "c": c,
            "s": s,
            "pi": s / c,
            "c.low": c - 0.02,
            "c.high": c + 0.02,
            "n_labelled": 120.0,
            "score.min": 0.02,
            "score.max": 0.97,
            **(metrics or {}),
        }
        return self.run(
            "estimate_prior",
            {**self.contract(polarity, digest, version), "upstream.bce": bce},
            params={"record.bce_checkpoint": sha256(content)},
            metrics=values,
            **changes,
        )

    def checkpoint(self, run_id: str) -> Path:
        """Where the checkpoint of a run lies."""
        return self.folder / "artifacts" / run_id / "artifacts" / CHECKPOINT

    def write_checkpoint(self, run_id: str, content: bytes) -> None:
        """Put (another) checkpoint in its place."""
        path = self.checkpoint(run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def sha256(content: bytes) -> str:
    """Digest of a file's content."""
    return hashlib.sha256(content).hexdigest()
