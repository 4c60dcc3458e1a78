"""A registered model: its versions, its champion, and the trail of how it came to be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from priorwise.errors import BadInput, TrackingFailure
from priorwise.tracking.audit import AuditEntry, next_line, read_trail
from priorwise.tracking.model_page import name_version
from priorwise.tracking.registry_lock import SUFFIX
from priorwise.tracking.secrets import scrub

CHAMPION, CHALLENGER = "champion", "challenger"
#: MLflow's databases keep so many characters of a tag or a description
TEXT_CHARS, REASON_CHARS = 5000, 2000
#: a larger number is none that a database can look for
NUMBER = re.compile(r"[0-9]{1,9}\Z")
NAME = re.compile(r"[\w.\-+]([\w.\-+ ]*[\w.\-+])?\Z")
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def check_name(parameter: str, name: str) -> str:
    """Return a name under which a model can be registered and found again.

    Raises
    ------
    BadInput
        If MLflow would refuse it, would not find it by its address, or it is that of a lock.
    """
    if not NAME.match(name) or set(name) <= {"."} or len(name) > 200:
        raise BadInput(
            f"{parameter}: {name!r} (expected letters, digits, spaces and . _ - + only, since a "
            "model is addressed as models:/NAME@ALIAS; at most 200 characters)"
        )
    if name.endswith(SUFFIX) or f"{SUFFIX}." in name:
        raise BadInput(f"{parameter}: {name} is the name of a promotion's lock, not of a model")
    return name


@dataclass(frozen=True)
class VersionFacts:
    """One version of a registered model."""

    name: str
    version: str
    run_id: str
    source: str
    status: str
    created: int  # ms since the epoch
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    @property
    def model_id(self) -> str:
        """Id of the logged model that it is a version of."""
        return self.tags.get("model.id", "")

    @property
    def address(self) -> str:
        """What MLflow loads it by."""
        return f"models:/{self.name}/{self.version}"


class Registry:
    """Versions, aliases and audit of one registered model.

    What changes the champion must be called while its lock is held (see `registry_lock`).

    Parameters
    ----------
    client : mlflow.MlflowClient
    name : str
    """

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.client = client
        self.name = name

    def exists(self) -> bool:
        """Whether anything was ever registered under the name."""
        return self._tags() is not None

    def versions(self) -> list[VersionFacts]:
        """All versions, newest first."""
        found, token = [], None
        while True:
            page = self.client.search_model_versions(f"name='{self.name}'", page_token=token)
            found += [_facts(version) for version in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda facts: -int(facts.version))

    def aliases(self) -> dict[str, str]:
        """Alias -> version; a search of versions does not give them."""
        try:
            aliases = self.client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code in MISSING:
                return {}
            raise
        return {alias: str(version) for alias, version in aliases.items()}

    def version(self, number: str) -> VersionFacts | None:
        """One version; None if there is none of this number."""
        if not NUMBER.match(number):
            return None
        try:
            return _facts(self.client.get_model_version(self.name, number))
        except MlflowException as error:
            if error.error_code in MISSING:
                return None
            raise

    def champion(self) -> str:
        """Number of the version in use; empty if there is none."""
        return self.aliases().get(CHAMPION, "")

    def register(
        self, model_id: str, run_id: str, tags: Mapping[str, str], description: str = ""
    ) -> VersionFacts:
        """The version of a logged model, made unless there is one already."""
        known = self._version_of(model_id)
        if known:
            name_version(self.client, model_id, self.name, known.version)
            return self.tag(known, tags)
        self._create_name()
        made = self.client.create_model_version(
            self.name,
            f"models:/{model_id}",
            run_id,
            tags={"model.id": model_id, **_fitting(tags)},
            description=scrub(description)[:TEXT_CHARS],
            model_id=model_id,
        )
        name_version(self.client, model_id, self.name, str(made.version))
        return _facts(made)

    def copy_in(self, source: VersionFacts) -> VersionFacts:
        """The version made of another registered model's, tags and description carried along.

        MLflow's own copy drops them in some stores, and carries all of them in others. What was
        decided there, and when, stays there.
        """
        known = self._version_of(source.model_id) if source.model_id else None
        if known:
            return known
        self._create_name()
        made = self.client.copy_model_version(source.address, self.name)
        copied = _facts(self.client.get_model_version(self.name, str(made.version)))
        carried = {key: text for key, text in source.tags.items() if not _of_a_decision(key)}
        dropped = {key: "" for key in copied.tags if _of_a_decision(key)}
        self.describe(copied.version, source.description)
        return self.tag(copied, {**carried, **dropped, "copied.from": source.address})

    def tag(self, version: VersionFacts, tags: Mapping[str, str]) -> VersionFacts:
        """Set those tags of a version that differ; one with an empty text is removed."""
        known = dict(version.tags)
        for key, text in _fitting(tags).items():
            if text and known.get(key) != text:
                self.client.set_model_version_tag(self.name, version.version, key, text)
                known[key] = text
            elif not text and known.pop(key, None) is not None:
                self.client.delete_model_version_tag(self.name, version.version, key)
        return replace(version, tags=known)

    def describe(self, version: str, description: str) -> None:
        """Set the description of a version."""
        text = scrub(description)[:TEXT_CHARS]
        self.client.update_model_version(self.name, version, text)

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias to a version."""
        self.client.set_registered_model_alias(self.name, alias, version)

    def remove_alias(self, alias: str, version: str) -> None:
        """Take an alias off a version, if it points there."""
        if self.aliases().get(alias) == version:
            self.client.delete_registered_model_alias(self.name, alias)

    def crown(self, version: str, before: str) -> None:
        """Make a version the champion, and look whether it is.

        Parameters
        ----------
        version : str
        before : str
            The champion that it takes the place of; empty for none.

        Raises
        ------
        TrackingFailure
            If another one is champion by now (nothing is changed then), or the server says
            otherwise afterwards.
        """
        now = self.champion()
        if now != before:
            raise TrackingFailure(
                f"models:/{self.name}@{CHAMPION} is {f'version {now}' if now else 'gone'} by now, "
                f"and was {f'version {before}' if before else 'none'} a moment ago: somebody else "
                "sets it without the lock; it was not changed: start again"
            )
        self.client.set_registered_model_alias(self.name, CHAMPION, version)
        self.remove_alias(CHALLENGER, version)
        found = str(self.client.get_model_version_by_alias(self.name, CHAMPION).version)
        if found != version:
            raise TrackingFailure(
                f"models:/{self.name}@{CHAMPION} is version {found} just after it was set to "
                f"version {version}: somebody else sets it without the lock"
            )

    def trail(self) -> list[AuditEntry]:
        """The audit, oldest line first."""
        return read_trail(self._tags() or {})

    def append(self, entry: AuditEntry) -> None:
        """Write the next line of the audit; none is ever changed."""
        entry = replace(entry, reason=scrub(entry.reason)[:REASON_CHARS])
        key, text = next_line(self._tags() or {}, entry)
        self.client.set_registered_model_tag(self.name, key, text)

    def _version_of(self, model_id: str) -> VersionFacts | None:
        known = [facts for facts in self.versions() if facts.model_id == model_id]
        return known[0] if known else None

    def _create_name(self) -> None:
        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _tags(self) -> dict[str, str] | None:
        try:
            return dict(self.client.get_registered_model(self.name).tags)
        except MlflowException as error:
            if error.error_code in MISSING:
                return None
            raise


def _fitting(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: scrub(str(text))[:TEXT_CHARS] for key, text in tags.items()}


def _of_a_decision(key: str) -> bool:
    return key.startswith(
        ("gate.", "decision", "decided.", "forced.", "promote", "rolled_back")
    ) or key in (
        "previous_champion",
        "copied.from",
    )


def _facts(version: ModelVersion) -> VersionFacts:
    return VersionFacts(
        name=version.name,
        version=str(version.version),
        run_id=version.run_id or "",
        source=version.source or "",
        status=version.status,
        created=int(version.creation_timestamp or 0),
        tags=dict(version.tags),
        description=version.description or "",
    )
