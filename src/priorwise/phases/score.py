"""A trained model on a user's own files: one line for each MS2 scan."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, probability_or_auto, within, writable_file
from priorwise.phases.desk import WORK_FOLDER, Desk, Plan, say
from priorwise.phases.logged_model import find_model
from priorwise.phases.score_expectation import Expectation, expectation
from priorwise.phases.score_output import (
    OUT_SHA256,
    check_out,
    refuse_other_work,
    without_parts,
)
from priorwise.phases.score_report import record, tell
from priorwise.spectra.encoder import in_bfloat16
from priorwise.spectra.ingest.streams import byte_bar
from priorwise.spectra.ingest.thermo import THERMO_SUFFIXES, opentfraw
from priorwise.spectra.saved_model import SavedModel, load_saved_model
from priorwise.spectra.score.part import POOL, encodable, shown
from priorwise.spectra.score.partial import clear, put_in_place, workshop
from priorwise.spectra.score.run import Scoring, score_sources
from priorwise.spectra.score.sources import Sources, find_sources
from priorwise.spectra.score.summary import summarise
from priorwise.spectra.score.writers import needs_peaks, writer_of
from priorwise.spectra.table_stats import stats_of_table
from priorwise.store.tables import open_pinned
from priorwise.tracking.fingerprint import file_sha256, fingerprint, source_digest
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class Score:
    """Parameters of `score`.

    Attributes
    ----------
    model : str
        models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID, or the id of a run that logged one.
    inputs : str
        mzML, mzXML, Thermo RAW or MGF (plain or .gz), Lance tables: a file, a folder, a glob, a
        comma-separated list, or an s3:// object or prefix.
    threshold : str
        Probability from which on a scan is identifiable; auto = the one stored with the model.
    dataset_id : str
        Name of the data set in the USIs; empty = MSV number in the path, else the file's stem.
    windows : int
        Scans whose MS1 is drawn round the precursor; at most 16.
    overwrite : bool
        Replace a file that is there already and comes from other work.
    precision : {"32", "bf16"}
        bf16: bfloat16 where that is sound, faster; probabilities differ by about a hundredth.
    seed : int
        Of the choice of these scans; scoring is not random.
    config : str
        Recipe YAML; empty for none.
    out : str
        File to write: .csv, .parquet, .mztab or .mgf; empty = scores.csv in
        .priorwise/runs/<run id>.
    """

    model: str = "models:/priorwise-spectra@champion"
    inputs: str = ""
    threshold: str = "auto"
    dataset_id: str = ""
    windows: int = 4
    overwrite: bool = False
    precision: Literal["32", "bf16"] = "32"
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        for name, value in (("inputs", self.inputs), ("out", self.out)):
            if encodable(value) != value:
                raise BadInput(f"{name}: {shown(value)} is no UTF-8 (its folder may be given)")
        if not self.inputs:
            raise BadInput("inputs: nothing given (expected a file, a folder, a glob or s3://...)")
        probability_or_auto("threshold", self.threshold)
        within("windows", self.windows, 0, POOL)
        at_least("seed", self.seed, 0)
        if self.out:
            writer_of(self.out)


Config = Score


@dataclass(frozen=True)
class Resolved:
    """What `prepare` found.

    Attributes
    ----------
    facts : ModelFacts
    scoring : Scoring
    sources : Sources
    out : pathlib.Path
    expected : Expectation
        What was seen of the model at this threshold; nothing if another one was given.
    """

    facts: ModelFacts
    scoring: Scoring
    sources: Sources
    out: Path
    expected: Expectation


def prepare(config: Score, desk: Desk) -> Plan:
    """Find the model and the files; make sure that the output may be written."""
    default = WORK_FOLDER / "runs" / desk.track.run_id / "scores.csv"
    out = Path(config.out) if config.out else default
    sources = without_parts(find_sources(config.inputs), out, config.inputs)
    check_out(out, sources)
    facts = find_model(config.model, desk, "select_threshold")
    model = load_saved_model(facts.folder)
    in_bfloat16(model.network, config.precision == "bf16")
    check_readable(sources, model, facts, out)
    warn_of_other_scales(sources, model)
    given = probability_or_auto("threshold", config.threshold)
    threshold = model.threshold if given is None else given
    scoring = Scoring(
        model=model,
        threshold=threshold,
        dataset_id=config.dataset_id,
        seed=config.seed,
        key={
            "model": facts.digest,
            "source": source_digest(),
            "precision": config.precision,
        },
    )
    options = {
        "threshold": threshold,
        "dataset_id": config.dataset_id,
        "seed": config.seed,
        "format": out.suffix.lower(),
    }
    identities = [scoring.identity(source, needs_peaks(out.name)) for source in sources.found]
    work = fingerprint("score", options, identities, {"model": facts.digest})
    if not config.overwrite and (before := refuse_other_work(out, work, desk)):
        say(f"{out} comes from the same work (run {before}): written again")
    writable_file("out", out)
    stored = threshold == model.threshold
    expected = expectation(facts, model.modes, threshold, desk) if stored else Expectation()
    return Plan(
        phase="score",
        polarity=model.polarity,
        config=config,
        tables={},
        fingerprint=work,
        upstream={"upstream.model": facts.model_id},
        tags={"threshold": f"{threshold:.6g}", "model.address": config.model},
        resolved=Resolved(facts, scoring, sources, out, expected),
    )


def check_readable(sources: Sources, model: SavedModel, facts: ModelFacts, out: Path) -> None:
    """Refuse, before any work, what this installation or this model cannot do."""
    runs = [source for source in sources.found if not source.is_table]
    tables = [source for source in sources.found if source.is_table]
    for source in runs:
        if source.name.lower().endswith(THERMO_SUFFIXES):
            opentfraw(source.address)
    if runs and model.stats is None:
        raise BadInput(
            f"model: {facts.model_id} carries no statistics of its training settings, so it cannot "
            f"score {runs[0].address} (expected a Lance table made with them, or a model that was "
            "trained on an ingested table)"
        )
    if tables and needs_peaks(out.name):
        raise BadInput(
            f"out: {out} (a Lance table holds no MS2 peaks, as {tables[0].address} does not: "
            "choose .csv, .parquet or .mztab)"
        )


def warn_of_other_scales(sources: Sources, model: SavedModel) -> None:
    """Say so if a table was z-scored with other statistics than the model's training table."""
    for source in sources.found:
        if not source.is_table or model.stats is None:
            continue
        found = stats_of_table(open_pinned(source.address))
        if found and (found.mean, found.std) != (model.stats.mean, model.stats.std):
            say(
                f"warning: {source.label}: its settings were z-scored with other statistics than "
                "those of the model's training table; score the runs themselves instead"
            )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Score file after file, put the output in place, then say what came out."""
    config, resolved = plan.config, plan.resolved
    facts, sources, out = resolved.facts, resolved.sources.found, resolved.out
    if resolved.sources.ignored:
        say(f"{len(resolved.sources.ignored)} file(s) of another kind are ignored")
    named = f" ({facts.name} version {facts.version})" if facts.name else ""
    rule = resolved.scoring.model.rule if config.threshold == "auto" else "given"
    say(
        f"model {facts.model_id}{named}, threshold {resolved.scoring.threshold:.4f}"
        f"{f' ({rule})' if rule else ''}; {len(sources)} input(s)"
    )
    with workshop(out) as folder:
        if not config.overwrite:  # another process may have finished one meanwhile
            refuse_other_work(out, plan.fingerprint, desk)
        with closing(byte_bar(sum(source.size for source in sources), "score")) as bar:
            parts, notes = score_sources(sources, resolved.scoring, out, folder, say, bar.update)
        summary = summarise(sources, parts, notes)
        if not summary.total.n:
            damage = summary.damaged[0].damage if summary.damaged else "no MS2 scan in them"
            raise BadInput(f"inputs={config.inputs}: nothing could be scored ({shown(damage)})")
        # tagged first: whatever stops us afterwards, the file is known again
        put_in_place(
            out,
            parts,
            folder,
            lambda whole: track.tags({"out": out, OUT_SHA256: file_sha256(whole)}),
        )
        clear(out)
    tell(summary, resolved.expected, out)
    record(summary, resolved.scoring.threshold, config.windows, track)
    if summary.damaged:
        more = f" and {len(summary.damaged) - 1} more" if len(summary.damaged) > 1 else ""
        first = shown(summary.damaged[0].damage)
        raise BadInput(
            f"{first}{more}: only what comes before the damage is in {out}; "
            "all other inputs are in it whole"
        )
