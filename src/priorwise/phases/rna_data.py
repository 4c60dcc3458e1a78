"""RNA tables: what makes one, where it lies, and the synthetic one that is made on first use."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Literal

from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.checks import at_least, within
from priorwise.phases.desk import WORK_FOLDER, Desk, say
from priorwise.rna.grammar import FORMAT, LEAST_LENGTH, synthetic_records
from priorwise.rna.partitions import cut_out
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import RNA_SCHEMA, TABLE, TEST, TRAINING, UNSEEN, VALIDATION
from priorwise.rna.table import RnaFacts, batches, inspect
from priorwise.store.tables import PinnedTable, open_pinned, table_exists, write_table

SYNTHETIC, FILES = "synthetic", "files"
#: in the table's own metadata: where its rows are from, and `RnaPrepare.key` of them
_SOURCE, _KEY = "source", "priorwise.key"


@dataclass(frozen=True)
class RnaPrepare:
    """Parameters of `rna_prepare`.

    Attributes
    ----------
    source : str
        synthetic = sequences from a stochastic grammar; files = what `inputs` names.
    inputs : str
        csv, dbn, db, ct, bpseq, fasta or fa, plain or .gz: a file, a folder, a glob, a
        comma-separated list, or an s3:// prefix.
    bad_rows : str
        refuse = stop at a record that cannot be used; drop = leave it out and count it.
    cut : float
        Share of the training rows that is cut out as partition CUT: whole groups of similar
        sequences; 0 = none.
    split : str
        Shares of training, validation and test, where the files name no partition.
    n_train, n_validation, n_test, n_new : int
        Synthetic sequences of TR0, VL0, TS0 and NEW.
    min_length, max_length : int
        Bases of a synthetic sequence.
    seed : int
        Of the synthetic sequences, the split and the cut.
    config : str
        Recipe YAML; empty for none.
    out : str
        Folder of the table; empty = .priorwise/rna/<hash of what decides the rows>.
    """

    source: Literal["synthetic", "files"] = "synthetic"
    inputs: str = ""
    bad_rows: Literal["refuse", "drop"] = "refuse"
    cut: float = 0.1
    split: str = "0.8,0.1,0.1"
    n_train: int = 2000
    n_validation: int = 200
    n_test: int = 200
    n_new: int = 200
    min_length: int = 30
    max_length: int = 80
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        if self.source == FILES and not self.inputs:
            raise BadInput("inputs: nothing given (expected a file, a folder or a glob)")
        if self.source == SYNTHETIC and self.inputs:
            raise BadInput("inputs: given with source=synthetic (expected source=files)")
        within("cut", self.cut, 0, 0.5)
        at_least("n_train", self.n_train, 20)
        for name in ("n_validation", "n_test", "n_new", "min_length"):
            at_least(name, getattr(self, name), 1)
        at_least("max_length", self.max_length, max(self.min_length, LEAST_LENGTH))
        at_least("seed", self.seed, 0)
        _ = self.shares

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of training, validation and test."""
        try:
            train, validation, test = (float(part) for part in self.split.split(","))
        except ValueError:
            raise BadInput(f"split: {self.split!r} (expected three numbers: 0.8,0.1,0.1)") from None
        for share in (train, validation, test):
            within("split", share, 0, 1)
        if not math.isclose(train + validation + test, 1, abs_tol=1e-6) or not train:
            raise BadInput(f"split: {self.split} (expected shares that add up to 1, training > 0)")
        return train, validation, test

    def key(self, input_digest: str = "") -> str:
        """Short name of the rows: 12 hexadecimal characters.

        Parameters
        ----------
        input_digest : str
            Digest of the records that the files hold; empty for synthetic ones.
        """
        names = ["source", "cut", "seed"]
        if self.source == FILES:
            names += ["split"]
        else:
            names += ["n_train", "n_validation", "n_test", "n_new", "min_length", "max_length"]
        values = {name: getattr(self, name) for name in names}
        text = json.dumps({**values, "format": FORMAT, "inputs": input_digest}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def folder(self, key: str) -> str:
        """Where the table lies."""
        return self.out.rstrip("/") if self.out else str(WORK_FOLDER / "rna" / key)


def table_is_there(folder: str, key: str) -> bool:
    """Whether the rows `key` lie in `folder` already.

    Raises
    ------
    BadInput
        If a table of other rows does: it is never overwritten.
    """
    uri = f"{folder}/{TABLE}"
    if not table_exists(uri):
        return False
    metadata = open_pinned(uri).schema.metadata or {}
    if metadata.get(_KEY.encode(), b"").decode() != key:
        raise BadInput(
            f"{uri}: a table of other rows is already there; choose another `out` or remove it"
        )
    return True


def write_rna(folder: str, records: list[RnaRecord], source: str, key: str) -> None:
    """Write the table into `folder`, whole or not at all."""
    schema = RNA_SCHEMA.with_metadata({_SOURCE: source, _KEY: key})
    uri = f"{folder}/{TABLE}"
    try:
        write_table(uri, schema, (batch.cast(schema) for batch in batches(records)))
    except OSError as error:
        if not table_is_there(folder, key):  # else another process was faster
            raise BadInput(f"{uri}: cannot be written ({error.strerror or error})") from error


def write_synthetic(config: RnaPrepare, folder: str) -> None:
    """Draw the synthetic sequences, cut out CUT, and write the table."""
    sizes = {
        TRAINING: config.n_train,
        VALIDATION: config.n_validation,
        TEST: config.n_test,
        UNSEEN: config.n_new,
    }
    records = synthetic_records(sizes, config.min_length, config.max_length, config.seed)
    write_rna(folder, cut_out(records, config.cut, config.seed), SYNTHETIC, config.key())


def data_folder(data: str, desk: Desk) -> str:
    """The folder (or table) named by `data`; `synthetic` means the recipe's synthetic table.

    Raises
    ------
    BadInput
        If nothing is named, or the recipe's `rna_prepare` reads files. Whether there is a table at
        the place named is seen when it is read: other data are never taken instead.
    """
    if not data:
        raise BadInput("data: nothing given (expected the folder of an RNA table, or synthetic)")
    if data != SYNTHETIC:
        return data
    config = parse("rna_prepare", RnaPrepare, desk.recipe, [])
    if config.source != SYNTHETIC:
        raise BadInput(
            "data=synthetic, but rna_prepare of the recipe reads files (expected data=FOLDER, "
            "the folder it wrote)"
        )
    folder = config.folder(config.key())
    if not table_is_there(folder, config.key()):
        say(f"synthetic RNA: making a table in {folder} (seed {config.seed})")
        write_synthetic(config, folder)
    say(f"data=synthetic: using {folder}; these are not real sequences")
    return folder


def read_rna(data: str, desk: Desk) -> tuple[PinnedTable, RnaFacts]:
    """Open, pin and check an RNA table; say which version was read."""
    pinned, facts = inspect(data_folder(data, desk))
    counts = ", ".join(f"{name} {facts.n_rows(name)}" for name in facts.partitions)
    say(
        f"{TABLE}: {facts.n_rows()} rows ({counts}), {facts.n_labelled()} with structure "
        f"(version {facts.version}, digest {facts.digest[:8]}, {facts.uri})"
    )
    return pinned, facts
