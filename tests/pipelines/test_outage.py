"""A training whose server dies, hangs or answers with errors: it goes on, and nothing is lost."""

import shlex
import threading
import time
from itertools import pairwise

import psutil
import pytest
from tests.pipelines.faulty_proxy import HANG, LOSE, PASS, faulty_proxy
from tests.pipelines.test_signals import wait_for
from tests.pipelines.tracking_server import TrackingServer
from tests.pipelines.workplace import Workplace

from priorwise.spectra.module import SpectraModule
from priorwise.tracking.runs import RunTrack

SLOW = pytest.mark.slow
EPOCHS, STEPS = 4, 8
#: seconds that no step may wait, and within which a training ends whose server stays away
LONGEST_WAIT, END = 5.0, 60.0


@pytest.fixture(scope="module")
def server(empty_store, simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outage")
    behind = Workplace.copy_of(empty_store, folder / "store", simulated)
    made = TrackingServer(behind, folder / "artifacts")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def proxy(server):
    with faulty_proxy(server.uri) as made:
        yield made


@pytest.fixture
def place(server, proxy, simulated, tmp_path):
    """A workplace of its own experiment; `through` the proxy, or straight to the server."""
    name = {"MLFLOW_EXPERIMENT_NAME": tmp_path.name}
    made = Workplace(tmp_path / "work", simulated, server.uri, name)
    made.folder.mkdir()
    return made


@pytest.fixture(scope="module")
def undisturbed(server, simulated, tmp_path_factory):
    """History of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    place = Workplace(folder, simulated, server.uri, {"MLFLOW_EXPERIMENT_NAME": "undisturbed"})
    done = place.phase("bce_pretrain", epochs=EPOCHS)
    assert done.code == 0, done.err
    return history(place, place.run("bce_pretrain").info.run_id)


def acting(monkeypatch, module):
    """Have a training do something in its n-th step; the times at which steps began."""
    began = []

    def arm(actions):
        original = module.training_step

        def step(self, *args):
            began.append(time.monotonic())
            actions.get(len(began) - 1, lambda: None)()
            time.sleep(0.05)
            return original(self, *args)

        monkeypatch.setattr(module, "training_step", step)
        return began

    return arm


@pytest.fixture
def at_step(monkeypatch):
    return acting(monkeypatch, SpectraModule)


def history(place, run_id):
    """Step and value of every record of every metric of a run."""
    client = place.client
    names = client.get_run(run_id).data.metrics
    return {
        name: sorted((m.step, m.value) for m in client.get_metric_history(run_id, name))
        for name in names
    }


def recorded(found, undisturbed):
    """The part of a history that a training's recorder writes."""
    return {name: found.get(name) for name in undisturbed if len(undisturbed[name]) > 1}


def run_of(place):
    """The one training of this workplace's experiment; None before it begins."""
    found = place.client.get_experiment_by_name(place.environment["MLFLOW_EXPERIMENT_NAME"])
    runs = place.client.search_runs([found.experiment_id], run_view_type=3) if found else []
    assert len(runs) < 2
    return runs[0] if runs else None


def spool_of(place, run):
    return place.folder / ".priorwise" / "runs" / run.info.run_id / "spool.csv"


def threads(*names):
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


def never_waited(began):
    return max(b - a for a, b in pairwise(began)) < LONGEST_WAIT


def test_server_killed_in_mid_epoch_and_back(place, server, undisturbed, at_step):
    def kill():
        server.kill()
        threading.Timer(3, server.start).start()

    began = at_step({STEPS + 3: kill})
    done = place.phase("bce_pretrain", epochs=EPOCHS)
    assert done.code == 0, done.err
    run = place.run("bce_pretrain")
    assert run.data.tags["complete"] == "true"
    assert history(place, run.info.run_id) == undisturbed
    assert never_waited(began)


@pytest.mark.parametrize("trouble", ["gone", "hangs", pytest.param("500", marks=SLOW)])
def test_server_that_stays_away(place, server, proxy, undisturbed, at_step, trouble):
    """Exit 4, nothing lost; `sync_run` brings the numbers, a resume the rest."""
    direct, place.uri = place.uri, proxy.uri
    place.environment |= {"PRIORWISE_SETTLE_SECONDS": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

    def fail():
        if trouble == "gone":
            server.kill()
        else:
            proxy.mode = HANG if trouble == "hangs" else 500

    began = at_step({STEPS + 3: fail})
    start = time.monotonic()
    done = place.phase("bce_pretrain", epochs=EPOCHS)
    assert time.monotonic() - start < END
    assert done.code == 4
    assert never_waited(began) and len(began) == EPOCHS * STEPS
    (line,) = [text for text in done.err.splitlines() if text.startswith("priorwise")]
    assert done.err.splitlines()[-1] == line

    # with a real process they would be gone
    proxy.over.set()
    wait_for(lambda: not threads("sender of", "bounded call", "heart of"), 60, "the last words")
    proxy.mode, place.uri = PASS, direct
    if trouble == "gone":
        server.start()
    run = place.run("bce_pretrain")
    run_id, spool = run.info.run_id, spool_of(place, run)
    assert run.info.status == "RUNNING" and "complete" not in run.data.tags
    assert run_id in line and str(spool) in line
    assert (spool.parent / "checkpoints" / "last.ckpt").exists()
    expected = recorded(undisturbed, undisturbed)
    assert recorded(history(place, run_id), undisturbed) != expected

    command = shlex.split(line.split("`")[1])
    assert command[:5] == ["mlflow", "run", ".", "-e", "sync_run"]
    synced = place.phase("sync_run", **dict([command[-1].split("=", 1)]))
    assert synced.code == 0, synced.err
    assert recorded(history(place, run_id), undisturbed) == expected
    run = place.client.get_run(run_id)
    assert run.info.status == "FAILED" and run.data.tags["exit.code"] == "4"
    assert f"resume={run_id}" in synced.out
    rows = sum(len(values) for values in expected.values())
    first = place.run("sync_run").data.metrics
    assert first["sync.rows"] == rows == first["sync.known"] + first["sync.sent"]
    assert first["sync.sent"] > 0

    again = place.phase("sync_run", run=run_id)
    assert again.code == 0, again.err
    assert place.run("sync_run").data.metrics["sync.sent"] == 0
    assert recorded(history(place, run_id), undisturbed) == expected

    resumed = place.phase("bce_pretrain", epochs=EPOCHS, resume=run_id)
    assert resumed.code == 0, resumed.err
    assert place.client.get_run(run_id).data.tags["complete"] == "true"
    assert history(place, run_id) == undisturbed


@pytest.mark.parametrize("status", [429, *(pytest.param(k, marks=SLOW) for k in (500, 503))])
def test_errors_that_heal(place, proxy, undisturbed, at_step, status):
    place.uri = proxy.uri

    def fail():
        proxy.mode = status
        threading.Timer(4, lambda: setattr(proxy, "mode", PASS)).start()

    began = at_step({STEPS - 2: fail})
    done = place.phase("bce_pretrain", epochs=EPOCHS)
    assert done.code == 0, done.err
    assert proxy.refused
    assert history(place, place.run("bce_pretrain").info.run_id) == undisturbed
    assert never_waited(began)


def test_an_answer_that_is_lost_makes_no_duplicate(place, proxy, undisturbed, at_step):
    """The server took the rows, and the connection broke before it said so."""
    place.uri = proxy.uri

    def lose():
        proxy.mode = LOSE
        threading.Timer(6, lambda: setattr(proxy, "mode", PASS)).start()

    at_step({2: lose})
    done = place.phase("bce_pretrain", epochs=EPOCHS)
    assert done.code == 0, done.err
    assert proxy.refused
    assert history(place, place.run("bce_pretrain").info.run_id) == undisturbed


def test_a_refusal_for_good_ends_the_training(place, at_step):
    """The run is deleted under its training: no use in trying again."""

    def delete():
        place.client.delete_run(run_of(place).info.run_id)

    at_step({2: delete})
    start = time.monotonic()
    done = place.phase("bce_pretrain", epochs=EPOCHS)
    assert time.monotonic() - start < END
    assert done.code == 4, done.err
    run = run_of(place)
    assert run.info.run_id in done.err.splitlines()[-1]
    assert "active" in done.err.splitlines()[-1]
    assert "complete" not in run.data.tags


def test_training_killed_while_the_server_is_away(place, project, proxy, undisturbed):
    """The spool holds what the process had in memory; a resume alone repairs the run."""
    direct, place.uri = place.uri, proxy.uri
    process = place.script(project, "bce_pretrain", epochs=EPOCHS, num_workers=0)
    try:
        wait_for(lambda: run_of(place), 120, "the run")
        run = run_of(place)
        wait_for(lambda: "epoch 1/" in place.stderr, 120, "the training")
        proxy.mode = HANG
        wait_for(lambda: "epoch 3/" in place.stderr, 120, "the third epoch")
    finally:
        psutil.Process(process.pid).kill()
        process.wait(20)
    proxy.mode, place.uri = PASS, direct
    assert len(spool_of(place, run).read_text().splitlines()) > 20
    done = place.phase("bce_pretrain", epochs=EPOCHS, resume=run.info.run_id)
    assert done.code == 0, done.err
    assert history(place, run.info.run_id) == undisturbed


def test_eight_runs_at_once(place):
    """500 metrics each, from eight threads: all there, each once (processes: `make soak`)."""
    client = place.client
    experiment = client.create_experiment(place.environment["MLFLOW_EXPERIMENT_NAME"])

    def train(run_id):
        track = RunTrack(client, run_id, experiment)
        recorder = track.recorder(place.folder / run_id / "history.csv")
        for step in range(500):
            recorder.step({"m": step / 7}, step)
        track.settle(60)
        track.close()

    runs = [client.create_run(experiment).info.run_id for _ in range(8)]
    working = [threading.Thread(target=train, args=(run_id,)) for run_id in runs]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    expected = {"m": [(step, step / 7) for step in range(500)]}
    assert [history(place, run_id) for run_id in runs] == [expected] * 8


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_patience_that_is_none(workplace, text):
    workplace.environment["PRIORWISE_SETTLE_SECONDS"] = text
    done = workplace.phase("bce_pretrain")
    assert done.code == 2
    assert "PRIORWISE_SETTLE_SECONDS: expected seconds" in done.err
    assert "epoch 1/" not in done.err
