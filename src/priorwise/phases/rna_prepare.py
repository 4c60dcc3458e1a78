"""Sequences with structures, from files or from a grammar, to one Lance table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.rna_data import (
    FILES,
    RnaPrepare,
    read_rna,
    table_is_there,
    write_rna,
    write_synthetic,
)
from priorwise.rna.formats.inputs import find_inputs
from priorwise.rna.formats.raw import BadRow
from priorwise.rna.formats.read import ReadFiles, read_files
from priorwise.rna.overlap import NEAR_COPY, Overlap, overlaps
from priorwise.rna.partitions import cut_out, split
from priorwise.rna.read_rows import load_rows
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import CUT, PARTITIONS, RNA_SCHEMA, SCHEMA_NAME, TRAINING
from priorwise.rna.table import RnaFacts, batches
from priorwise.store.staging import staged
from priorwise.store.tables import ContentDigest, PinnedTable
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack

Config = RnaPrepare


@dataclass(frozen=True)
class Work:
    """What `prepare` found out.

    Attributes
    ----------
    folder, key : str
        Where the table goes, and the name of its rows.
    there : bool
        Whether these very rows lie there already.
    read : ReadFiles or None
        The records of the files; None if they are synthetic.
    """

    folder: str
    key: str
    there: bool
    read: ReadFiles | None


def prepare(config: RnaPrepare, desk: Desk) -> Plan:
    """Read and check the files; find out whether the table is there."""
    read = _read(config) if config.source == FILES else None
    digest = _digest(read.records) if read else ""
    key = config.key(digest)
    folder = config.folder(key)
    # the records count, not what their files are called
    decides = {name: value for name, value in asdict(config).items() if name != "inputs"}
    return Plan(
        phase="rna_prepare",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("rna_prepare", decides, [digest], {}),
        schema=SCHEMA_NAME,
        resolved=Work(folder, key, table_is_there(folder, key), read),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Write the table unless it is there, and measure what is in it."""
    config, work = plan.config, plan.resolved
    if work.read:
        log_bad_rows(work.read, track)
    if work.there:
        say(f"these rows are in {work.folder} already: nothing is written")
    elif work.read:
        write_rna(work.folder, with_partitions(work.read.records, config), FILES, work.key)
    else:
        say(f"synthetic RNA: making a table in {work.folder} (seed {config.seed})")
        write_synthetic(config, work.folder)
    pinned, facts = read_rna(work.folder, desk)
    track.tags(
        {
            "data.folder": work.folder,
            "data.digest": facts.digest,
            "data.version": facts.version,
            "data.source": config.source,
        }
    )
    log_partitions(facts, track)
    warn_of_small_cut(facts, work, config)
    log_overlaps(sequences_of(pinned, facts), track)
    say(f"the table is in {work.folder} (digest {facts.digest})")


def _read(config: RnaPrepare) -> ReadFiles:
    with staged(config.inputs) as inputs:
        files = find_inputs(inputs)
        if files.ignored:
            names = ", ".join(path.name for path in files.ignored[:3])
            say(f"{len(files.ignored)} files of another kind are passed over ({names}, ...)")
        return read_files(files.paths, config.bad_rows)


def _digest(records: Sequence[RnaRecord]) -> str:
    whole = ContentDigest(RNA_SCHEMA)
    for batch in batches(records):
        whole.update(batch)
    return whole.hexdigest()


def with_partitions(records: list[RnaRecord], config: RnaPrepare) -> list[RnaRecord]:
    """Records of files, each in a partition: the one they name, or one that is drawn.

    Raises
    ------
    BadInput
        If some name one and some do not.
    """
    named = sum(bool(record.partition) for record in records)
    if 0 < named < len(records):
        first = next(record.id for record in records if not record.partition)
        raise BadInput(
            f"inputs: {len(records) - named} of {len(records)} records have no partition, the "
            f"first is {first} (expected one for each, or none at all and split=...)"
        )
    if not named:
        _, validation, test = config.shares
        records = split(records, validation, test, config.seed)
    if any(record.partition == CUT for record in records):
        say(f"the files name a partition {CUT}: nothing is cut out of {TRAINING}")
        return records
    return cut_out(records, config.cut, config.seed)


def sequences_of(pinned: PinnedTable, facts: RnaFacts) -> dict[str, list[str]]:
    """Sequences of each partition of a table."""
    rows, _ = load_rows(pinned, facts.partitions)
    found: dict[str, list[str]] = {name: [] for name in facts.partitions}
    for k, partition in enumerate(rows.partitions):
        found[partition].append(rows.sequence(k))
    return found


def log_bad_rows(read: ReadFiles, track: RunTrack) -> None:
    """Count the records that were left out, by reason, and list them."""
    whole = len(read.records) + len(read.bad)
    say(f"{whole} records read, {len(read.bad)} of them left out")
    for reason, count in read.reasons.items():
        say(f"  {reason}: {count}")
    counts = {f"bad_rows.{_slug(reason)}": n for reason, n in read.reasons.items()}
    track.metrics({"bad_rows": len(read.bad), **counts})
    columns = list(BadRow.__dataclass_fields__)
    table = pd.DataFrame([vars(row) for row in read.bad], columns=columns)
    track.text(table.to_csv(index=False), "bad_rows.csv")


def _slug(reason: str) -> str:
    return reason.replace(" ", "_").lower()


def log_partitions(facts: RnaFacts, track: RunTrack) -> None:
    """Print and log what each partition holds."""
    table = pd.DataFrame(
        [
            {
                "partition": name,
                "rows": facts.n_rows(name),
                "labelled": facts.n_labelled(name),
                "pairs": facts.n_pairs(name),
                "non_canonical": facts.non_canonical_share(name),
                "longest": facts.longest[name],
                "families": len(facts.family_counts(name)),
                "for": PARTITIONS[name],
            }
            for name in facts.partitions
        ]
    )
    say(table.to_string(index=False, float_format=lambda v: f"{v:.4f}"))
    track.text(table.to_csv(index=False), "partitions.csv")
    for name in ("rows", "labelled", "pairs", "non_canonical"):
        values = zip(table["partition"], table[name], strict=True)
        track.metrics({f"{name}.{partition}": float(value) for partition, value in values})
    families = [
        {"partition": name, "family": family, "rows": rows}
        for name in facts.partitions
        for family, rows in facts.family_counts(name).items()
    ]
    track.text(pd.DataFrame(families).to_csv(index=False), "families.csv")


def warn_of_small_cut(facts: RnaFacts, work: Work, config: RnaPrepare) -> None:
    """Say if fewer rows than asked for could be cut out of the training partition."""
    if work.read and any(record.partition == CUT for record in work.read.records):
        return  # the files say what it is
    wanted = round(config.cut * (facts.n_rows(TRAINING) + facts.n_rows(CUT)))
    if facts.n_rows(CUT) < wanted:
        say(
            f"warning: {CUT} has {facts.n_rows(CUT)} of the {wanted} rows asked for: the other "
            f"groups of similar sequences in {TRAINING} are larger than what is left to cut"
        )


def log_overlaps(sequences: dict[str, list[str]], track: RunTrack) -> None:
    """Print and log how alike the partitions are."""
    found = overlaps(sequences)
    table = pd.DataFrame([asdict(o) for o in found], columns=list(Overlap.__dataclass_fields__))
    say(table.to_string(index=False, float_format=lambda v: f"{v:.4f}"))
    track.text(table.to_csv(index=False), "overlap.csv")
    for o in found:
        pair = f"{o.first}_{o.second}"
        track.metrics(
            {
                f"leak.exact.{pair}": o.exact,
                f"leak.kmer.{pair}": o.near_copies,
                f"leak.kmer_highest.{pair}": o.highest,
                f"leak.kmer_mean.{pair}": o.mean,
            }
        )
        if o.near_copies:
            say(
                f"warning: {round(o.near_copies * o.rows)} of the {o.rows} sequences of {o.second} "
                f"have a near copy in {o.first} (similarity above {NEAR_COPY:g}), {o.exact} of "
                "them an exact one: scores on them show memory"
            )
