"""Phases as nested runs of another; what was done before is found again by fingerprint."""

from dataclasses import replace
from types import ModuleType

from priorwise.errors import TrackingFailure
from priorwise.phases.desk import Desk, Plan, begin, say
from priorwise.tracking.models import MODEL_ID, MODEL_SHA256
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import RunFacts


class NestedRuns:
    """Runs planned phases below the run of this process.

    Parameters
    ----------
    desk : Desk
    track : RunTrack
        The parent.
    """

    def __init__(self, desk: Desk, track: RunTrack) -> None:
        self._desk = desk
        self._track = track

    def finished(self, plan: Plan) -> RunFacts | None:
        """A complete run of the same work on the same runs, what it left behind still sound."""
        history = self._track.history
        facts = history.with_fingerprint(plan.fingerprint)
        if facts is None:
            return None
        if any(facts.params.get(f"contract.{tag}") != run for tag, run in plan.upstream.items()):
            say(f"run {facts.run_id} is not reused: it was built on runs that are not used now")
            return None
        if facts.changed:
            say(f"run {facts.run_id} is not reused: {', '.join(facts.changed)} changed meanwhile")
            return None
        recorded = facts.tags.get("checkpoint.sha256")
        if recorded and history.checkpoint_sha256(facts) != recorded:
            say(f"run {facts.run_id} is not reused: its checkpoint is gone or has changed")
            return None
        model = facts.tags.get(MODEL_ID)
        if model and self._track.models.sha256_now(model) != facts.tags.get(MODEL_SHA256):
            say(f"run {facts.run_id} is not reused: its model is gone or has changed")
            return None
        return facts

    def run(self, module: ModuleType, plan: Plan) -> RunFacts:
        """Run a planned phase, or go on in a training of it that was stopped; its complete run."""
        stopped = self._stopped(plan)
        if stopped:
            say(f"going on in run {stopped}, which was stopped")
            plan = replace(plan, config=replace(plan.config, resume=stopped))
        with self._track.child(plan.run_name, stopped) as child:
            if not stopped:
                begin(plan, child)
            module.run(plan, self._desk, child)
        facts = self._track.history.run(child.run_id)
        if facts is None or not facts.complete:
            raise TrackingFailure(f"run {child.run_id} of {plan.phase} is not complete")
        return facts

    def _stopped(self, plan: Plan) -> str:
        """The newest training of the same work on the same runs that a signal ended, if any.

        One that says RUNNING may be at work, and one that failed might fail again.
        """
        if not hasattr(plan.config, "resume"):
            return ""
        found = [
            facts
            for facts in self._track.history.tagged("fingerprint", plan.fingerprint)
            if facts.params.get("contract.fingerprint") == plan.fingerprint
            and facts.status == "KILLED"
            and not facts.changed
            and all(facts.params.get(f"contract.{k}") == run for k, run in plan.upstream.items())
        ]
        return found[0].run_id if found else ""
