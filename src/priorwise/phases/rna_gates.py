"""The gates of an RNA model: pure functions of records, from facts to a finding."""

import math
from collections.abc import Iterator

from priorwise.phases.common_gates import (
    NOT_COMPARABLE,
    evaluation,
    lineage_finding,
    load,
    not_worse,
    training_reasons,
)
from priorwise.phases.common_gates import same_data as evaluated_on_one_table
from priorwise.phases.gates import Finding, Gate
from priorwise.phases.promotion_candidate import Evaluation, judged_by
from priorwise.phases.rna_candidate import RnaCandidate, evaluated_parts
from priorwise.rna.schema import UNSEEN

Champion = RnaCandidate | None


def lineage(candidate: RnaCandidate, champion: Champion) -> Finding:
    """Its training is complete and not deleted, and agrees with it on weights and data."""
    trained = candidate.training.run_id if candidate.training else ""
    return lineage_finding(candidate, list(_lineage_reasons(candidate)), f"training {trained}")


def _lineage_reasons(candidate: RnaCandidate) -> Iterator[str]:
    yield from training_reasons(candidate, "rna_pretrain")
    told = candidate.training_digest
    if candidate.training and told and told != candidate.training.digest:
        yield (
            f"it says that it was trained on a table of digest {told[:8]}, the training run "
            f"{candidate.training.digest[:8]}"
        )


def same_data(candidate: RnaCandidate, champion: Champion) -> Finding:
    """Candidate and champion were evaluated on one table, and on the same sequences of NEW.

    A model leaves out what is longer than it takes.
    """
    found = evaluated_on_one_table(candidate, champion)
    mine, theirs = judged_by(candidate, champion)
    if champion and found.passed and mine and theirs:
        ours, bar = (e.value(f"n.{UNSEEN}") for e in (mine, theirs))
        if not (ours == bar or math.isnan(ours) or math.isnan(bar)):
            return Finding(
                False,
                f"evaluated on {ours:.0f} sequences of {UNSEEN}, the champion, {champion.called}, "
                f"on {bar:.0f} (one takes longer sequences than the other)",
            )
    return found


def new_families(candidate: RnaCandidate, champion: Champion) -> Finding:
    """F1 on families that the training does not have is above that of a copy, and not worse.

    Within its own interval, it is not worse than the champion's. What RNAfold reaches on the same
    sequences is told, and no condition.
    """
    mine, theirs = judged_by(candidate, champion)
    if mine is None:
        return Finding(False, "no sound evaluation")
    ours, copied = mine.interval("f1", UNSEEN), mine.value(f"copy_f1.{UNSEEN}")
    if not ours.known:
        return Finding(False, f"F1 on {UNSEEN} was not evaluated (the table has no such rows?)")
    if math.isnan(copied):
        return Finding(
            False,
            f"F1 on {UNSEEN} {ours}, but not that of a copy of the nearest training structure (was "
            "the training table out of reach?)",
        )
    told = f"copy of the nearest {copied:.4f}{_beside_rnafold(mine, ours.value)}"
    if not ours.value > copied:
        return Finding(False, f"F1 on {UNSEEN} {ours}, no better than a {told}")
    if champion is None:
        return Finding(True, f"F1 on {UNSEEN} {ours}; {told}")
    if theirs is None:
        return NOT_COMPARABLE
    bar = theirs.interval("f1", UNSEEN)
    if not bar.known:
        return Finding(False, f"not comparable: F1 on {UNSEEN} of {champion.called} is not known")
    found = not_worse(ours, bar, champion.called)
    return Finding(found.passed, f"F1 on {UNSEEN} {found.detail}; {told}")


def _beside_rnafold(mine: Evaluation, ours: float) -> str:
    other = mine.value(f"rnafold_f1.{UNSEEN}")
    if math.isnan(other):
        return ""
    return (
        f", RNAfold {other:.4f} ({abs(ours - other):.4f} {'lower' if ours >= other else 'higher'})"
    )


def leakage(candidate: RnaCandidate, champion: Champion) -> Finding:
    """No sequence that judged it was trained on."""
    mine, _ = judged_by(candidate, champion)
    if mine is None:
        return Finding(False, "no sound evaluation")
    parts = evaluated_parts(mine)
    exact = {part: mine.value(f"leak_exact.{part}") for part in parts}
    unknown = [part for part, n in exact.items() if math.isnan(n)]
    leaking = [f"{n:.0f} sequences of {part}" for part, n in exact.items() if n > 0]
    if leaking:
        return Finding(False, f"{', '.join(leaking)} were trained on")
    if unknown:
        return Finding(
            False,
            f"whether sequences of {', '.join(unknown)} were trained on was not measured (was the "
            "training table out of reach?)",
        )
    similar = [
        f"{100 * share:.1f} % of {part}"
        for part in parts
        if (share := mine.value(f"leak_similar.{part}")) == share
    ]
    found = f"no sequence of {', '.join(parts)} was trained on"
    return Finding(True, f"{found}; similar to one: {', '.join(similar)}" if similar else found)


GATES: tuple[Gate[RnaCandidate], ...] = (
    Gate("load", load, can_be_forced=False),
    Gate("lineage", lineage),
    Gate("evaluation", evaluation),
    Gate("same_data", same_data),
    Gate("new_families", new_families),
    Gate("leakage", leakage),
)
