"""An RNA training whose server goes away: as `test_outage` shows it for spectra."""

import threading

import pytest
from tests.pipelines.faulty_proxy import HANG, PASS
from tests.pipelines.test_outage import acting, history, never_waited, proxy, server, threads
from tests.pipelines.test_rna_pretrain import RECIPE
from tests.pipelines.test_signals import wait_for
from tests.pipelines.workplace import Workplace

from priorwise.rna.module import RnaModule

#: pytest finds them by their names
__all__ = ["proxy", "server"]
EPOCHS, STEPS = 2, 5  # of 40 rows in batches of 8


def numbers(place, run_id):
    """History of a run, but for what is never the same twice."""
    found = history(place, run_id)
    assert len(found.pop("samples_per_second")) == EPOCHS
    return found


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "rna.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def undisturbed(server, recipe, tmp_path_factory):
    """The table, and the history of a training on it that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    made = Workplace(folder, folder / "rna", server.uri, {"MLFLOW_EXPERIMENT_NAME": "rna"})
    given = {"config": recipe, "out": made.data}
    assert made.phase("rna_prepare", **given).code == 0
    done = made.phase("rna_pretrain", config=recipe)
    assert done.code == 0, done.err
    return made.data, numbers(made, made.run("rna_pretrain").info.run_id)


@pytest.fixture
def place(server, undisturbed, tmp_path):
    name = {"MLFLOW_EXPERIMENT_NAME": tmp_path.name}
    made = Workplace(tmp_path / "work", undisturbed[0], server.uri, name)
    made.folder.mkdir()
    return made


@pytest.fixture
def at_step(monkeypatch):
    return acting(monkeypatch, RnaModule)


def test_server_killed_in_mid_epoch_and_back(place, server, recipe, undisturbed, at_step):
    def kill():
        server.kill()
        threading.Timer(3, server.start).start()

    began = at_step({2: kill})
    done = place.phase("rna_pretrain", config=recipe)
    assert done.code == 0, done.err
    run = place.run("rna_pretrain")
    assert run.data.tags["complete"] == "true"
    assert numbers(place, run.info.run_id) == undisturbed[1]
    assert never_waited(began)


def test_server_that_stays_away(place, proxy, recipe, undisturbed, at_step):
    direct, place.uri = place.uri, proxy.uri
    place.environment |= {"PRIORWISE_SETTLE_SECONDS": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    began = at_step({STEPS + 1: lambda: setattr(proxy, "mode", HANG)})
    done = place.phase("rna_pretrain", config=recipe)
    assert done.code == 4
    assert never_waited(began) and len(began) == EPOCHS * STEPS
    line = done.err.splitlines()[-1]
    proxy.over.set()
    wait_for(lambda: not threads("sender of", "bounded call", "heart of"), 60, "the last words")
    proxy.mode, place.uri = PASS, direct
    run_id = place.run("rna_pretrain").info.run_id
    assert run_id in line and "spool.csv" in line
    synced = place.phase("sync_run", run=run_id)
    assert synced.code == 0, synced.err
    assert place.client.get_run(run_id).info.status == "FAILED"
    resumed = place.phase("rna_pretrain", config=recipe, resume=run_id)
    assert resumed.code == 0, resumed.err
    assert place.client.get_run(run_id).data.tags["complete"] == "true"
    assert numbers(place, run_id) == undisturbed[1]
