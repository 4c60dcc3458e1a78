"""How well a model predicts unseen structures, beside RNAfold and a copy of the nearest."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, probability_or_auto
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.logged_model import find_model
from priorwise.phases.rna_data import read_rna
from priorwise.plots.pairs import dot_plot, pair_precision_recall, pair_reliability
from priorwise.plots.strict_f1 import f1_against_length, f1_by_family, f1_by_stratum
from priorwise.rna.evaluation import MODEL, PartEvaluation, evaluate_part
from priorwise.rna.features import feature_maps
from priorwise.rna.read_rows import load_rows
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import SavedRnaModel, load_saved_model
from priorwise.rna.schema import SCHEMA_NAME
from priorwise.rna.structure import dot_bracket
from priorwise.rna.table import RnaFacts, inspect
from priorwise.rna.viennarna import is_installed
from priorwise.store.tables import open_pinned
from priorwise.tracking.evidence import dataset_inputs
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.runs import RunTrack

#: numbers of the table that is printed, and their headings
SHOWN = {
    "n": "n",
    "f1": "F1",
    "f1.low": "low",
    "f1.high": "high",
    "precision": "precision",
    "recall": "recall",
    "ap": "AP",
    "structure_accuracy": "structure",
    "copy_f1": "copy F1",
    "rnafold_f1": "RNAfold F1",
    "leak_exact": "seen",
    "leak_similar": "similar",
}


@dataclass(frozen=True)
class RnaEvaluate:
    """Parameters of `rna_evaluate`.

    Attributes
    ----------
    model : str
        auto = the newest complete rna_pretrain or rna_ensemble run; or a run id,
        models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID.
    data : str
        Folder that holds the table rna_data; `synthetic` = the synthetic one.
    partitions : str
        Which to evaluate, separated by commas; those that the table does not have are left out, and
        said so.
    max_length : int
        Leave out longer sequences, and count them; 0 = none.
    threshold : str
        auto = the one stored in the model; or a number in [0, 1], such as 0.35.
    rnafold : {"auto", "true", "false"}
        RNAfold as another row: auto = if ViennaRNA (extra `rna`) is installed.
    resamples : int
        Of the bootstrap over sequences.
    seed : int
    config : str
        Recipe YAML; empty for none.
    out : str
        Unused; accepted as in every phase.
    """

    model: str = "auto"
    data: str = "synthetic"
    partitions: str = "VL0,CUT,TS0,NEW"
    max_length: int = 0
    threshold: str = "auto"
    rnafold: str = "auto"
    resamples: int = 1000
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        at_least("max_length", self.max_length, 0)
        at_least("resamples", self.resamples, 20)
        at_least("seed", self.seed, 0)
        probability_or_auto("threshold", self.threshold)
        if self.rnafold not in ("auto", "true", "false"):
            raise BadInput(f"rnafold: {self.rnafold!r} (expected auto, true or false)")
        if not self.names:
            raise BadInput("partitions: none is named (expected some of TR0, VL0, CUT, TS0, NEW)")

    @property
    def names(self) -> tuple[str, ...]:
        """The partitions, each once."""
        parts = (part.strip() for part in self.partitions.split(","))
        return tuple(dict.fromkeys(part for part in parts if part))


Config = RnaEvaluate


@dataclass(frozen=True)
class Judged:
    """A model, and what it was trained on."""

    facts: ModelFacts
    saved: SavedRnaModel


def prepare(config: RnaEvaluate, desk: Desk) -> Plan:
    """Find the model, read the table."""
    facts = find_model(config.model, desk, "rna_pretrain", "rna_ensemble")
    saved = load_saved_model(facts.folder)
    if saved.description.get("schema") != SCHEMA_NAME:
        raise BadInput(f"model: {config.model} is no RNA model")
    _, table = read_rna(config.data, desk)
    missing = [name for name in config.names if not table.n_labelled(name)]
    if len(missing) == len(config.names):
        raise BadInput(
            f"{table.uri}: no sequence with a structure in {', '.join(config.names)} (partitions; "
            f"there are: {', '.join(table.partitions) or 'none'})"
        )
    if missing:
        say(f"no sequence with a structure in {', '.join(missing)}: left out")
    stored = config.threshold == "auto"
    config = replace(config, threshold=repr(saved.threshold) if stored else config.threshold)
    training = str(saved.description["training_run"])
    return Plan(
        phase="rna_evaluate",
        polarity="",
        config=config,
        tables={"evaluation": table},
        fingerprint=fingerprint(
            "rna_evaluate", asdict(config), [table.digest], {"model": facts.digest}
        ),
        upstream={
            "upstream.model": facts.model_id,
            **({"upstream.training": training} if training else {}),
        },
        tags={
            "threshold": f"{float(config.threshold):.6g}",
            "threshold.source": "stored" if stored else "given",
        },
        resolved=Judged(facts, saved),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Predict, score, draw; bind the numbers to the model and to the digest of the table."""
    config, table, judged = plan.config, plan.tables["evaluation"], plan.resolved
    threshold = float(config.threshold)
    training = training_rows(judged.saved, table, desk)
    with_rnafold = config.rnafold == "true" or (config.rnafold == "auto" and is_installed())
    if config.rnafold == "auto" and not with_rnafold:
        say("RNAfold is left out (it needs the extra `rna`: pip install ViennaRNA==2.7.2)")
    metrics: dict[str, float] = {"threshold": threshold}
    lines = []
    for name in config.names:
        rows = _rows(table, name, config.max_length, judged.saved.longest)
        if not len(rows):
            continue
        say(f"{name}: {len(rows)} sequences")
        decoder = judged.saved.decoder.at(threshold)
        part = evaluate_part(judged.saved, decoder, name, rows, training, with_rnafold)
        found = part.metrics(config.resamples, config.seed)
        metrics |= found
        lines.append({"part": name, **{key: found.get(f"{key}.{name}") for key in _keys(name)}})
        lines[-1] |= {"f1.low": found[f"f1.{name}.low"], "f1.high": found[f"f1.{name}.high"]}
        _keep(part, judged.saved, threshold, config, track)
    if not lines:
        raise BadInput(f"{table.uri}: no sequence is short enough (max_length, or the model's own)")
    bound = {name: value for name, value in metrics.items() if np.isfinite(value)}
    if threshold == judged.saved.threshold:
        track.model_metrics(judged.facts.model_id, bound, "rna_data", table.digest)
    else:  # not what the model does in use: nothing may take it for that
        track.metrics(bound)
        say("at another threshold: these numbers stay with this run")
    if config.max_length:  # promotion wants to know of all sequences
        track.tags({"partial": f"sequences of at most {config.max_length} bases"})
    summary = pd.DataFrame(lines).astype({"n": int})
    track.text(summary.to_csv(index=False), "evaluation.csv")
    shown = summary.rename(columns=SHOWN)[["part", *SHOWN.values()]].dropna(axis=1, how="all")
    say(shown.to_string(index=False, float_format=lambda v: f"{v:.4f}"))
    say("F1: strict, mean over sequences, with its 95 % interval; seen: also trained on, exactly;")
    say("similar: share with a training sequence of similarity .8 or more; copy: the structure of")
    say("the nearest training sequence of the same length")
    trained_on = judged.saved.description.get("train_partition")
    for name in config.names:
        if metrics.get(f"leak_exact.{name}", 0) > 0 and name != trained_on:
            line = f"{metrics[f'leak_exact.{name}']:.0f} sequences of {name} were trained on"
            say(f"warning: {line}")
            track.tags({f"warning.leak.{name}": line})


def _keys(name: str) -> list[str]:
    return [key for key in SHOWN if not key.endswith((".low", ".high"))]


def training_rows(saved: SavedRnaModel, table: RnaFacts, desk: Desk) -> RnaRows | None:
    """The rows a model was trained on, from the table that its run recorded; None if out of reach.

    The same partition of the evaluated table is no substitute, unless it is that table.
    """
    training = str(saved.description["training_run"])
    recorded = dataset_inputs(desk.track.client, training).get("training") if training else None
    partition = str(saved.description.get("train_partition", "TR0"))
    if recorded is None:
        say("warning: the training table is not on record: leakage and copies are not measured")
        return None
    if recorded.digest == table.digest:
        return load_rows(open_pinned(table.uri, table.version), [partition])[0]
    try:
        pinned, facts = inspect(recorded.uri, recorded.version)
    except BadInput as error:
        say(f"warning: the training table is out of reach ({error}): leakage is not measured")
        return None
    if facts.digest != recorded.digest:
        say("warning: the training table has changed since: leakage is not measured")
        return None
    return load_rows(pinned, [partition])[0]


def _rows(table: RnaFacts, name: str, max_length: int, longest: int) -> RnaRows:
    """Rows of a partition with a structure that are short enough."""
    limits = [limit for limit in (max_length, longest) if limit]
    pinned = open_pinned(table.uri, table.version)
    rows, too_long = load_rows(pinned, [name], min(limits) if limits else None)
    if too_long:
        say(f"{name}: {too_long} sequences of more than {min(limits)} bases are left out")
    return rows.take(rows.labelled)


def _keep(
    part: PartEvaluation,
    saved: SavedRnaModel,
    threshold: float,
    config: RnaEvaluate,
    track: RunTrack,
) -> None:
    """Put predictions, tables and figures of a partition on the run."""
    name = part.partition
    track.text(predictions(part).to_csv(index=False), f"predictions_{name}.csv")
    tables = {"by_family": part.by_family(config.resamples)}
    if np.isfinite(part.similarity).all():
        tables["by_similarity"] = part.by_similarity(config.resamples)
    for kind, table in tables.items():
        track.text(table.to_csv(index=False), f"{kind}_{name}.csv")
    for figure_name, figure in figures(part, saved, threshold, tables):
        track.figure(figure, f"{figure_name}_{name}")


def predictions(part: PartEvaluation) -> pd.DataFrame:
    """One line per sequence: structures in brackets and scores."""
    rows = part.rows
    model = part.scores[MODEL]
    return pd.DataFrame(
        {
            "id": rows.ids,
            "family": rows.families,
            "sequence": rows.sequences(),
            "predicted": [
                dot_bracket(int(n), pairs)
                for n, pairs in zip(rows.lengths, part.predicted, strict=True)
            ],
            "true_pairs": model.n_true,
            "predicted_pairs": model.n_predicted,
            "common_pairs": model.n_common,
            "f1": model.f1,
            "similarity": part.similarity,
            **{f"{m}_f1": s.f1 for m, s in part.scores.items() if m != MODEL},
        }
    )


def figures(
    part: PartEvaluation, saved: SavedRnaModel, threshold: float, tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, Figure]]:
    """Figures of a partition, by name; `tables` are by_family and, where known, by_similarity."""
    name = part.partition
    said = f"{name}, {len(part.rows)} sequences"
    bins = pd.DataFrame(part.cells.reliability())
    yield "reliability", pair_reliability(bins, part.cells.ece(0.05), f"Reliability on {said}")
    curve = pd.DataFrame(part.cells.curve())
    ap = part.cells.average_precision()
    yield "precision_recall", pair_precision_recall(curve, threshold, ap, f"Pairs of {said}")
    yield "by_family", f1_by_family(tables["by_family"], f"Families of {said}")
    yield "by_length", f1_against_length(part.by_length(), f"F1 against length, {said}")
    if "by_similarity" in tables:
        what = "similarity to the nearest training sequence"
        table = tables["by_similarity"]
        yield "by_similarity", f1_by_stratum(table, what, f"Familiar and new, {said}")
    f1 = part.scores[MODEL].f1
    median = int(np.argsort(f1, kind="stable")[len(f1) // 2])
    yield "median_sequence", _dot_plot(part, saved, median)


def _dot_plot(part: PartEvaluation, saved: SavedRnaModel, row: int) -> Figure:
    """The sequence whose F1 is the median one."""
    one = part.rows.take([row])
    maps = feature_maps(one.sequences(), saved.features)
    (found,) = saved.predict(one, maps)
    n = len(found.pairs)
    i, j = np.triu_indices(n, 1)
    is_true, is_predicted = np.zeros((n, n), bool), np.zeros((n, n), bool)
    for marked, pairs in ((is_true, one.pairs_of_row(0)), (is_predicted, part.predicted[row])):
        marked[pairs[:, 0], pairs[:, 1]] = True
    cells = pd.DataFrame(
        {
            "i": i,
            "j": j,
            "probability": found.pairs[i, j],
            "predicted": is_predicted[i, j],
            "true": is_true[i, j],
        }
    )
    shown = cells[(cells["probability"] >= 0.01) | cells["true"] | cells["predicted"]]
    title = f"{one.ids[0]}: F1 {part.scores[MODEL].f1[row]:.3f}, the median of {part.partition}"
    return dot_plot(shown, one.sequence(0), title)
