"""Gates, and parts of gates, that mean the same in every pipeline: pure functions of records."""

import math
from collections.abc import Iterator

from priorwise.phases.candidates import Request, Source
from priorwise.phases.fitness import source_reasons
from priorwise.phases.gates import Finding
from priorwise.phases.promotion_candidate import Candidate, Interval, evaluation_reasons, judged_by

NO_CHAMPION = "no champion yet"
NOT_COMPARABLE = Finding(False, "not comparable: not evaluated on one table")


def load(candidate: Candidate, champion: Candidate | None) -> Finding:
    """It loads and predicts in a fresh process, and its weights are those recorded."""
    return candidate.loaded


def evaluation(candidate: Candidate, champion: Candidate | None) -> Finding:
    """The model itself was evaluated, on a known table, at its stored threshold."""
    mine, _ = judged_by(candidate, champion)
    if mine:
        return Finding(
            True,
            f"run {mine.run_id} on {mine.digest[:8]} at threshold {candidate.threshold:.4f}: "
            f"{candidate.summary(mine)}",
        )
    why = [r for e in candidate.evaluations[:3] for r in evaluation_reasons(candidate, e)]
    return Finding(
        False,
        f"no sound evaluation of model {candidate.model_id}"
        + (f" ({'; '.join(why)})" if why else "")
        + f": mlflow run . -e {candidate.evaluated_by} -P model={candidate.address}",
    )


def same_data(candidate: Candidate, champion: Candidate | None) -> Finding:
    """Candidate and champion were evaluated on one table."""
    if champion is None:
        return Finding(True, NO_CHAMPION)
    mine, theirs = judged_by(candidate, champion)
    if mine and theirs:
        return Finding(True, f"both on {mine.digest[:8]} ({champion.called}: {theirs.run_id})")
    if mine is None:
        return Finding(False, "the candidate has no sound evaluation")
    return Finding(
        False,
        f"the champion, {champion.called}, has no sound evaluation on {mine.digest[:8]}: "
        f"mlflow run . -e {candidate.evaluated_by} -P model={champion.address} "
        f"{candidate.evaluate_on(mine.table)}",
    )


def not_worse(ours: Interval, bar: Interval, called: str) -> Finding:
    """The upper end of the candidate's interval is not below the champion's value."""
    passed = ours.high >= bar.value
    word = "not worse than" if passed else "worse than"
    return Finding(passed, f"{ours}, {word} {bar} of the champion ({called})")


def training_reasons(candidate: Candidate, phase: str, polarity: str = "") -> Iterator[str]:
    """Why the run that trained a model, or the one that logged it, does not answer for it."""
    training, logged_by = candidate.training, candidate.logged_by
    if training is None:
        yield "its training run does not exist"
        return
    wanted = request(candidate, training, polarity)
    yield from source_reasons(training, wanted, phase, "the training run", by_id=True)
    if training.tags.get("model.sha256") != candidate.sha256:
        yield "the weights are not those that the training run logged"
    if logged_by is None:
        yield "the run that logged it does not exist"
    elif logged_by.deleted or not logged_by.complete:
        state = "deleted" if logged_by.deleted else f"not complete (status {logged_by.status})"
        yield f"the run that logged it is {state}"
    yield from input_reasons(candidate, training, "the training run", training.digest)


def input_reasons(candidate: Candidate, run: Source, what: str, digest: str) -> Iterator[str]:
    """Why the training table among a run's dataset inputs is not the one of this digest."""
    recorded = candidate.inputs.get(run.run_id, "")
    if not recorded:
        yield f"{what} has no training table among its dataset inputs"
    elif recorded != digest:
        yield f"{what} has a training table of digest {recorded[:8]} as input, not {digest[:8]}"


def request(
    candidate: Candidate, training: Source, polarity: str = "", s: float = math.nan
) -> Request:
    """What every run of the lineage has to be: of the training's data."""
    return Request(
        spec=training.run_id,
        polarity=polarity,
        digest=training.digest,
        schema=candidate.schema,
        experiment_id=training.experiment_id,
        version=training.version,
        s_train=s,
    )


def lineage_finding(candidate: Candidate, reasons: list[str], behind: str) -> Finding:
    """All reasons against a lineage, or the runs behind it, and what became of the table."""
    if not candidate.table.passed:
        reasons = [*reasons, candidate.table.detail]
    if reasons:
        return Finding(False, "; ".join(dict.fromkeys(reasons)))
    return Finding(True, "; ".join(filter(None, (behind, candidate.table.detail))))
