"""Trainings of the RNA benchmark: the product's own, without a tracking server."""

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks import published_rna
from priorwise.learn.recorder import CsvHistory
from priorwise.learn.sparse import SparseSelection
from priorwise.learn.stopping import StopRequest
from priorwise.phases.rna_fit import RnaJob, run_rna_job
from priorwise.phases.rna_options import RnaPretrain
from priorwise.phases.run_folder import HISTORY
from priorwise.rna import network as networks
from priorwise.rna.batches import FeatureMaps, assemble
from priorwise.rna.cells import average_precision, cells_of
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.decoding import Decoder
from priorwise.rna.ensemble import AnyRnaNetwork
from priorwise.rna.history import METRICS_FILE, PublishedHistory
from priorwise.rna.module import SEED_SCALE
from priorwise.rna.network import architecture
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import build
from priorwise.rna.scoring import StrictScores
from priorwise.rna.tally import EpochTally
from priorwise.rna.threshold import GRID
from priorwise.training.fit import FitResult

#: the published threshold of a called pair
USUAL_THRESHOLD = 0.35
Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class PreferringJob(RnaJob):
    """A training whose sparse selection has another preference than the product's."""

    preference: float = 1.0

    def selection(self) -> SparseSelection | None:
        """Sparse training, if it is wanted."""
        usual = super().selection()
        if usual is None or usual.preference == self.preference:
            return usual
        return SparseSelection(
            usual.n_rows,
            usual.target,
            seed=usual.seed,
            revisit=usual.revisit,
            preference=self.preference,
        )


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes
    ----------
    job : RnaJob
    result : FitResult
    history : pandas.DataFrame
        One line per epoch.
    wall, cpu : float
        Seconds of everything: training, validation, checkpoints.
    """

    job: RnaJob
    result: FitResult
    history: pd.DataFrame
    wall: float
    cpu: float

    @property
    def seconds(self) -> float:
        """Wall clock of the training alone, without validation."""
        return float((len(self.job.train) / self.history["samples_per_second"]).sum())

    def network(self, *, last: bool = False) -> AnyRnaNetwork:
        """The network of the best epoch, or of the last one."""
        path = self.result.last if last else self.result.best
        return build(architecture(**self.job.options.network()), kept_weights(path))


def train(job: RnaJob) -> Trained:
    """Run a training; its history is written to its folder, too."""
    job.folder.mkdir(parents=True, exist_ok=True)
    for name in (HISTORY, METRICS_FILE):
        (job.folder / name).unlink(missing_ok=True)
    recorder = PublishedHistory(
        job.folder / METRICS_FILE, job.steps_per_epoch(), CsvHistory(job.folder / HISTORY)
    )
    wall, cpu = time.perf_counter(), time.process_time()
    result = run_rna_job(job, recorder, StopRequest())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Trained(job, result, pd.read_csv(job.folder / HISTORY), wall, cpu)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a training of which only numbers are kept."""
    with tempfile.TemporaryDirectory(prefix="priorwise-bench-") as folder:
        yield Path(folder)


def short(job: RnaJob) -> RnaJob:
    """The same training with a warmup of at most a tenth of its steps."""
    steps = job.steps_per_epoch() * job.options.num_epochs
    warmup = min(job.options.warmup_steps, steps // 10)
    return replace(job, options=replace(job.options, warmup_steps=warmup))


def speed(options: RnaPretrain, rows: RnaRows) -> float:
    """Samples per second of one epoch on `rows`, as the training itself tells it."""
    once = replace(options, num_epochs=1, warmup_steps=0)
    with scratch() as folder:
        done = train(RnaJob(once, rows, rows.take([0]), folder))
    return float(done.history["samples_per_second"].iloc[0])


@contextmanager
def published_sizes() -> Iterator[None]:
    """Let `model_size` name the encoders of the comparison with the published modules, too."""
    with patch.dict(networks.SIZES, published_rna.SIZES):
        yield


def decoded(found: Iterable[tuple[int, Probabilities]], rows: RnaRows) -> dict[str, float]:
    """Average precision, and mean F1 of decoded pairs at .35 and at the best threshold.

    The best one is chosen on these rows: its F1 is optimistic, for all lines of a table alike.
    """
    decoder = Decoder("greedy", USUAL_THRESHOLD, canonical_only=True)
    tried = sorted({USUAL_THRESHOLD, *GRID})
    cells, f1 = [], []
    for row, probabilities in found:
        true = rows.pairs_of_row(row)
        cells.append(cells_of(probabilities, true))
        pairs = decoder.decode_each(probabilities, rows.tokens_of_row(row), tried)
        f1.append(StrictScores.of(pairs, [true] * len(pairs)).f1)
    means = np.mean(f1, axis=0)
    best = int(means.argmax())
    return {
        "ap": average_precision(cells),
        "decoded_f1": float(means[tried.index(USUAL_THRESHOLD)]),
        "best_f1": float(means[best]),
        "best_threshold": tried[best],
    }


@torch.no_grad()
def validated(
    network: AnyRnaNetwork,
    rows: RnaRows,
    seed: int,
    *,
    whole: bool = True,
    features: FeatureMaps | None = None,
) -> dict[str, float]:
    """Metrics of a validation: nucleotides of hidden bases, the others of whole sequences.

    With `whole=False` everything is told from sequences with hidden bases, as published. `loss` is
    on the seed's scale.
    """
    tally, size = EpochTally(SEED_SCALE, USUAL_THRESHOLD), 32
    for start in range(0, len(rows), size):
        chosen = range(start, min(start + size, len(rows)))
        batch = assemble(rows, chosen, seed=seed, features=features)
        hidden = network(batch.masked, batch.present, batch.features)
        answer = hidden
        if whole:
            answer = network(batch.tokens, batch.present, batch.features)
            answer = answer._replace(nucleotides=hidden.nucleotides)
        tally.add(answer, batch, SEED_SCALE.sums(answer, batch))
    return {k.removeprefix("val_"): v for k, v in tally.metrics("val").items()}
