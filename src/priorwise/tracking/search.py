"""Facts about earlier runs, as plain records: one snapshot of one experiment."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlflow.artifacts import download_artifacts
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from priorwise.errors import BadInput, TrackingFailure
from priorwise.tracking.fingerprint import file_sha256

PAGE = 500
#: param: which run of its experiment this is, counted by its phases: clocks may jump, and differ
TURN, TURN_DIGITS = "contract.turn", 9
#: the first digit is 0: whatever else stands there was not written by a phase
_TURN = re.compile(rf"0[0-9]{{{TURN_DIGITS - 1}}}\Z")
LAST_TURN = 10 ** (TURN_DIGITS - 1) - 1
#: tag of a run that was resumed although something had changed: what; and params that say it, too
CHANGED, CHANGED_PARAM = "resume.changed", "contract.changed"


@dataclass(frozen=True)
class RunFacts:
    """What the tracking server says of one run."""

    run_id: str
    name: str
    experiment_id: str
    status: str
    deleted: bool
    start_time: int  # ms since the epoch
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def complete(self) -> bool:
        """FINISHED and carrying the tag that is written last."""
        return self.status == "FINISHED" and self.tags.get("complete") == "true"

    @property
    def turn(self) -> int:
        """How many runs had begun when this one did, itself included; 0 if it does not say."""
        text = self.params.get(TURN, "")
        return int(text) if _TURN.match(text) else 0

    @property
    def age(self) -> tuple[int, int]:
        """What a newer run of the experiment has more of."""
        return self.turn, self.start_time

    @property
    def changed(self) -> tuple[str, ...]:
        """What had changed when this run was resumed: names of parameters, data, source."""
        said = [self.params[name] for name in sorted(self.params) if name.startswith(CHANGED_PARAM)]
        return tuple(name for text in said for name in text.split(", "))


class History:
    """Read access to the runs of one experiment.

    Parameters
    ----------
    client : mlflow.MlflowClient
    experiment_id : str
    """

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client = client
        self.experiment_id = experiment_id
        self._checkpoints: dict[str, str | None] = {}

    def of_phase(self, *phases: str) -> list[RunFacts]:
        """All runs of the phases, deleted ones too, newest first."""
        found: list[RunFacts] = []
        for phase in phases:
            token = None
            while True:
                page = self._client.search_runs(
                    [self.experiment_id],
                    f"tags.phase = '{phase}'",
                    run_view_type=ViewType.ALL,
                    max_results=PAGE,
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                found += [_facts(run) for run in page]
                token = page.token
                if not token:
                    break
        return found

    def tagged(self, tag: str, value: str) -> list[RunFacts]:
        """Runs with this value of a tag, newest first.

        Parameters
        ----------
        tag, value : str
            Without quotes in them.
        """
        runs = self._client.search_runs(
            [self.experiment_id],
            f"tags.`{tag}` = '{value}'",
            run_view_type=ViewType.ACTIVE_ONLY,
            order_by=["attributes.start_time DESC"],
        )
        return [_facts(run) for run in runs]

    def next_turn(self) -> str:
        """The turn of a run that begins now; two that begin at once may have the same."""
        newest, token = 0, None
        while not newest:  # what comes first in the order of texts may be no turn at all
            page = self._client.search_runs(
                [self.experiment_id],
                f"params.`{TURN}` LIKE '0%'",
                run_view_type=ViewType.ALL,
                max_results=10,
                order_by=[f"params.`{TURN}` DESC"],
                page_token=token,
            )
            newest = max((_facts(run).turn for run in page), default=0)
            token = page.token
            if not token:
                break
        return f"{min(newest + 1, LAST_TURN):0{TURN_DIGITS}d}"

    def with_fingerprint(self, fingerprint: str) -> RunFacts | None:
        """The newest complete run of this fingerprint, if there is one."""
        runs = self._client.search_runs(
            [self.experiment_id],
            f"tags.fingerprint = '{fingerprint}' and tags.complete = 'true'",
            run_view_type=ViewType.ACTIVE_ONLY,
            order_by=["attributes.start_time DESC"],
        )
        complete = [facts for facts in map(_facts, runs) if facts.complete]
        return complete[0] if complete else None

    def run(self, run_id: str) -> RunFacts | None:
        """One run by id, from any experiment; None if there is none."""
        try:
            return _facts(self._client.get_run(run_id))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise TrackingFailure(f"run {run_id}: the tracking server does not answer") from error

    def history_lengths(self, run_id: str, names: Sequence[str]) -> dict[str, int]:
        """How many times each metric of a run was written."""
        return {name: len(self._client.get_metric_history(run_id, name)) for name in names}

    def fetch(self, run_id: str, artifact: str) -> Path:
        """Local copy of an artifact of a run.

        Raises
        ------
        TrackingFailure
            If it cannot be had.
        """
        parts = PurePosixPath(artifact).parts
        if ".." in parts or artifact.startswith("/"):
            raise TrackingFailure(f"run {run_id}: artifact path {artifact!r} leads out of the run")
        address = f"runs:/{run_id}/{artifact}"
        try:
            root = str(self._client.get_run(run_id).info.artifact_uri)
            if is_local_uri(root):  # MLflow's copy has what a link leads to
                place = Path(local_file_uri_to_path(root), artifact)
                if links := links_in(place, len(parts)):
                    raise TrackingFailure(
                        f"{address}: holds a symbolic link, {links[0].name} (expected files of "
                        "the run)"
                    )
            return Path(download_artifacts(address, tracking_uri=self._client.tracking_uri))
        except (MlflowException, OSError) as error:
            raise TrackingFailure(f"{address}: the artifact cannot be read") from error

    def checkpoint_sha256(self, facts: RunFacts) -> str | None:
        """Digest of the best checkpoint as it lies in the artifact store now; None if gone."""
        if facts.run_id not in self._checkpoints:
            self._checkpoints[facts.run_id] = self._hash_checkpoint(facts)
        return self._checkpoints[facts.run_id]

    def _hash_checkpoint(self, facts: RunFacts) -> str | None:
        artifact = facts.tags.get("checkpoint.path")
        if not artifact:
            return None
        try:
            return file_sha256(self.fetch(facts.run_id, artifact))
        except (TrackingFailure, OSError):
            return None

    def checkpoint(self, facts: RunFacts) -> Path:
        """Local copy of the best checkpoint of a run, its digest checked.

        Raises
        ------
        BadInput
            If the file is not the one the run recorded.
        """
        artifact = facts.tags.get("checkpoint.path")
        if not artifact:
            raise BadInput(f"run {facts.run_id}: has no checkpoint (expected a training run)")
        path = self.fetch(facts.run_id, artifact)
        found, recorded = file_sha256(path), facts.tags.get("checkpoint.sha256")
        if found != recorded:
            raise BadInput(
                f"run {facts.run_id}: checkpoint {artifact} has sha256 {found[:12]}..., "
                f"recorded was {str(recorded)[:12]}... (the file was changed)"
            )
        return path


def links_in(path: Path, depth: int = 0) -> list[Path]:
    """Symbolic links that lead out of an artifact: those below it, itself, and `depth` folders up.

    Who can write to the artifact store could otherwise have any file of this machine read, copied
    into a working folder or uploaded with a model.
    """
    above = [path, *path.parents][: max(depth, 1)]
    return [place for place in [*above, *path.rglob("*")] if place.is_symlink()]


def _facts(run: Run) -> RunFacts:
    return RunFacts(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        experiment_id=run.info.experiment_id,
        status=run.info.status,
        deleted=run.info.lifecycle_stage == "deleted",
        start_time=int(run.info.start_time or 0),
        tags=dict(run.data.tags),
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
    )
