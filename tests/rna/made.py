"""Sequences, batches and networks that tests are made with."""

import dataclasses

import numpy as np
import torch

from priorwise.rna.batches import assemble
from priorwise.rna.masking import IGNORED
from priorwise.rna.network import RnaNetwork
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import pairs_of, sorted_pairs

#: a convolutional head small enough for loops over its cells
CONV = {
    "model_size": "tiny",
    "pair_head": "conv",
    "positions": "rotary",
    "max_len": 64,
    "pair_channels": 8,
    "pair_dilations": (1, 2, 1),
}
BILINEAR = {"model_size": "tiny", "pair_head": "bilinear", "positions": "learned", "max_len": 64}


def record(rng, n, labelled=True, name="", partition="TR0"):
    """A random sequence; pairs may be close together, and a base may have several."""
    sequence = "".join(rng.choice(list("ACGUN"), n, p=[0.24, 0.24, 0.24, 0.24, 0.04]))
    ends = np.sort(rng.integers(n, size=(n // 3, 2)), axis=1)
    pairs = np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0)
    return RnaRecord(name, sequence, sorted_pairs(pairs) if labelled else None, "", partition)


def random_rows(seed=0, lengths=(13, 22, 1, 30, 17, 5), unlabelled=(1,)):
    """Rows of different lengths, some of unknown structure."""
    rng = np.random.default_rng(seed)
    return RnaRows.build(
        record(rng, n, k not in unlabelled, f"r{k}") for k, n in enumerate(lengths)
    )


def batch_of(rows, indices=None, **key):
    return assemble(rows, range(len(rows)) if indices is None else indices, **key)


def shaken(network, seed=0, strength=0.2):
    """Every weight moved, so that none is 0 or 1 by chance; dropout off."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight += (
                strength
                * torch.randn(weight.shape, generator=generator)
                / max(weight.shape[-1] if weight.ndim else 1, 1) ** 0.5
            )
    return network.eval()


def network(seed=0, **values):
    torch.manual_seed(seed)
    return shaken(RnaNetwork(**values), seed)


def random_answer(rows, seed=0, width=None):
    """Logits of every sequence of `rows`, and the same as one padded `RnaAnswer`."""
    from priorwise.rna.network import RnaAnswer

    rng = np.random.default_rng(seed)
    width = width or -(-int(rows.lengths.max()) // 8) * 8
    letters = rng.normal(size=(len(rows), width, 9)) * 2
    loops = rng.normal(size=(len(rows), width, 5)) * 2
    maps = rng.normal(size=(2, len(rows), width, width)) * 3
    pairs, folding = (maps + maps.transpose(0, 1, 3, 2)) / 2
    logits = (letters, loops, pairs, folding)
    return RnaAnswer(*(torch.tensor(x, dtype=torch.float32) for x in logits))


def with_teacher(batch, seed=0):
    """A batch with made-up pair probabilities to learn, symmetric; also where nothing is."""
    rng = np.random.default_rng(seed)
    width = batch.present.shape[1]
    cells = rng.random((len(batch.row), width, width)) ** 4
    teacher = torch.tensor((cells + cells.transpose(0, 2, 1)) / 2, dtype=torch.float32)
    return dataclasses.replace(batch, teacher=teacher)


def as_reference(rows, answer, batch):
    """The sequences of a batch as `tests.reference.rna_losses` takes them."""
    found = []
    for k, row in enumerate(batch.row.tolist()):
        n = int(rows.lengths[row])
        labels = (batch.labels[k, :n].tolist(), batch.loops[k, :n].tolist())
        asked, kinds = ([None if x == IGNORED else x for x in values] for values in labels)
        found.append(
            {
                "letters": answer.nucleotides[k, :n].double().tolist(),
                "loops": answer.loops[k, :n].double().tolist(),
                "pairs": answer.pairs[k, :n, :n].double().tolist(),
                "asked": asked,
                "kinds": kinds,
                "true": set(map(tuple, rows.pairs_of_row(row).tolist()))
                if batch.labelled[k]
                else None,
                "folding": answer.folding[k, :n, :n].double().tolist()
                if answer.folding is not None
                else None,
                "teacher": batch.teacher[k, :n, :n].double().tolist()
                if batch.teacher is not None
                else None,
            }
        )
    return found


def hairpins(n, seed=0, partition="TR0", labelled=1.0):
    """Sequences of 10 to 22 bases that fold into one hairpin."""
    rng = np.random.default_rng(seed)
    records = []
    for k in range(n):
        stem, loop, tail = rng.integers(3, 6), rng.integers(4, 7), rng.integers(0, 7)
        pairs = [("GC", "CG", "AU", "UA")[x] for x in rng.integers(4, size=stem)]
        five, three = "".join(p[0] for p in pairs), "".join(p[1] for p in pairs[::-1])
        sequence = five + "A" * loop + three + "A" * tail
        structure = "(" * stem + "." * loop + ")" * stem + "." * tail
        known = pairs_of(structure) if rng.random() < labelled else None
        records.append(RnaRecord(f"{partition}{k}", sequence, known, "", partition))
    return RnaRows.build(records)


def joined(*parts):
    return RnaRows.build(record for part in parts for record in part.records())
