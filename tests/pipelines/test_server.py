"""The same work over HTTP as with the embedded file, and what happens when no server answers."""

import socket
import time

import pytest
from tests.pipelines.tracking_server import free_port, tracking_server
from tests.pipelines.workplace import Workplace

NUMBERS = ("c", "s", "pi", "alpha", "pi.low", "pi.high")


@pytest.fixture(scope="module")
def served(empty_store, simulated, tmp_path_factory):
    """A workplace whose store is an `mlflow server` of one worker that also keeps artifacts."""
    folder = tmp_path_factory.mktemp("server")
    behind = Workplace.copy_of(empty_store, folder / "store", simulated)
    with tracking_server(behind, folder / "artifacts") as uri:
        place = Workplace(folder / "work", simulated, uri, {"MLFLOW_EXPERIMENT_NAME": "served"})
        place.folder.mkdir()
        yield place


def test_same_numbers_as_with_the_embedded_store(served, after_phase_2):
    for phase in ("bce_pretrain", "estimate_prior"):
        done = served.phase(phase)
        assert done.code == 0, done.err
    local, remote = (p.run("estimate_prior", "positive") for p in (after_phase_2, served))
    for name in NUMBERS:
        assert remote.data.metrics[name] == local.data.metrics[name]

    for place in (after_phase_2, served):
        done = place.phase("nnpu_train", polarities="positive", epochs=2)
        assert done.code == 0, done.err
    local, remote = (p.run("nnpu_train") for p in (after_phase_2, served))
    assert remote.data.metrics == local.data.metrics
    prior = served.run("estimate_prior").info.run_id
    assert remote.data.tags["upstream.prior.positive"] == prior

    assert remote.info.artifact_uri.startswith("mlflow-artifacts:/")
    names = {a.path for a in served.client.list_artifacts(remote.info.run_id, "checkpoints")}
    kept = {remote.data.tags["checkpoint.path"], "checkpoints/last.ckpt"}
    assert kept | {f"{name}.sha256" for name in kept} == names
    for run in served.runs():
        assert run.info.status == "FINISHED" and run.data.tags["complete"] == "true"


def test_refusals_over_http_too(served):
    done = served.phase("bce_pretrain", data="/nope/x")
    assert done.code == 2
    run = served.runs()[0]
    assert run.info.status == "FAILED" and run.data.tags["exit.code"] == "2"
    done = served.phase("nnpu_train", prior_pos="0" * 32)
    assert done.code == 3


def lost(place, uri, seconds=15):
    """A phase ends with 4 and one line before anything is read or trained."""
    place.uri = uri
    began = time.monotonic()
    done = place.phase("bce_pretrain")
    assert time.monotonic() - began < seconds
    assert done.code == 4, done.err
    assert done.err.startswith("priorwise bce_pretrain: ")
    assert done.err.count("\n") == 1, done.err
    assert "rows" not in done.out
    return done.err


def test_no_server(workplace):
    port = free_port()
    said = lost(workplace, f"http://user:geheim@127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in said
    assert "geheim" not in said


def test_no_such_host(workplace):
    assert "nowhere.invalid" in lost(workplace, "http://nowhere.invalid:5000")


@pytest.mark.slow
def test_server_that_never_answers(workplace):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        lost(workplace, f"http://127.0.0.1:{listener.getsockname()[1]}")


@pytest.mark.parametrize("kind", ["a folder", "no database", "no scheme"])
def test_unusable_store(workplace, tmp_path, kind):
    (tmp_path / "text.db").write_text("not a database " * 100)
    uri = {
        "a folder": f"sqlite:///{tmp_path}",
        "no database": f"sqlite:///{tmp_path}/text.db",
        "no scheme": "nosuchscheme://somewhere",
    }[kind]
    assert uri in lost(workplace, uri)
