"""The gates of a spectra model: pure functions of records, from facts to a finding."""

import math
from collections.abc import Iterator

from priorwise.phases.candidates import PriorCandidate, Source
from priorwise.phases.common_gates import (
    NO_CHAMPION,
    NOT_COMPARABLE,
    evaluation,
    input_reasons,
    lineage_finding,
    load,
    not_worse,
    request,
    training_reasons,
)
from priorwise.phases.common_gates import same_data as evaluated_on_one_table
from priorwise.phases.fitness import ROUNDING, prior_reasons
from priorwise.phases.gates import Finding, Gate
from priorwise.phases.promotion_candidate import Interval, judged_by
from priorwise.phases.spectra_candidate import PriorUse, SpectraCandidate

#: a model that keeps a larger share of the scans saves nobody any work
MOST_KEPT = 0.95
#: tags of a run which say that its model is of no use, with whatever follows them
DEGENERATE = ("warning.degenerate", "warning.recall", "warning.pi_too_high")

Champion = SpectraCandidate | None


def lineage(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Every run behind it is complete and not deleted, and all agree on the data."""
    runs = [prior.run_id for prior in candidate.priors]
    bce = [prior.found.bce.run_id for prior in candidate.priors if prior.found and prior.found.bce]
    trained = candidate.training.run_id if candidate.training else ""
    behind = f"training {trained}, priors {', '.join(runs)}, BCE {', '.join(dict.fromkeys(bce))}"
    return lineage_finding(candidate, list(_lineage_reasons(candidate)), behind)


def _lineage_reasons(candidate: SpectraCandidate) -> Iterator[str]:
    yield from training_reasons(candidate, "nnpu_train", candidate.polarity)
    if candidate.training is None:
        return
    if {prior.polarity for prior in candidate.priors} != set(candidate.modes):
        yield "it does not know the prior of every polarity (a BCE model scores labels, not y)"
    for prior in candidate.priors:
        yield from _prior_reasons(candidate, prior, candidate.training)


def _prior_reasons(candidate: SpectraCandidate, prior: PriorUse, training: Source) -> Iterator[str]:
    mode = prior.polarity
    if not prior.run_id:
        yield f"the {mode} prior was given as a number (pi {prior.pi.value:.4f}): from no run"
        return
    found = prior.found
    if found is None:
        yield f"the {mode} prior's run {prior.run_id} does not exist"
        return
    for reason in prior_reasons(found, request(candidate, training, mode, prior.s), by_id=True):
        yield f"{mode} prior: {reason}"
    named = candidate.named_priors.get(mode, "none")
    if named != prior.run_id:
        yield f"{mode} prior: the training run names {named}, the model {prior.run_id}"
    if not _equal(found, prior):
        yield (
            f"{mode} prior: run {prior.run_id} has pi {found.pi:.4f}, the model was trained with "
            f"{prior.pi.value:.4f}"
        )
    yield from input_reasons(candidate, found.run, f"the {mode} prior's run", training.digest)
    if found.bce:
        what = f"the {mode} prior's BCE run"
        yield from input_reasons(candidate, found.bce, what, training.digest)


def _equal(found: PriorCandidate, prior: PriorUse) -> bool:
    pairs = ((found.c, prior.c), (found.s, prior.s), (found.pi, prior.pi.value))
    return all(abs(a - b) <= ROUNDING for a, b in pairs)


def same_data(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Candidate and champion were evaluated on one table, and no polarity is lost."""
    found = evaluated_on_one_table(candidate, champion)
    lost = [mode for mode in champion.modes if mode not in candidate.modes] if champion else []
    if champion and found.passed and lost:
        return Finding(
            False,
            f"the champion, {champion.called}, knows scans of {lost[0]} polarity, the candidate "
            f"does not: it is for {candidate.polarity} polarity only",
        )
    return found


def recall(candidate: SpectraCandidate, champion: Champion) -> Finding:
    """Recall at the threshold is not worse than the champion's, within its own interval.

    It is that of the champion's scans: where the candidate knows both polarities and the champion
    one, the other one is no merit and no fault.
    """
    if champion is None:
        return Finding(True, NO_CHAMPION)
    mine, theirs = judged_by(candidate, champion)
    if not (mine and theirs):
        return NOT_COMPARABLE
    mode = champion.polarity if len(champion.modes) < len(candidate.modes) else ""
    ours, bar = mine.interval("recall", mode), theirs.interval("recall")
    if not ours.known:
        return Finding(False, f"not comparable: recall of {mode} polarity was not evaluated")
    found = not_worse(ours, bar, champion.called)
    if not found.passed and candidate.rule != champion.rule:
        rules = f"{candidate.rule or 'default'} against {champion.rule or 'default'}"
        return Finding(
            False,
            f"{found.detail}; their thresholds were chosen to keep other shares (rule {rules}): "
            "choose the same rule, or force=true",
        )
    return found


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
