"""Which model is to become champion, and whether it works at all."""

from dataclasses import dataclass

from priorwise.errors import BadInput, TrackingFailure
from priorwise.phases.candidates import RUN_ID
from priorwise.phases.desk import Desk, say
from priorwise.phases.gates import Finding
from priorwise.phases.pipelines import EVALUATED_BY, pipeline_of
from priorwise.serving.fresh_process import works_alone
from priorwise.tracking.models import MODEL_ID, ModelFacts
from priorwise.tracking.registry import CHALLENGER, CHAMPION, Registry, VersionFacts
from priorwise.tracking.search import RunFacts

#: param of an evaluation, which cannot be changed afterwards
EVALUATED = "contract.upstream.model"


@dataclass(frozen=True)
class Challenger:
    """A model before anything of it is read.

    Attributes
    ----------
    address : str
        Where its weights are found: models:/m-ID, or models:/NAME/VERSION of a version.
    model_id : str
    version : VersionFacts or None
        It is registered under the name already, as this version.
    copied : VersionFacts or None
        It is a version of another registered model.
    evaluate_run : str
        That led to it; empty if it was named otherwise.
    """

    address: str
    model_id: str
    version: VersionFacts | None = None
    copied: VersionFacts | None = None
    evaluate_run: str = ""

    @property
    def called(self) -> str:
        """How details call it."""
        return f"version {self.version.version}" if self.version else f"model {self.model_id}"


def find_challenger(wanted: str, registry: Registry, desk: Desk) -> Challenger:
    """The model to promote.

    Parameters
    ----------
    wanted : str
        `auto` (that of the newest complete evaluation), a run id, a version number,
        models:/OTHER@alias, models:/OTHER/VERSION or models:/m-ID.
    registry : Registry
        Where it is to be champion.

    Raises
    ------
    BadInput
        If there is no such model.
    """
    if wanted == "auto":
        return _newest_evaluated(registry, desk)
    if RUN_ID.match(wanted):
        return _of_run(wanted, desk)
    if wanted.isascii() and wanted.isdecimal():
        return _of_version(registry, wanted)
    if wanted.startswith("models:/m-") and "@" not in wanted and wanted.count("/") == 1:
        model_id = wanted.removeprefix("models:/")
        desk.track.models.get(model_id)
        return Challenger(wanted, model_id)
    if not wanted.startswith("models:/"):
        raise BadInput(
            f"version: {wanted} (expected auto, a version number, a run id, models:/NAME@ALIAS, "
            "models:/NAME/VERSION or models:/m-ID)"
        )
    found = desk.track.models.version(wanted)
    other = Registry(registry.client, found.name)
    if other.name == registry.name:
        return _of_version(registry, str(found.version))
    source = other.version(str(found.version))
    if source is None or not source.model_id:
        raise BadInput(f"version: {wanted} does not say which logged model it is (tag {MODEL_ID})")
    return Challenger(source.address, source.model_id, copied=source)


def _of_version(registry: Registry, number: str) -> Challenger:
    facts = registry.version(number)
    if facts is None:
        known = ", ".join(v.version for v in registry.versions()) or "none"
        raise BadInput(f"version: {registry.name} has no version {number} (it has {known})")
    if not facts.model_id:
        raise BadInput(
            f"version: {facts.address} does not say which logged model it is (tag {MODEL_ID})"
        )
    return Challenger(facts.address, facts.model_id, version=facts)


def _newest_evaluated(registry: Registry, desk: Desk) -> Challenger:
    """The newest evaluated model; the challenger, if that is the champion itself.

    A challenger that was not evaluated on the champion's table is refused, and the champion is then
    evaluated on the challenger's: that makes it the newest one, but no challenger. An older model
    is never taken instead: it may be one that was champion before.
    """
    fit = _evaluations(registry, desk)
    found = _evaluated(fit[0])
    aliases = registry.aliases()
    champion = registry.version(aliases[CHAMPION]) if CHAMPION in aliases else None
    newest = f"{_phase(fit[0])} run {fit[0].run_id}"
    if champion and champion.model_id == found.model_id:
        say(f"{newest}, the newest, is of the champion: {champion.address}")
        return _of_version(registry, aliases.get(CHALLENGER, champion.version))
    say(f"candidate: model {found.model_id} of {newest} ({fit[0].name})")
    return found


def _evaluations(registry: Registry, desk: Desk) -> list[RunFacts]:
    """Complete evaluations of the pipeline that the registered model is of, newest first.

    Where nothing says which one that is, only one pipeline may have evaluations at all: there is no
    guessing between a spectra model and an RNA model.
    """
    pipeline = pipeline_of(registry)
    phases = [pipeline.evaluate] if pipeline else list(EVALUATED_BY)
    found = [
        [f for f in desk.track.history.of_phase(phase) if f.complete and not f.deleted]
        for phase in phases
    ]
    fit = [runs for runs in found if runs]
    if not fit:
        raise BadInput(
            f"version: auto, but no complete {' or '.join(phases)} run is in this experiment (run "
            f"{' or '.join(phases)} first, or give a version or a run id)"
        )
    if len(fit) > 1:
        raise BadInput(
            f"version: auto, but {registry.name} has no version yet, and this experiment has runs "
            f"of {' and of '.join(phases)} (expected the id of a run, or one of the names "
            f"{', '.join(p.registered for p in EVALUATED_BY.values())})"
        )
    return fit[0]


def _phase(facts: RunFacts) -> str:
    return facts.params.get("contract.phase", "")


def _of_run(run_id: str, desk: Desk) -> Challenger:
    facts = desk.track.history.run(run_id)
    if facts is None or facts.deleted:
        raise BadInput(f"version: run {run_id} does not exist or is deleted")
    if not facts.complete:
        raise BadInput(f"version: run {run_id} is not complete (status {facts.status})")
    if _phase(facts) in EVALUATED_BY:
        return _evaluated(facts)
    model_id = facts.tags.get(MODEL_ID, "")
    if not model_id:
        phase = _phase(facts) or "unknown"
        raise BadInput(
            f"version: run {run_id} (of phase {phase}) neither evaluated nor logged a model"
        )
    desk.track.models.get(model_id)
    return Challenger(f"models:/{model_id}", model_id)


def _evaluated(facts: RunFacts) -> Challenger:
    model_id = facts.params.get(EVALUATED, "")
    if not model_id:
        raise BadInput(
            f"version: {_phase(facts)} run {facts.run_id} does not say which model it evaluated"
        )
    return Challenger(f"models:/{model_id}", model_id, evaluate_run=facts.run_id)


def try_out(challenger: Challenger, desk: Desk) -> tuple[ModelFacts | None, Finding]:
    """Fetch a model, check its digest, and load and ask it in a fresh process."""
    models = desk.track.models
    try:
        model = models.find(challenger.address)
        if model.model_id != challenger.model_id:
            return None, Finding(False, f"{challenger.address} holds model {model.model_id} by now")
        say(f"loading {challenger.called} in a fresh process")
        whole = models.whole(model.model_id)
        return model, Finding(True, f"{works_alone(whole)}, sha256 {model.sha256[:12]}")
    except (BadInput, TrackingFailure) as error:
        return None, Finding(False, str(error))
