"""The gates of a spectra model: pure functions of records, from facts to a finding."""

import math
import shlex
from collections.abc import Iterator

from priorwise.phases.candidates import PriorCandidate, Request, Source
from priorwise.phases.fitness import ROUNDING, prior_reasons, source_reasons
from priorwise.phases.gates import Finding, Gate
from priorwise.phases.spectra_candidate import (
    Interval,
    PriorUse,
    SpectraCandidate,
    evaluation_reasons,
    judged_by,
)

#: a model that keeps a larger share of the scans saves nobody any work
MOST_KEPT = 0.95
#: tags of a run which say that its model is of no use, with whatever follows them
DEGENERATE = ("warning.degenerate", "warning.recall", "warning.pi_too_high")
NO_CHAMPION = "no champion yet"

Champion = SpectraCandidate | None


def load(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """It loads and predicts in a fresh process, and its weights are those recorded."""
    return candidate.loaded


def lineage(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Every run behind it is complete and not deleted, and all agree on the data."""
    reasons = list(dict.fromkeys(_lineage_reasons(candidate)))
    if reasons:
        return Finding(False, "; ".join(reasons))
    runs = [prior.run_id for prior in candidate.priors]
    bce = [prior.found.bce.run_id for prior in candidate.priors if prior.found and prior.found.bce]
    trained = candidate.training.run_id if candidate.training else ""
    found = f"training {trained}, priors {', '.join(runs)}, BCE {', '.join(dict.fromkeys(bce))}"
    return Finding(True, f"{found}; {candidate.table.detail}" if candidate.table.detail else found)


def _lineage_reasons(candidate: SpectraCandidate) -> Iterator[str]:
    training, logged_by = candidate.training, candidate.logged_by
    if training is None:
        yield "its training run does not exist"
        return
    wanted = _request(candidate, training, candidate.polarity)
    yield from source_reasons(training, wanted, "nnpu_train", "the training run", by_id=True)
    if training.tags.get("model.sha256") != candidate.sha256:
        yield "the weights are not those that the training run logged"
    if logged_by is None:
        yield "the run that logged it does not exist"
    elif logged_by.deleted or not logged_by.complete:
        state = "deleted" if logged_by.deleted else f"not complete (status {logged_by.status})"
        yield f"the run that logged it is {state}"
    if {prior.polarity for prior in candidate.priors} != set(candidate.modes):
        yield "it does not know the prior of every polarity (a BCE model scores labels, not y)"
    yield from _input_reasons(candidate, training, "the training run", training.digest)
    for prior in candidate.priors:
        yield from _prior_reasons(candidate, prior, training)
    if not candidate.table.passed:
        yield candidate.table.detail


def _prior_reasons(candidate: SpectraCandidate, prior: PriorUse, training: Source) -> Iterator[str]:
    mode = prior.polarity
    if not prior.run_id:
        yield f"the {mode} prior was given as a number (pi {prior.pi.value:.4f}): from no run"
        return
    found = prior.found
    if found is None:
        yield f"the {mode} prior's run {prior.run_id} does not exist"
        return
    for reason in prior_reasons(found, _request(candidate, training, mode, prior.s), by_id=True):
        yield f"{mode} prior: {reason}"
    named = candidate.named_priors.get(mode, "none")
    if named != prior.run_id:
        yield f"{mode} prior: the training run names {named}, the model {prior.run_id}"
    if not _equal(found, prior):
        yield (
            f"{mode} prior: run {prior.run_id} has pi {found.pi:.4f}, the model was trained with "
            f"{prior.pi.value:.4f}"
        )
    yield from _input_reasons(candidate, found.run, f"the {mode} prior's run", training.digest)
    if found.bce:
        what = f"the {mode} prior's BCE run"
        yield from _input_reasons(candidate, found.bce, what, training.digest)


def _equal(found: PriorCandidate, prior: PriorUse) -> bool:
    pairs = ((found.c, prior.c), (found.s, prior.s), (found.pi, prior.pi.value))
    return all(abs(a - b) <= ROUNDING for a, b in pairs)


def _input_reasons(
    candidate: SpectraCandidate, run: Source, what: str, digest: str
) -> Iterator[str]:
    recorded = candidate.inputs.get(run.run_id, "")
    if not recorded:
        yield f"{what} has no training table among its dataset inputs"
    elif recorded != digest:
        yield f"{what} has a training table of digest {recorded[:8]} as input, not {digest[:8]}"


def _request(
    candidate: SpectraCandidate, training: Source, polarity: str, s: float = math.nan
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


def evaluation(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """The model itself was evaluated, on a known table, at its stored threshold."""
    mine, _ = judged_by(candidate, champion)
    if mine:
        recall = mine.interval("recall")
        return Finding(
            True,
            f"run {mine.run_id} on {mine.digest[:8]} at threshold {candidate.threshold:.4f}: "
            f"recall {recall}",
        )
    why = [r for e in candidate.evaluations[:3] for r in evaluation_reasons(candidate, e)]
    return Finding(
        False,
        f"no sound evaluation of model {candidate.model_id}"
        + (f" ({'; '.join(why)})" if why else "")
        + f": mlflow run . -e evaluate -P model={candidate.address}",
    )


def same_data(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Candidate and champion were evaluated on one table, and no polarity is lost."""
    if champion is None:
        return Finding(True, NO_CHAMPION)
    mine, theirs = judged_by(candidate, champion)
    lost = [mode for mode in champion.modes if mode not in candidate.modes]
    if mine and theirs and lost:
        return Finding(
            False,
            f"the champion, {champion.called}, knows scans of {lost[0]} polarity, the candidate "
            f"does not: it is for {candidate.polarity} polarity only",
        )
    if mine and theirs:
        return Finding(True, f"both on {mine.digest[:8]} ({champion.called}: {theirs.run_id})")
    if mine is None:
        return Finding(False, "the candidate has no sound evaluation")
    return Finding(
        False,
        f"the champion, {champion.called}, has no sound evaluation on {mine.digest[:8]}: "
        f"mlflow run . -e evaluate -P model={champion.address} -P test_3={shlex.quote(mine.table)}",
    )


def recall(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Recall at the threshold is not worse than the champion's, within its own interval.

    It is that of the champion's scans: where the candidate knows both polarities and the champion
    one, the other one is no merit and no fault.
    """
    if champion is None:
        return Finding(True, NO_CHAMPION)
    mine, theirs = judged_by(candidate, champion)
    if not (mine and theirs):
        return Finding(False, "not comparable: not evaluated on one table")
    mode = champion.polarity if len(champion.modes) < len(candidate.modes) else ""
    ours, bar = mine.interval("recall", mode), theirs.interval("recall")
    if not ours.known:
        return Finding(False, f"not comparable: recall of {mode} polarity was not evaluated")
    passed = ours.high >= bar.value
    word = "not worse than" if passed else "worse than"
    detail = f"{ours}, {word} {bar} of the champion ({champion.called})"
    if not passed and candidate.rule != champion.rule:
        rules = f"{candidate.rule or 'default'} against {champion.rule or 'default'}"
        detail += (
            f"; their thresholds were chosen to keep other shares (rule {rules}): choose the same "
            "rule, or force=true"
        )
    return Finding(passed, detail)


def prior(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Per polarity, the share called positive at 0.5 agrees with the prior it was trained with."""
    mine, _ = judged_by(candidate, champion)
    if mine is None:
        return Finding(False, "no sound evaluation")
    known = {use.polarity: use.pi for use in candidate.priors}
    passed, details = True, []
    for mode in candidate.modes:
        q, pi = mine.interval("q", mode), known.get(mode, Interval())
        if not pi.known:
            passed = False
            details.append(f"{mode}: the prior has no interval (a number, or none)")
        elif not q.known:
            passed = False
            details.append(f"{mode}: q was not evaluated")
        else:
            meets = q.low <= pi.high and pi.low <= q.high
            passed = passed and meets
            details.append(f"{mode}: q {q} {'meets' if meets else 'misses'} pi {pi}")
    return Finding(passed, "; ".join(details))


def degenerate(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Neither training nor evaluation found the model to be of no use."""
    mine, _ = judged_by(candidate, champion)
    reasons = []
    for run in filter(None, (candidate.training, candidate.logged_by, mine.run if mine else None)):
        for key, text in sorted(run.tags.items()):
            if key.startswith(DEGENERATE):
                reasons.append(f"{run.phase}: {text or key}")
    for mode in ("", *candidate.modes):
        share = mine.metrics.get(f"share_kept.{mode}" if mode else "share_kept") if mine else None
        if share is not None and not share <= MOST_KEPT:
            where = f" of {mode} polarity" if mode else ""
            reasons.append(f"it keeps {100 * share:.1f} % of all scans{where}")
    share = mine.metrics.get("share_kept", math.nan) if mine else math.nan
    good = "no such warning on its runs"
    if share == share:
        good += f"; it keeps {100 * share:.1f} % of all scans (limit {100 * MOST_KEPT:.0f} %)"
    return Finding(not reasons, "; ".join(dict.fromkeys(reasons)) or good)


GATES: tuple[Gate[SpectraCandidate], ...] = (
    Gate("load", load, can_be_forced=False),
    Gate("lineage", lineage),
    Gate("evaluation", evaluation),
    Gate("same_data", same_data),
    Gate("recall", recall),
    Gate("prior", prior),
    Gate("degenerate", degenerate),
)
