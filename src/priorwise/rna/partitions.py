"""Who is trained on and who is held out: whole groups of similar sequences, drawn by seed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from priorwise.errors import BadInput
from priorwise.rna.clusters import REDUNDANT, RELATED, clusters, whole_clusters
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import CUT, TEST, TRAINING, VALIDATION


def split(
    records: Sequence[RnaRecord], validation: float, test: float, seed: int
) -> list[RnaRecord]:
    """Draw the validation and the test partition; the rest is for training.

    Sequences that are alike (`clusters.REDUNDANT`) go to the same partition.

    Parameters
    ----------
    records : sequence of RnaRecord
        None of which has a partition yet.
    validation, test : float
        Shares of the records, each in [0, 1].
    seed : int

    Raises
    ------
    BadInput
        If a share is not 0 and yet no group is small enough for it.
    """
    groups = clusters([r.sequence for r in records], REDUNDANT)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    partition = np.full(len(records), TRAINING, dtype=object)
    for name, share in ((TEST, test), (VALIDATION, validation)):
        free = np.flatnonzero(partition == TRAINING)
        candidates = [records[k] for k in free.tolist()]
        held_out = _drawn(candidates, groups[free], share * len(records), rng)
        if share and not held_out.any():
            raise BadInput(
                f"split: no group of similar sequences is small enough for {share:g} of "
                f"{len(records)} records as {name} (expected more, or less alike, sequences; or a "
                "column partition)"
            )
        partition[free[held_out]] = name
    return [replace(r, partition=str(p)) for r, p in zip(records, partition, strict=True)]


def cut_out(records: Sequence[RnaRecord], share: float, seed: int) -> list[RnaRecord]:
    """Cut a share out of the training partition, far from what is left of it.

    No sequence of CUT is related (`clusters.RELATED`) to one that stays in the training partition.
    Where most of it is related, CUT becomes smaller than asked for.

    Parameters
    ----------
    records : sequence of RnaRecord
    share : float
        Of the training records, in [0, 1).
    seed : int
    """
    training = [k for k, r in enumerate(records) if r.partition == TRAINING]
    wanted = share * len(training)
    if round(wanted) == 0:
        return list(records)
    groups = clusters([records[k].sequence for k in training], RELATED)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    drawn = _drawn([records[k] for k in training], groups, wanted, rng)
    cut = {k for k, out in zip(training, drawn, strict=True) if out}
    return [replace(r, partition=CUT) if k in cut else r for k, r in enumerate(records)]


def _drawn(
    records: Sequence[RnaRecord],
    groups: npt.NDArray[np.int64],
    wanted: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Groups for holding out: those that have a structure to judge by, if there are any."""
    labelled = np.array([r.pairs is not None for r in records], bool)
    fit = np.isin(groups, groups[labelled]) if labelled.any() else np.ones(len(records), bool)
    drawn = np.zeros(len(records), bool)
    drawn[fit] = whole_clusters(groups[fit], round(wanted), rng)
    return drawn
