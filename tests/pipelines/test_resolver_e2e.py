"""A wrong prior never reaches a training: the ways one can be wrong, through the real entry."""

import shutil
import sqlite3

import lance
import pytest

from priorwise.tracking.search import TURN


@pytest.fixture
def place(after_phase_2):
    return after_phase_2


def refused(place, run_id, reason, **parameters):
    """nnpu_train ends with 3, a line that names the run and the reason, and trains nothing."""
    done = place.phase("nnpu_train", **{"polarities": "positive", **parameters})
    assert done.code == 3, done.err
    lines = [line for line in done.err.splitlines() if run_id in line]
    assert any(reason in line for line in lines), done.err
    assert "phase 3" not in done.out
    run = place.run("nnpu_train")
    assert run.info.status == "FAILED"
    assert run.data.tags["exit.code"] == "3"
    assert run_id in run.data.tags["exit.reason"]
    assert "complete" not in run.data.tags
    assert not run.data.metrics
    assert not (place.folder / ".priorwise" / "runs" / run.info.run_id).exists()


def test_good_priors_are_used_and_recorded(place):
    priors = {mode: place.run("estimate_prior", mode) for mode in ("positive", "negative")}
    done = place.phase("nnpu_train", epochs=1)
    assert done.code == 0, done.err
    run = place.run("nnpu_train")
    assert run.data.tags["complete"] == "true"
    for mode, prior in priors.items():
        assert run.data.params[f"contract.upstream.prior.{mode}"] == prior.info.run_id
        for name in ("c", "s", "pi", "alpha"):
            assert run.data.metrics[f"prior.{mode}.{name}"] == prior.data.metrics[name]


def test_failed_run(place):
    prior = place.run("estimate_prior", "positive")
    place.client.set_terminated(prior.info.run_id, "FAILED")
    refused(place, prior.info.run_id, "status FAILED")


def test_finished_but_incomplete_run(place):
    prior = place.run("estimate_prior", "positive")
    place.client.delete_tag(prior.info.run_id, "complete")
    refused(place, prior.info.run_id, "FINISHED but not complete")


def test_other_polarity(place):
    other = place.run("estimate_prior", "negative").info.run_id
    refused(place, other, "for polarity negative", prior_pos=other)


def test_other_polarity_is_not_taken_for_want_of_the_right_one(place):
    place.client.delete_run(place.run("estimate_prior", "positive").info.run_id)
    refused(place, place.run("estimate_prior", "negative").info.run_id, "for polarity negative")


def test_other_training_data(place, simulated):
    data = place.folder / "grown"
    shutil.copytree(simulated, data)
    table = lance.dataset(str(data / "train_data"))
    lance.write_dataset(table.head(1), str(data / "train_data"), mode="append")
    prior = place.run("estimate_prior", "positive").info.run_id
    refused(place, prior, "used other training data", data=data)


def test_changed_checkpoint(place):
    bce, prior = place.run("bce_pretrain", "positive"), place.run("estimate_prior", "positive")
    path = place.checkpoint(bce)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(place, prior.info.run_id, "has changed since it was written")


def test_lost_checkpoint(place):
    bce, prior = place.run("bce_pretrain", "positive"), place.run("estimate_prior", "positive")
    place.checkpoint(bce).unlink()
    refused(place, prior.info.run_id, "is gone")


def test_deleted_run(place):
    prior = place.run("estimate_prior", "positive").info.run_id
    place.client.delete_run(prior)
    refused(place, prior, "is deleted")


def test_deleted_pretraining(place):
    prior = place.run("estimate_prior", "positive").info.run_id
    place.client.delete_run(place.run("bce_pretrain", "positive").info.run_id)
    refused(place, prior, "its BCE run is deleted")


def test_a_newer_unfit_run_is_skipped_and_said_so(place):
    older = place.run("estimate_prior", "positive").info.run_id
    assert place.phase("estimate_prior").code == 0
    newer = place.run("estimate_prior", "positive").info.run_id
    assert newer != older
    place.client.set_terminated(newer, "KILLED")
    done = place.phase("nnpu_train", polarities="positive", epochs=1)
    assert done.code == 0, done.err
    run = place.run("nnpu_train")
    assert run.data.params["contract.upstream.prior.positive"] == older
    assert newer in run.data.tags["resolve.skipped"]
    assert any("warning" in line and newer in line for line in done.out.splitlines())


def test_the_clock_jumps_back(place):
    """As after a repair of the machine's clock: the prior that was estimated last is the newest."""
    first = place.run("estimate_prior", "positive")
    assert place.phase("estimate_prior", polarity="positive", estimator="median").code == 0
    last = place.run("estimate_prior", "positive")
    assert last.info.run_id != first.info.run_id
    assert int(last.data.params[TURN]) > int(first.data.params[TURN]) > 0
    with sqlite3.connect(place.folder / "mlflow.db") as database:
        database.execute("UPDATE runs SET start_time = 7 WHERE run_uuid = ?", [last.info.run_id])
    database.close()
    done = place.phase("nnpu_train", epochs=1)
    assert done.code == 0, done.err
    run = place.client.search_runs(["0"], "tags.phase = 'nnpu_train'")[0]
    assert run.data.params["contract.upstream.prior.positive"] == last.info.run_id


def test_a_number_that_contradicts_the_resolvable_prior(place):
    prior = place.run("estimate_prior", "positive")
    wrong = round(min(prior.data.metrics["pi"] + 0.05, 0.99), 4)
    done = place.phase("nnpu_train", polarities="positive", prior_pos=wrong)
    assert done.code == 3
    assert prior.info.run_id in done.err and "override" in done.err
    done = place.phase(
        "nnpu_train", polarities="positive", prior_pos=wrong, override="true", epochs=1
    )
    assert done.code == 0, done.err
    run = place.run("nnpu_train")
    assert run.data.tags["prior.positive.overridden"] == "true"
    assert run.data.metrics["prior.positive.pi"] == wrong


@pytest.mark.parametrize("phase", ["estimate_prior", "nnpu_train"])
def test_without_any_earlier_run(workplace, phase):
    done = workplace.phase(phase)
    assert done.code == 3
    assert "no fit" in done.err
