"""One promotion at a time: a lock that lies in the model registry itself.

MLflow can set an alias, but not compare and set one. What its stores do atomically is to create a
registered model: of many who try, one succeeds. So a registered model named `<name>.lock` is the
lock of `<name>`, and its tags say who holds it.

A holder may die. A lock is *stale* after `STALE_SECONDS` by the store's own clock, and is then
taken over by renaming it to a name made of its token: renaming is atomic, too, and no two models
have one name, so only one of several takers succeeds, and a slow one can never rename a lock that
somebody else has taken meanwhile, which has another token. The renamed model stays as a tombstone
for `TOMBSTONE_SECONDS`, for the takers that are still to come.
"""

import hashlib
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from priorwise.errors import TrackingFailure

SUFFIX = ".lock"
STALE_SECONDS = 600.0
#: long enough to outlive a lock whose holder died just now
WAIT_SECONDS = STALE_SECONDS + 300.0
TOMBSTONE_SECONDS = 86_400.0
FIRST_PAUSE, LONGEST_PAUSE, LOOK_EVERY = 0.1, 3.0, 15.0
TAKEN, GONE = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"
BUSY, BUSY_PAUSES = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"), (1.0, 3.0, 9.0)


@dataclass(frozen=True)
class Held:
    """A lock as it was found: whose it is, and for how many seconds it has been."""

    token: str
    holder: str
    age: float

    def __str__(self) -> str:
        return f"held by run {self.holder} for {self.age:.0f} s"


class RegistryLock:
    """The lock of one registered model, as one process sees it.

    Parameters
    ----------
    client : mlflow.MlflowClient
    name : str
        The registered model.
    holder : str
        Who takes it, for those who wait: a run id.
    stale : float
        Age in seconds, by the store's clock, from which the holder counts as dead.
    """

    def __init__(
        self, client: MlflowClient, name: str, holder: str, stale: float = STALE_SECONDS
    ) -> None:
        self._client = client
        self._holder = holder
        self._stale = stale
        self._began = time.monotonic()
        self.name = f"{name}{SUFFIX}"
        self.token = uuid.uuid4().hex

    def take(self) -> bool:
        """Try to create the lock; whether it is ours."""
        self._began = time.monotonic()
        # look first: a store that has to refuse a name does more work than one that finds it
        found = self._read()
        if found is not None:
            return _token(found) == self.token
        tags = {"token": self.token, "holder": self._holder}
        try:
            self._client.create_registered_model(self.name, tags, "Held during a promotion.")
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
            # a request may be repeated on the way: the one before it can have made the lock
            return self.held()
        return True

    def held(self) -> bool:
        """Whether the lock that lies there now is ours."""
        found = self._read()
        return found is not None and _token(found) == self.token

    def check(self) -> None:
        """Refuse to go on if somebody else took the lock over.

        Raises
        ------
        TrackingFailure
            If this process was away for so long that its lock is not its own any more.
        """
        if not self.held():
            raise TrackingFailure(
                f"{self.name}: was taken over by another promotion, as one held for more than "
                f"{self._stale:.0f} s; the champion was not changed: start again"
            )

    def look(self) -> Held | None:
        """Who holds it now, and for how long by the store's own clock; None if nobody."""
        found = self._read()
        if found is None:
            return None
        probe = f"{self.name}.clock-{uuid.uuid4().hex}"
        made = self._client.create_registered_model(probe)
        with suppress(MlflowException):
            self._client.delete_registered_model(probe)
        age = (made.creation_timestamp - found.creation_timestamp) / 1000
        return Held(_token(found), str(found.tags.get("holder", "unknown")), max(age, 0.0))

    def is_stale(self, held: Held) -> bool:
        """Whether its holder counts as dead."""
        return held.age >= self._stale

    def put_aside(self, held: Held) -> bool:
        """Move a stale lock out of the way; False if that was done already.

        The lock is not ours then, only free: `take` decides who gets it.
        """
        try:
            self._client.rename_registered_model(self.name, self._tomb(held.token))
        except MlflowException:
            # of two at once the slower one gets an error whose kind depends on the store
            found = self._read()
            if found is not None and _token(found) == held.token:
                raise
            return False
        return True

    def release(self) -> None:
        """Give it up; a lock that is not ours any more is left alone."""
        with suppress(MlflowException):  # gone or taken over: not ours to remove
            if not self.held():
                return
            self._client.rename_registered_model(self.name, self._tomb(self.token))
            # held for long, somebody may have judged it stale just now: then the tombstone stays
            if time.monotonic() - self._began < self._stale / 2:
                self._client.delete_registered_model(self._tomb(self.token))

    def sweep(self) -> None:
        """Remove tombstones that nobody can need any more; call it while holding the lock."""
        before = 1000 * (time.time() - TOMBSTONE_SECONDS)
        for model in self._client.search_registered_models(f"name LIKE '{self.name}.%'"):
            # LIKE takes an underscore for any character
            ours = model.name.startswith(f"{self.name}.")
            if ours and (model.last_updated_timestamp or 0) < before:
                with suppress(MlflowException):
                    self._client.delete_registered_model(model.name)

    def _tomb(self, token: str) -> str:
        return f"{self.name}.{hashlib.sha256(token.encode()).hexdigest()[:32]}"

    def _read(self) -> RegisteredModel | None:
        try:
            return self._client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == GONE:
                return None
            raise


def _token(lock: RegisteredModel) -> str:
    # one made by hand has none: then its age tells it from the next
    return str(lock.tags.get("token", lock.creation_timestamp))


@contextmanager
def locked(
    client: MlflowClient,
    name: str,
    holder: str,
    say: Callable[[str], object],
    *,
    wait: float = WAIT_SECONDS,
    stale: float = STALE_SECONDS,
) -> Iterator[RegistryLock]:
    """Context manager: hold the lock of the registered model `name`.

    Parameters
    ----------
    client : mlflow.MlflowClient
    name : str
    holder : str
        Run id of this promotion.
    say : callable
        Told when it waits, and whose lock was taken over.
    wait : float
        Seconds to wait for it at most.
    stale : float
        Seconds after which a lock is taken over.

    Raises
    ------
    TrackingFailure
        If the lock cannot be had in time.
    """
    lock = RegistryLock(client, name, holder, stale)
    try:
        _wait_for(lock, say, wait)
        lock.sweep()
        yield lock
    finally:
        lock.release()


def _wait_for(lock: RegistryLock, say: Callable[[str], object], wait: float) -> None:
    began = time.monotonic()
    pause, next_look = FIRST_PAUSE, began
    while not _taken(lock):
        now = time.monotonic()
        late = now - began > wait
        if (late or now >= next_look) and (held := lock.look()):
            if lock.is_stale(held) and lock.put_aside(held):
                say(f"warning: {lock.name} was {held}: taken over")
                continue
            if late:
                raise TrackingFailure(
                    f"{lock.name}: not free after {wait:.0f} s ({held}); if that run is dead, "
                    "delete this registered model"
                )
            say(f"waiting: {lock.name} is {held}")
            next_look = now + LOOK_EVERY
        # random, so that those who wait do not come all at once
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(1.5 * pause, LONGEST_PAUSE)


def _taken(lock: RegistryLock) -> bool:
    """Whether the lock was to be had; a store that is busy with others is asked again."""
    for pause in BUSY_PAUSES:
        try:
            return lock.take()
        except MlflowException as error:
            if error.error_code not in BUSY:
                raise
            time.sleep(pause * random.uniform(0.5, 1.5))
    return lock.take()
