"""Fixtures of more than one folder: tiny tables, an empty store, and a place to run phases in."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# before torch is imported: two threads on two shared cores wait for each other, and sums over
# another number of threads are not bitwise the same
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from tests.pipelines.workplace import PROJECT_FILES, ROOT, Workplace, blank


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Put the import path back: loading a packaged model lays the model's own code in front.

    A hook and not a fixture: fixtures of a session that load one are covered, too.
    """
    before = list(sys.path)
    try:
        return (yield)
    finally:
        sys.path[:] = before


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """Folder with an initialised store; making one takes seconds, so tests copy it."""
    return blank(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="session")
def simulated(empty_store, tmp_path_factory) -> Path:
    """Folder of tiny simulated tables; nobody writes into it."""
    folder = tmp_path_factory.mktemp("simulated")
    place = Workplace.copy_of(empty_store, folder / "work", folder / "data")
    done = place.phase("simulate", out=folder / "data")
    assert done.code == 0, done.err
    return folder / "data"


@pytest.fixture
def workplace(empty_store, simulated, tmp_path) -> Workplace:
    """An empty store and the tiny tables."""
    return Workplace.copy_of(empty_store, tmp_path / "work", simulated)


@pytest.fixture(scope="session")
def estimated(empty_store, simulated, tmp_path_factory) -> Path:
    """Store in which phases 1 and 2 are done for both polarities; nobody writes into it."""
    place = Workplace.copy_of(empty_store, tmp_path_factory.mktemp("estimated") / "work", simulated)
    for polarity in ("positive", "negative"):
        for phase in ("bce_pretrain", "estimate_prior"):
            done = place.phase(phase, polarity=polarity)
            assert done.code == 0, done.err
    return place.folder


@pytest.fixture
def after_phase_2(estimated, simulated, tmp_path) -> Workplace:
    """A copy of the store in which phases 1 and 2 are done, artifacts included."""
    return Workplace.copy_of(estimated, tmp_path / "work", simulated)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A copy of what a clone holds, for scripts: nothing is written into the checkout."""
    copy = tmp_path_factory.mktemp("project")
    for name in PROJECT_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    return copy


@pytest.fixture(scope="module")
def store_client(empty_store, tmp_path_factory):
    """Client of a store of the test file's own."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    shutil.copy(empty_store / "mlflow.db", path)
    return MlflowClient(f"sqlite:///{path}")


@pytest.fixture
def runs(store_client, tmp_path):
    """Writer of synthetic runs, in an experiment of the test's own."""
    from tests.tracking.synthetic_runs import Runs

    return Runs(store_client, tmp_path)
