"""The door to the registry: a model becomes champion if it loads and passes the gates."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from priorwise.errors import BadInput
from priorwise.learn.network_folder import read_description
from priorwise.phases.challenger import Challenger, find_challenger, try_out
from priorwise.phases.checks import at_least, writable_file
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.gates import REFUSED, Decision, Finding, Gate, decide
from priorwise.phases.model_card import Card
from priorwise.phases.pipeline import Pipeline
from priorwise.phases.pipelines import PIPELINES, pipeline_of
from priorwise.phases.promotion_candidate import judged_by
from priorwise.phases.registry_table import audit_lines, version_table
from priorwise.phases.spectra_promotion import SPECTRA
from priorwise.phases.succession import Claim, Judgement, Succession
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.models import MODEL_DIGEST, MODEL_SHA256, ModelFacts
from priorwise.tracking.registry import CHAMPION, Registry, VersionFacts, check_name
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class Promote:
    """Parameters of `promote`.

    Attributes
    ----------
    name : str
        The registered model: priorwise-spectra, priorwise-rna, or another name. It holds models of
        one pipeline only.
    action : str
        promote = judge a model and make it champion if it passes; rollback = back to the champion
        before; show = list versions and audit, change nothing.
    version : str
        promote: auto = the model of the newest complete evaluation (evaluate or rna_evaluate,
        whichever judges models of this name); or a version of `name`, a run id, models:/OTHER@alias
        or models:/OTHER/N (copied over with its tags), models:/m-ID.
        rollback: auto = the champion before; or the number of another past champion.
    force : bool
        Promote in spite of gates that failed, tagged as forced; a model that does not load is
        never promoted.
    seed : int
        Accepted as in every phase; a promotion is not random.
    config : str
        Recipe YAML; empty for none.
    out : str
        File for the decision table or the list of versions (CSV); empty for none.
    """

    name: str = "priorwise-spectra"
    action: Literal["promote", "rollback", "show"] = "promote"
    version: str = "auto"
    force: bool = False
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        check_name("name", self.name)
        at_least("seed", self.seed, 0)
        if self.action == "rollback" and not (self.version == "auto" or self.version.isdecimal()):
            raise BadInput(f"version: {self.version} (a rollback goes to auto or a version number)")
        if self.action != "promote" and self.force:
            raise BadInput(f"force: says nothing with action={self.action} (expected false)")


Config = Promote


@dataclass(frozen=True)
class Resolved:
    """The registry, and what is to happen in it."""

    registry: Registry
    challenger: Challenger | None = None
    target: VersionFacts | None = None


def prepare(config: Promote, desk: Desk) -> Plan:
    """Find the model to promote, or the version to go back to."""
    if config.out:
        writable_file("out", Path(config.out))
    registry = Registry(desk.track.client, config.name)
    holds = pipeline_of(registry)
    resolved, upstream = Resolved(registry), {}
    if config.action == "promote":
        challenger = find_challenger(config.version, registry, desk)
        resolved = Resolved(registry, challenger=challenger)
        upstream["upstream.model"] = challenger.model_id
        if challenger.evaluate_run:
            upstream["upstream.evaluate"] = challenger.evaluate_run
    elif config.action == "rollback":
        succession = Succession(registry, desk.track.run_id, say, desk.stop)
        resolved = Resolved(registry, target=succession.target(_wanted(config)))
    return Plan(
        phase="promote",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("promote", asdict(config), [], upstream),
        upstream=upstream,
        tags={"action": config.action, "registered.name": config.name},
        resolved=resolved,
        schema=holds.schema if holds else "",
    )


def _wanted(config: Promote) -> str:
    return "" if config.version == "auto" else config.version


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Promote, roll back, or show."""
    if plan.resolved.challenger:
        promote(plan, desk, track)
    elif plan.resolved.target:
        roll_back(plan, desk, track)
    else:
        show(plan, track)


def promote(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Load, register, judge, crown; the decision is written down whatever it is.

    Raises
    ------
    BadInput
        If a gate failed and `force` does not help.
    """
    config, registry, challenger = plan.config, plan.resolved.registry, plan.resolved.challenger
    model, loaded = try_out(challenger, desk)
    if model is None or not loaded.passed:
        gate = Gate[Finding]("load", lambda finding, champion: finding, can_be_forced=False)
        decision = decide([gate], loaded, None, config.force)
        if challenger.version:
            registry.tag(challenger.version, decision.tags())
        _write_down(decision, config, track)
        raise BadInput(f"{challenger.called} is refused by load, always: {loaded.detail}")
    pipeline = _pipeline(model, challenger, registry)
    candidate = pipeline.facts(model, challenger.called, challenger.address, loaded, desk)
    cards: list[Card[Any]] = []

    def judge(version: VersionFacts, champion: VersionFacts | None) -> Judgement:
        facts = replace(candidate, called=f"version {version.version}", address=version.address)
        other = pipeline.champion(champion, desk)
        decision = decide(pipeline.gates, facts, other, config.force)
        evaluation, _ = judged_by(facts, other)
        card = pipeline.card(
            config.name, version.version, facts, evaluation, decision, track.run_id
        )
        cards.append(card)
        return Judgement(decision, _version_tags(card, pipeline, plan), card.short())

    claim = Claim(lambda: _enter(challenger, model, registry), judge)
    outcome = Succession(registry, track.run_id, say, desk.stop).promote(claim)
    version, decision = outcome.version.version, outcome.decision
    track.text(cards[-1].text(), "model_card.md")
    track.tags({"registered.version": version, "previous_champion": outcome.previous or "none"})
    _write_down(decision, config, track)
    if decision.outcome == REFUSED:
        raise BadInput(
            f"version {version} of {config.name} is refused by {', '.join(decision.failed)} (see "
            f"above; it stays registered, the champion is {outcome.previous or 'none'}; force=true "
            "insists)"
        )
    was = f" (before: version {outcome.previous})" if outcome.previous else ""
    say(f"models:/{config.name}@{CHAMPION} is version {version}{was}: {decision.outcome}")


def _pipeline(model: ModelFacts, challenger: Challenger, registry: Registry) -> Pipeline[Any]:
    """The pipeline a model is of.

    Raises
    ------
    BadInput
        If it is of none, or the registered model holds those of another one.
    """
    schema = str(read_description(model.folder).get("schema", ""))
    if schema not in PIPELINES:
        raise BadInput(f"{challenger.called}: no gates are known for schema {schema!r}")
    holds, found = pipeline_of(registry), PIPELINES[schema]
    if holds and holds is not found:
        raise BadInput(
            f"{challenger.called} has schema {schema}, and {registry.name} holds models of "
            f"{holds.schema} (expected another name, such as name={found.registered})"
        )
    return found


def _enter(challenger: Challenger, model: ModelFacts, registry: Registry) -> VersionFacts:
    """Register the model, or find the version that it is."""
    if challenger.version:
        return challenger.version
    if challenger.copied:
        return registry.copy_in(challenger.copied)
    return registry.register(
        model.model_id, model.run_id, {MODEL_SHA256: model.sha256, MODEL_DIGEST: model.digest}
    )


def _version_tags(card: Card[Any], pipeline: Pipeline[Any], plan: Plan) -> dict[str, str]:
    """What a version says of itself."""
    model, evaluation = card.model, card.evaluation
    found = evaluation.metrics if evaluation else {}
    return {
        "model.id": model.model_id,
        MODEL_SHA256: model.sha256,
        "threshold": repr(model.threshold),
        "rule": model.rule or "default",
        "schema": model.schema,
        "training_run": model.training.run_id if model.training else "",
        "threshold_run": model.logged_by.run_id if model.logged_by else "",
        "evaluate_run": evaluation.run_id if evaluation else "",
        "eval.digest": evaluation.digest if evaluation else "",
        "fingerprint": plan.fingerprint,
        **pipeline.own_tags(model),
        **{name: f"{found[name]:.6g}" if name in found else "" for name in pipeline.carried},
    }


def _write_down(decision: Decision, config: Promote, track: RunTrack) -> None:
    for line in decision.lines():
        say(line)
    table = decision.table()
    track.text(table.to_csv(index=False), "decision.csv")
    track.text(f"# Decision: {decision.outcome}\n\n{decision.markdown()}\n", "decision.md")
    track.tags({key: text for key, text in decision.tags().items() if text})
    _save(table, config, track)


def _save(table: pd.DataFrame, config: Promote, track: RunTrack) -> None:
    """Write the file asked for; what was decided is not undone by a full disk."""
    try:
        if config.out:
            table.to_csv(config.out, index=False)
    except OSError as error:
        say(f"warning: out: {config.out} was not written ({error}): see run {track.run_id}")


def roll_back(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Make the champion before champion again, if it still loads."""
    registry, target = plan.resolved.registry, plan.resolved.target
    challenger = Challenger(target.address, target.model_id, version=target)
    _, loaded = try_out(challenger, desk)
    if not loaded.passed:
        raise BadInput(
            f"version {target.version} of {registry.name} was champion before, but cannot be used "
            f"any more: {loaded.detail}"
        )
    succession = Succession(registry, track.run_id, say, desk.stop)
    before = succession.roll_back(target, _wanted(plan.config))
    track.tags({"registered.version": target.version, "previous_champion": before or "none"})
    say(
        f"models:/{registry.name}@{CHAMPION} is version {target.version} again (before: "
        f"{f'version {before}' if before else 'none'})"
    )


def show(plan: Plan, track: RunTrack) -> None:
    """List the versions and the audit."""
    registry = plan.resolved.registry
    if not registry.exists():
        raise BadInput(f"name: there is no registered model {registry.name}")
    columns = (pipeline_of(registry) or SPECTRA).columns
    table = version_table(registry.versions(), registry.aliases(), columns)
    say(table.to_string(index=False) if len(table) else f"{registry.name} has no version")
    say("\naudit of the champion:")
    for line in audit_lines(registry.trail()):
        say(f"  {line}")
    track.text(table.to_csv(index=False), "versions.csv")
    _save(table, plan.config, track)
