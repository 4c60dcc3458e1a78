"""The lock of a registered model: one holder at a time, whatever happens to the holders."""

import threading
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE

from priorwise.errors import TrackingFailure
from priorwise.tracking import registry_lock
from priorwise.tracking.registry_lock import Held, RegistryLock, locked

OLD = 10_000_000  # ms: far beyond the age at which a lock is stale


@pytest.fixture
def name(request):
    return f"model of {request.node.originalname}"


@pytest.fixture
def lock_of(store_client, name):
    """Makes a lock as another process would see it."""

    def make(holder, **values):
        return RegistryLock(store_client, name, holder, **values)

    return make


def names(client, name):
    return {model.name for model in client.search_registered_models(f"name LIKE '{name}%'")}


def made_stale(client, monkeypatch, milliseconds=OLD):
    """Locks that lie there now look older by so much, by the store's own clock."""
    create = client.create_registered_model

    def later(new, *arguments):
        model = create(new, *arguments)
        if ".clock-" in new:
            model._creation_time += milliseconds
        return model

    monkeypatch.setattr(client, "create_registered_model", later)


def test_only_one_holds_it(lock_of):
    first, second = lock_of("one"), lock_of("two")
    assert first.take()
    assert not second.take()
    assert first.held() and not second.held()
    assert second.look().holder == "one"
    second.release()  # not its own: nothing happens
    assert first.held()
    first.release()
    assert second.take()


def test_nothing_is_left_after_use(store_client, name):
    said = []
    with locked(store_client, name, "one", said.append) as lock:
        assert names(store_client, name) == {f"{name}.lock"}
        lock.check()
    assert names(store_client, name) == set()
    assert said == []


def test_released_after_an_error(store_client, name):
    with pytest.raises(ZeroDivisionError), locked(store_client, name, "one", print):
        raise ZeroDivisionError
    assert names(store_client, name) == set()


def test_a_create_request_that_is_repeated_finds_its_own_lock(lock_of, monkeypatch):
    lock = lock_of("one")
    assert lock.take()
    read = lock._read
    answers = [lambda: None, read]  # not there yet at first; then the server says that it is
    monkeypatch.setattr(lock, "_read", lambda: answers.pop(0)())
    assert lock.take()
    assert answers == []


def test_waits_and_says_so(store_client, name, lock_of):
    first, said = lock_of("the first run"), []
    assert first.take()
    timer = threading.Timer(0.5, first.release)
    timer.start()
    with locked(store_client, name, "two", said.append) as lock:
        assert lock.held()
    timer.join()
    assert len(said) == 1
    assert said[0].startswith(f"waiting: {name}.lock is held by run the first run for ")


def test_gives_up_after_the_limit(store_client, name, lock_of):
    first = lock_of("the first run")
    assert first.take()
    with (
        pytest.raises(TrackingFailure, match=r"not free after 0 s \(held by run the first run"),
        locked(store_client, name, "two", lambda line: None, wait=0.2),
    ):
        pytest.fail("entered")
    assert first.held(), "the lock of the other one is not touched"


def test_a_young_lock_is_not_stale(lock_of):
    first, second = lock_of("one"), lock_of("two")
    first.take()
    held = second.look()
    assert 0 <= held.age < 60
    assert not second.is_stale(held)


def test_a_dead_holder_is_taken_over(store_client, name, lock_of, monkeypatch):
    dead, said = lock_of("the dead run"), []
    assert dead.take()
    made_stale(store_client, monkeypatch)
    with locked(store_client, name, "two", said.append) as lock:
        assert lock.held()
        with pytest.raises(TrackingFailure, match="was taken over by another promotion"):
            dead.check()
        dead.release()
        assert lock.held(), "the late holder releases its own lock only"
    assert any("the dead run" in line and "taken over" in line for line in said)


@pytest.mark.parametrize("token", [None, "", "a/b:c"])
def test_a_lock_made_by_hand_can_be_taken_over(store_client, name, monkeypatch, token):
    tags = {} if token is None else {"token": token}
    name = f"{name} {token is None} {token == ''}"
    store_client.create_registered_model(f"{name}.lock", tags)
    made_stale(store_client, monkeypatch)
    with locked(store_client, name, "two", lambda line: None) as lock:
        assert lock.held()


def test_a_slow_taker_cannot_move_the_new_lock(store_client, name, lock_of, monkeypatch):
    """Both saw the dead lock; the fast one has taken it and holds a new one by now."""
    lock_of("dead").take()
    made_stale(store_client, monkeypatch)
    fast, slow = lock_of("fast"), lock_of("slow")
    seen_by_fast, seen_by_slow = fast.look(), slow.look()
    assert fast.is_stale(seen_by_fast) and slow.is_stale(seen_by_slow)
    assert fast.put_aside(seen_by_fast)
    assert fast.take()
    assert not slow.put_aside(seen_by_slow)
    assert fast.held()


def test_of_many_takers_one_wins(store_client, name, lock_of, monkeypatch):
    lock_of("dead").take()
    made_stale(store_client, monkeypatch)
    takers = [lock_of(f"taker {i}") for i in range(6)]
    seen = [taker.look() for taker in takers]
    outcome, start = {}, threading.Barrier(len(takers))

    def take(taker, held):
        start.wait()
        try:
            outcome[taker.token] = taker.put_aside(held)
        except MlflowException as error:
            outcome[taker.token] = error

    threads = [threading.Thread(target=take, args=pair) for pair in zip(takers, seen, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcome.values())) == ["False"] * 5 + ["True"]


def test_a_long_holder_leaves_a_tombstone(store_client, name, lock_of):
    """Somebody may have judged its lock stale just before the release, and come late."""
    lock = lock_of("one", stale=0.0)
    assert lock.take()
    late = lock_of("two", stale=0.0)
    seen = late.look()
    lock.release()
    third = lock_of("three")
    assert third.take()
    assert not late.put_aside(seen)
    assert third.held()


def test_tombstones_are_swept_a_day_later(store_client, name, lock_of, monkeypatch):
    lock = lock_of("one", stale=0.0)
    lock.take()
    lock.release()
    assert len(names(store_client, name)) == 1
    with locked(store_client, name, "two", lambda line: None):
        pass
    assert len(names(store_client, name)) == 1, "too young"
    monkeypatch.setattr(registry_lock, "TOMBSTONE_SECONDS", -1.0)
    with locked(store_client, name, "three", lambda line: None):
        pass
    assert names(store_client, name) == set()


def test_underscores_in_names_are_no_wildcards(store_client, monkeypatch):
    store_client.create_registered_model("aXb.lock.of-another")
    monkeypatch.setattr(registry_lock, "TOMBSTONE_SECONDS", -1.0)
    with locked(store_client, "a_b", "one", lambda line: None):
        pass
    assert store_client.get_registered_model("aXb.lock.of-another")


def test_mutual_exclusion_under_load(store_client, name):
    inside, most, done = [], [], []

    def work(i):
        with locked(store_client, name, f"run {i}", lambda line: None):
            inside.append(i)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(i)
            done.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(8))
    assert max(most) == 1
    assert names(store_client, name) == set()


def test_a_failure_of_the_server_is_not_a_free_lock(store_client, name, monkeypatch):
    def broken(*arguments):
        raise MlflowException("no such user", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(store_client, "create_registered_model", broken)
    with (
        pytest.raises(MlflowException, match="no such user"),
        locked(store_client, name, "one", lambda line: None),
    ):
        pytest.fail("entered")


def test_a_busy_store_is_asked_again(store_client, name, monkeypatch):
    create, calls = store_client.create_registered_model, []

    def busy(*arguments):
        calls.append(arguments)
        if len(calls) < 3:
            raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)
        return create(*arguments)

    monkeypatch.setattr(registry_lock, "BUSY_PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(store_client, "create_registered_model", busy)
    with locked(store_client, name, "one", lambda line: None) as lock:
        assert lock.held()
    assert len(calls) == 3


def test_held_in_words():
    assert str(Held("t", "abc", 12.6)) == "held by run abc for 13 s"
