"""Logged and registered models: how they are written, and how an address leads to their weights."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from priorwise.errors import BadInput, TrackingFailure
from priorwise.tracking.fingerprint import HASH_CHARS, file_sha256
from priorwise.tracking.search import History, links_in

#: name of every logged model: `runs:/<run id>/model` finds it
MODEL_NAME = "model"
#: where a model keeps its network folder, and the file of it that is hashed
NETWORK_FOLDER, WEIGHTS = "artifacts/network", "model.safetensors"
#: tags of a run that logged a model, and of a registered version
MODEL_ID, MODEL_SHA256 = "model.id", "model.sha256"
#: tag of a logged model and of a version: digest of weights and description, threshold included
MODEL_DIGEST = "model.digest"
#: tag of a logged model: digest of all its files, the code that MLflow would run among them
MODEL_FILES = "model.files"
#: folder of compiled Python
CACHE = "__pycache__"
ADDRESSES = "a run id, models:/NAME@ALIAS, models:/NAME/VERSION or models:/m-ID"
_RUN = re.compile(r"[0-9a-f]{32}\Z")
_LOGGED = re.compile(r"models:/(m-[0-9a-f]{32})\Z")
_ALIASED = re.compile(r"models:/([^/:@]+)@([^/:@]+)\Z")
_NUMBERED = re.compile(r"models:/([^/:@]+)/([1-9]\d{0,8})\Z")


@dataclass(frozen=True)
class ModelFacts:
    """A model that was found, its weights at hand.

    Attributes
    ----------
    model_id : str
        Of the logged model, "m-...".
    run_id : str
        The run that logged it.
    folder : pathlib.Path
        Local copy of its network folder, the digest of its weights checked.
    sha256 : str
        Of the weights.
    digest : str
        Of the whole network folder: weights, threshold and all else that decides an answer.
    name, version : str
        In the registry, if it was reached that way.
    """

    model_id: str
    run_id: str
    folder: Path
    sha256: str
    digest: str
    name: str = ""
    version: str = ""


class Models:
    """Access to models by whatever a user calls them.

    Parameters
    ----------
    client : mlflow.MlflowClient
    history : History
    """

    def __init__(self, client: MlflowClient, history: History) -> None:
        self._client = client
        self._history = history

    def find(self, address: str) -> ModelFacts:
        """The model at an address.

        Parameters
        ----------
        address : str
            A run id, models:/NAME@ALIAS, models:/NAME/VERSION or models:/m-ID.

        Raises
        ------
        BadInput
            If there is none, or its weights are not those that were recorded.
        TrackingFailure
            If the server or the artifact store does not answer.
        """
        if logged := _LOGGED.match(address):
            return self._facts(logged[1], address, recorded={})
        if address.startswith("models:/"):
            version = self.version(address)
            model_id = (
                version.model_id
                or self._model_id_of_source(version)
                # of a copy whose origin was deleted since
                or version.tags.get(MODEL_ID, "")
            )
            if not model_id:
                raise BadInput(f"model: {address} was not logged by this project")
            return self._facts(
                model_id,
                address,
                recorded=version.tags,
                name=version.name,
                version=str(version.version),
            )
        run = self._history.run(address) if _RUN.match(address) else None
        if run is None or run.deleted:
            what = f"there is no run {address}" if _RUN.match(address) else repr(address)
            raise BadInput(f"model: {what} (expected {ADDRESSES})")
        if not run.complete:
            raise BadInput(f"model: run {address} is not complete (status {run.status})")
        model_id = run.tags.get(MODEL_ID, "")
        if not model_id:
            phase = run.tags.get("phase", "unknown")
            raise BadInput(f"model: run {address} (of phase {phase}) logged no model")
        return self._facts(model_id, f"run {address}", recorded=run.tags)

    def version(self, address: str) -> ModelVersion:
        """The registered version at models:/NAME@ALIAS or models:/NAME/VERSION.

        Raises
        ------
        BadInput
            If there is no such version.
        """
        aliased, numbered = _ALIASED.match(address), _NUMBERED.match(address)
        try:
            if aliased:
                return self._client.get_model_version_by_alias(aliased[1], aliased[2])
            if numbered:
                return self._client.get_model_version(numbered[1], numbered[2])
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise BadInput(
                    f"model: the registry has no {address} (promote one first, or see "
                    "-e promote -P action=show)"
                ) from error
            raise TrackingFailure(f"{address}: the registry does not answer") from error
        raise BadInput(f"model: {address} (expected {ADDRESSES})")

    def get(self, model_id: str) -> LoggedModel:
        """A logged model, with its tags and metrics.

        Raises
        ------
        BadInput
            If it does not exist, or was deleted.
        """
        try:
            return self._client.get_logged_model(model_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise BadInput(f"model: {model_id} does not exist or was deleted") from error
            raise TrackingFailure(f"{model_id}: the tracking server does not answer") from error

    def sha256_now(self, model_id: str) -> str | None:
        """Digest of a model's weights as they lie in the artifact store now; None if gone."""
        try:
            return file_sha256(self.download(self.get(model_id), NETWORK_FOLDER) / WEIGHTS)
        except (BadInput, TrackingFailure, OSError):
            return None

    def download(self, model: LoggedModel, path: str = "") -> Path:
        """Local copy of a logged model, or of a part of it.

        Raises
        ------
        TrackingFailure
            If it cannot be had.
        """
        address = "/".join(filter(None, (str(model.artifact_location).rstrip("/"), path)))
        try:
            return Path(download_artifacts(address, tracking_uri=self._client.tracking_uri))
        except (MlflowException, OSError) as error:
            raise TrackingFailure(f"{model.model_id}: {path or 'it'} cannot be read") from error

    def whole(self, model_id: str) -> Path:
        """Local copy of a logged model, code and all, checked to be what was logged.

        Whoever loads a model with MLflow runs the code in it: a model whose files were changed, or
        that this project did not log, must not get that far.

        Raises
        ------
        BadInput
            If its files are not those that were logged, or nothing says what was logged.
        TrackingFailure
            If it cannot be had.
        """
        model = self.get(model_id)
        folder = self.download(model)
        _refuse_links(folder, model_id)
        recorded, found = model.tags.get(MODEL_FILES, ""), folder_digest(folder)
        if not recorded:
            raise BadInput(
                f"model: {model_id} has no digest of its files on record (tag {MODEL_FILES}): its "
                "code is not run"
            )
        if found != recorded:
            raise BadInput(
                f"model: the files of {model_id} have digest {found[:12]}..., recorded was "
                f"{recorded[:12]}... (they were changed): its code is not run"
            )
        return folder

    def _model_id_of_source(self, version: ModelVersion) -> str:
        """Of a version that does not say: a copy names the version it was copied from."""
        source = str(version.source or "")
        if logged := _LOGGED.match(source):
            return logged[1]
        if _NUMBERED.match(source):
            with suppress(BadInput):
                origin = self.version(source)
                return str(origin.model_id or self._model_id_of_source(origin))
        return ""

    def _facts(
        self,
        model_id: str,
        address: str,
        recorded: Mapping[str, str],
        name: str = "",
        version: str = "",
    ) -> ModelFacts:
        model = self.get(model_id)
        if model.status != LoggedModelStatus.READY:
            raise BadInput(f"model: {address} is not ready (status {model.status})")
        folder = self.download(model, NETWORK_FOLDER)
        _refuse_links(folder, address)
        try:
            sha256 = file_sha256(folder / WEIGHTS)
        except OSError as error:
            raise BadInput(f"model: {address} holds no {NETWORK_FOLDER}/{WEIGHTS}") from error
        digest = folder_digest(folder)
        for tags in (recorded, model.tags):
            for key, found, what in (
                (MODEL_SHA256, sha256, "weights"),
                (MODEL_DIGEST, digest, "weights and description"),
            ):
                if tags.get(key, found) != found:
                    raise BadInput(
                        f"model: the {what} of {address} have digest {found[:12]}..., recorded "
                        f"was {tags[key][:12]}... (they were changed)"
                    )
        run_id = str(model.source_run_id or "")
        return ModelFacts(model_id, run_id, folder, sha256, digest, name, version)


def _refuse_links(folder: Path, name: str) -> None:
    """Refuse a model that leads out of its folder: what it names would be read, or copied on."""
    if links := links_in(folder):
        raise BadInput(
            f"model: {name} holds a symbolic link, {links[0].name} (expected files of its own)"
        )


def folder_digest(folder: Path) -> str:
    """One digest of the names and contents of the files in a folder, 32 hexadecimal characters.

    Python's caches do not count: whoever loads a model where it lies leaves some.
    """
    whole = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file())
    for path in sorted(path for path in files if path.parent.name != CACHE):
        whole.update(f"{path.relative_to(folder)} {file_sha256(path)}\n".encode())
    return whole.hexdigest()[:HASH_CHARS]


def log_model(
    client: MlflowClient,
    experiment_id: str,
    run_id: str,
    write: Callable[[Path, str], None],
    tags: Mapping[str, str],
) -> str:
    """Log a model on a run: made, written, uploaded, and only then ready.

    Parameters
    ----------
    write : callable
        Gets a new folder and the model's id, and writes an MLflow model there.
    tags : mapping
        Of the logged model.

    Returns
    -------
    str
        Id of the logged model.
    """
    model = client.create_logged_model(
        experiment_id, name=MODEL_NAME, source_run_id=run_id, tags=dict(tags)
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            write(folder, model.model_id)
            client.set_logged_model_tags(model.model_id, {MODEL_FILES: folder_digest(folder)})
            client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    except BaseException:
        with suppress(Exception):  # the store may be what failed
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
        raise
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)
