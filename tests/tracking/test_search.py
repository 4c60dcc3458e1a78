"""The snapshot of an experiment: every run of a phase, whatever became of it, and its files."""

from dataclasses import replace

import pytest
from mlflow.exceptions import MlflowException
from tests.tracking.synthetic_runs import CHECKPOINT, Runs, sha256

from priorwise.errors import BadInput, TrackingFailure
from priorwise.tracking import search
from priorwise.tracking.search import History


@pytest.fixture
def history(runs) -> History:
    return History(runs.client, runs.experiment_id)


def test_facts_are_what_was_written(runs, history):
    bce = runs.bce()
    run_id = runs.prior(bce, start=1_700_000_000_123)
    facts = history.run(run_id)
    assert (facts.run_id, facts.name, facts.experiment_id) == (
        run_id,
        "estimate_prior test",
        runs.experiment_id,
    )
    assert (facts.status, facts.deleted, facts.complete) == ("FINISHED", False, True)
    assert facts.start_time == 1_700_000_000_123
    assert facts.params["contract.upstream.bce"] == bce
    assert facts.tags["phase"] == "estimate_prior"
    assert facts.metrics["c"] == 0.5889
    assert history.of_phase("estimate_prior") == [facts]


def test_every_run_of_the_phase_newest_first_deleted_ones_too(runs, history, tmp_path):
    ids = [
        runs.bce(),
        runs.bce(status="FAILED", complete=False),
        runs.bce(status="RUNNING", complete=False),
        runs.bce(status="KILLED", complete=False),
        runs.bce(),
    ]
    runs.client.delete_run(ids[-1])
    runs.prior(ids[0])
    Runs(runs.client, tmp_path / "another").bce()
    found = history.of_phase("bce_pretrain")
    assert [facts.run_id for facts in found] == ids[::-1]
    assert [facts.status for facts in found] == [
        "FINISHED",
        "KILLED",
        "RUNNING",
        "FAILED",
        "FINISHED",
    ]
    assert [facts.deleted for facts in found] == [True, False, False, False, False]
    assert len(history.of_phase("bce_pretrain", "estimate_prior")) == 6
    assert history.of_phase("nnpu_train") == []


def test_more_runs_than_a_page(runs, history, monkeypatch):
    monkeypatch.setattr(search, "PAGE", 2)
    ids = [runs.bce() for _ in range(5)]
    assert [facts.run_id for facts in history.of_phase("bce_pretrain")] == ids[::-1]


@pytest.mark.parametrize(
    ("status", "tag", "complete"),
    [
        ("FINISHED", "true", True),
        ("FINISHED", "True", False),
        ("FINISHED", None, False),
        ("FAILED", "true", False),
        ("KILLED", "true", False),
        ("RUNNING", "true", False),
    ],
)
def test_complete_needs_the_status_and_the_tag(runs, history, status, tag, complete):
    tags = {"complete": tag} if tag else {}
    run_id = runs.run("bce_pretrain", {}, status=status, tags=tags, complete=False)
    assert history.run(run_id).complete is complete


@pytest.mark.parametrize("run_id", ["0" * 32, "", "no run", "../x", "a" * 200])
def test_run_that_does_not_exist(history, run_id):
    assert history.run(run_id) is None


def test_server_that_fails_is_not_a_missing_run(history, monkeypatch):
    def broken(run_id):
        raise MlflowException("503")

    monkeypatch.setattr(history._client, "get_run", broken)
    with pytest.raises(TrackingFailure, match="does not answer") as caught:
        history.run("0" * 32)
    assert caught.value.exit_code == 4


def test_history_lengths(runs, history):
    run_id = runs.prior(runs.bce())
    assert history.history_lengths(run_id, ["c", "pi"]) == {"c": 1, "pi": 1}
    runs.client.log_metric(run_id, "c", 0.6, timestamp=runs.now + 1, step=0)
    runs.client.log_metric(run_id, "c", 0.7, timestamp=runs.now + 1, step=1)
    assert history.history_lengths(run_id, ["c", "pi", "none"]) == {"c": 3, "pi": 1, "none": 0}


# --- reuse by fingerprint ----------------------------------------------------------------------


def with_fingerprint(runs: Runs, **changes) -> str:
    return runs.run("bce_pretrain", {"fingerprint": "same"}, **changes)


def test_newest_complete_run_of_a_fingerprint(runs, history):
    assert history.with_fingerprint("same") is None
    with_fingerprint(runs)
    newest = with_fingerprint(runs)
    assert history.with_fingerprint("same").run_id == newest
    with_fingerprint(runs, complete=False)
    with_fingerprint(runs, status="RUNNING")  # the tag without the status: not complete
    runs.client.delete_run(with_fingerprint(runs))
    runs.run("bce_pretrain", {"fingerprint": "other"})
    assert history.with_fingerprint("same").run_id == newest


# --- checkpoints -------------------------------------------------------------------------------


def test_checkpoint_and_its_digest(runs, history):
    facts = history.run(runs.bce(content=b"the weights"))
    assert history.checkpoint_sha256(facts) == sha256(b"the weights")
    assert history.checkpoint(facts).read_bytes() == b"the weights"
    assert history.fetch(facts.run_id, CHECKPOINT).read_bytes() == b"the weights"


def test_checkpoint_changed(runs, history):
    run_id = runs.bce(content=b"the weights")
    runs.write_checkpoint(run_id, b"the weightz")
    facts = history.run(run_id)
    assert history.checkpoint_sha256(facts) == sha256(b"the weightz")
    with pytest.raises(BadInput) as caught:
        history.checkpoint(facts)
    for part in (run_id, CHECKPOINT, sha256(b"the weightz")[:12], sha256(b"the weights")[:12]):
        assert part in str(caught.value)


def test_checkpoint_cut_short_and_empty(runs, history):
    for left in (b"the wei", b""):
        run_id = runs.bce(content=b"the weights")
        runs.write_checkpoint(run_id, left)
        with pytest.raises(BadInput, match="was changed"):
            history.checkpoint(history.run(run_id))


def test_checkpoint_gone(runs, history):
    run_id = runs.bce()
    runs.checkpoint(run_id).unlink()
    facts = history.run(run_id)
    assert history.checkpoint_sha256(facts) is None
    with pytest.raises(TrackingFailure, match=f"runs:/{run_id}/.* cannot be read") as caught:
        history.checkpoint(facts)
    assert caught.value.exit_code == 4


def test_run_without_a_checkpoint(runs, history):
    facts = history.run(runs.prior(runs.bce()))
    assert history.checkpoint_sha256(facts) is None
    with pytest.raises(BadInput, match="has no checkpoint \\(expected a training run\\)"):
        history.checkpoint(facts)


def test_checkpoint_without_a_digest_on_record_is_refused(runs, history):
    facts = history.run(runs.bce())
    without = {k: v for k, v in facts.tags.items() if k != "checkpoint.sha256"}
    with pytest.raises(BadInput, match="recorded was None"):
        history.checkpoint(replace(facts, tags=without))


def test_checkpoint_path_of_a_folder(runs, history):
    run_id = runs.bce()
    runs.client.set_tag(run_id, "checkpoint.path", "checkpoints")
    assert history.checkpoint_sha256(history.run(run_id)) is None


@pytest.mark.parametrize("escape", ["../../../secret", "checkpoints/../../../../secret"])
def test_checkpoint_path_that_leads_out_of_the_run(runs, history, escape):
    run_id = runs.bce()
    (runs.folder / "secret").write_bytes(b"weights")
    runs.client.set_tag(run_id, "checkpoint.path", escape)
    facts = history.run(run_id)
    assert history.checkpoint_sha256(facts) is None
    with pytest.raises((BadInput, TrackingFailure)):
        history.checkpoint(facts)


def test_turns_are_counted_on(runs):
    history = History(runs.client, runs.experiment_id)
    assert history.next_turn() == "000000001"
    runs.run("estimate_prior", {"turn": "000000009"}, start=5)
    gone = runs.run("bce_pretrain", {"turn": "000000010"}, start=4)
    runs.run("bce_pretrain", {}, start=99)  # of before there were turns
    runs.client.delete_run(gone)
    assert history.next_turn() == "000000011"
    newest, *others = sorted(
        history.of_phase("estimate_prior", "bce_pretrain"), key=lambda f: f.age
    )[::-1]
    assert newest.run_id == gone
    assert [facts.turn for facts in others] == [9, 0]


@pytest.mark.parametrize(
    "text", ["", "x", "zzz", "-3", "9" * 30, "1.5", "1e9", "999999999", "5000000000", "٣", "7"]
)
def test_a_turn_that_no_phase_wrote_changes_nothing(runs, text):
    history = History(runs.client, runs.experiment_id)
    runs.run("estimate_prior", {"turn": "000000004"})
    run_id = runs.run("estimate_prior", {"turn": text})
    assert history.run(run_id).turn == 0
    for _ in range(12):  # more than a page of them
        runs.run("estimate_prior", {"turn": "0" + text})
    assert history.next_turn() == "000000005"


def test_turns_do_not_run_over(runs):
    history = History(runs.client, runs.experiment_id)
    runs.run("estimate_prior", {"turn": "099999999"})
    assert history.next_turn() == "099999999"  # then the clock decides
