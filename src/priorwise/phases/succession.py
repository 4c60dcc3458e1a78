"""How a champion comes and goes: the steps that only one promotion may take at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from priorwise.errors import BadInput
from priorwise.learn.stopping import StopRequest
from priorwise.phases.gates import Decision
from priorwise.tracking.audit import (
    FOUND,
    PROMOTE,
    ROLLBACK,
    AuditEntry,
    champion_on_record,
    past_champions,
)
from priorwise.tracking.registry import CHALLENGER, Registry, VersionFacts
from priorwise.tracking.registry_lock import locked


@dataclass(frozen=True)
class Judgement:
    """What the gates make of a version, and what it is to say of itself from now on."""

    decision: Decision
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class Claim:
    """A model that is to become champion.

    Attributes
    ----------
    enter : callable of () -> VersionFacts
        Registers it, or finds the version that it has.
    judge : callable of (version, champion or None) -> Judgement
    """

    enter: Callable[[], VersionFacts]
    judge: Callable[[VersionFacts, VersionFacts | None], Judgement]


@dataclass(frozen=True)
class Outcome:
    """What came of a claim: the version, the decision, and the champion until then."""

    version: VersionFacts
    decision: Decision
    previous: str


class Succession:
    """Changes of the champion of one registered model, by one run.

    Parameters
    ----------
    registry : Registry
    run_id : str
        For the lock and the audit.
    say : callable
    stop : StopRequest
        A stop that is asked for during a change waits until it is whole.
    """

    def __init__(
        self, registry: Registry, run_id: str, say: Callable[[str], object], stop: StopRequest
    ) -> None:
        self._registry = registry
        self._run_id = run_id
        self._say = say
        self._stop = stop

    def promote(self, claim: Claim) -> Outcome:
        """Register, judge, and if it passes crown a model; every outcome enters the audit.

        Raises
        ------
        TrackingFailure
            If the lock cannot be had or was lost, or the server does not keep what was set.
        """
        registry = self._registry
        with locked(registry.client, registry.name, self._run_id, self._say) as lock:
            with self._stop.deferred():
                version = claim.enter()
                before = self._settle()
                if version.version != before:
                    registry.set_alias(CHALLENGER, version.version)
                else:  # one that was cut off after its coronation left it behind
                    registry.remove_alias(CHALLENGER, version.version)
                champion = registry.version(before) if before else None
                judgement = claim.judge(version, champion)
                decision, now = judgement.decision, _now()
                # whoever finds the new champion must find all that is known of it
                version = registry.tag(
                    version,
                    {
                        **judgement.tags,
                        **decision.tags(),
                        "decided.at": now,
                        "promote_run": self._run_id,
                    },
                )
                registry.describe(version.version, judgement.description)
                change = decision.promoted and version.version != before
                if change:
                    lock.check()
                    registry.crown(version.version, before)
                registry.append(
                    self._entry(
                        PROMOTE,
                        version.version,
                        before,
                        version.version if change else before,
                        decision.outcome,
                        decision.reasons,
                    )
                )
                if change or (decision.promoted and "previous_champion" not in version.tags):
                    # without a change: one that was cut off before it could say this
                    past = [before] if change else past_champions(registry.trail())[:-1]
                    told = {"promoted.at": now, "previous_champion": "".join(past[-1:]) or "none"}
                    version = registry.tag(version, told)
        return Outcome(version, decision, before)

    def target(self, wanted: str = "") -> VersionFacts:
        """The version that a rollback goes to: the champion before, or the past one `wanted`.

        Raises
        ------
        BadInput
            If there is none, or it is not fit for use any more.
        """
        name = self._registry.name
        if not self._registry.exists():
            raise BadInput(f"name: there is no registered model {name} (nothing to roll back)")
        now = self._registry.champion()
        trail = self._registry.trail()
        found = self._found(trail, now)
        line = past_champions([*trail, *([found] if found else [])])
        past = line[:-1] if now and line and line[-1] == now else line
        if wanted and wanted == now:
            raise BadInput(f"version: {wanted} is the champion of {name} already")
        if wanted and wanted not in past:
            raise BadInput(
                f"version: {wanted} was not champion of {name} before (past champions: "
                f"{_listed(past)})"
            )
        if not past:
            raise BadInput(f"{name} has no champion before {f'version {now}' if now else 'this'}")
        number = wanted or past[-1]
        facts = self._registry.version(number)
        further = [v for v in past if v != number]
        way_out = f"; a rollback to another past champion: version={further[-1]}" if further else ""
        if facts is None:
            raise BadInput(
                f"version {number} of {name}, champion before, does not exist any more{way_out}"
            )
        if facts.status != "READY":
            raise BadInput(f"version {number} of {name} has status {facts.status}{way_out}")
        return facts

    def roll_back(self, target: VersionFacts, wanted: str = "") -> str:
        """Make a past champion the champion again; the version of the one until then.

        Raises
        ------
        BadInput
            If the champion has changed since the target was chosen.
        """
        registry = self._registry
        with locked(registry.client, registry.name, self._run_id, self._say) as lock:
            with self._stop.deferred():
                before = self._settle()
                if self.target(wanted).version != target.version:
                    raise BadInput(
                        f"the champion of {registry.name} was changed meanwhile (now version "
                        f"{before or 'none'}): look at action=show, then start again"
                    )
                lock.check()
                registry.crown(target.version, before)
                registry.append(self._entry(ROLLBACK, target.version, before, target.version))
                registry.tag(target, {"rolled_back_to.at": _now()})
        return before

    def _settle(self) -> str:
        """The champion now; if the audit says otherwise, that becomes a line of its own."""
        now = self._registry.champion()
        found = self._found(self._registry.trail(), now)
        if found:
            self._say(f"warning: {found.reason}")
            self._registry.append(found)
        return now

    def _found(self, trail: list[AuditEntry], now: str) -> AuditEntry | None:
        recorded = champion_on_record(trail)
        if recorded == now:
            return None
        reason = (
            f"the champion is {f'version {now}' if now else 'gone'}, the last one on record is "
            f"{f'version {recorded}' if recorded else 'none'}: changed by hand, or a promotion "
            "was cut off"
        )
        return self._entry(FOUND, now, recorded, now, reason=reason)

    def _entry(
        self,
        action: str,
        version: str,
        before: str,
        after: str,
        decision: str = "",
        reason: str = "",
    ) -> AuditEntry:
        return AuditEntry(action, version, before, after, decision, self._run_id, _now(), reason)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _listed(versions: list[str]) -> str:
    return ", ".join(versions) or "none"
