"""From runs on a real store to a prior: what the server says reaches the resolver unchanged."""

import pytest
from tests.tracking.synthetic_runs import DIGEST, LABELLED, OTHER_DIGEST, ROWS, C, Runs

from priorwise.errors import BadInput, PriorNotResolvable
from priorwise.learn.stopping import StopRequest
from priorwise.phases import lineage
from priorwise.phases.candidates import ChosenPrior
from priorwise.phases.desk import Desk, Plan, Recipe, begin
from priorwise.phases.lineage import (
    checkpoint_of,
    prior_candidates,
    request,
    resolve_bce,
    resolve_prior,
    skipped_tag,
    snapshot,
)
from priorwise.spectra.facts import TableFacts
from priorwise.tracking.runs import RunTrack

TRAIN = TableFacts(
    uri="train_data",
    version=3,
    digest=DIGEST,
    rows={(mode, "MSV000000001"): n for mode, n in ROWS.items()},
    labelled={(mode, "MSV000000001"): n for mode, n in LABELLED.items()},
)


@pytest.fixture
def desk(runs) -> Desk:
    """What a phase has at hand; its own run plays no part."""
    return Desk(Recipe(), RunTrack(runs.client, "", runs.experiment_id), StopRequest())


def resolve(desk: Desk, spec: str = "auto", polarity: str = "positive", **more) -> ChosenPrior:
    wanted = request(spec, polarity, TRAIN, desk, **more)
    return resolve_prior(wanted, snapshot(desk.track.history, spec), desk)


def refusal(desk: Desk, spec: str = "auto", polarity: str = "positive", **more) -> str:
    with pytest.raises(PriorNotResolvable) as caught:
        resolve(desk, spec, polarity, **more)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_good_candidate_is_chosen_with_all_its_numbers(runs, desk, capsys):
    bce = runs.bce()
    run_id = runs.prior(bce)
    chosen = resolve(desk)
    assert (chosen.run_id, chosen.bce_run_id, chosen.polarity) == (run_id, bce, "positive")
    assert (chosen.c, chosen.s, chosen.pi) == (0.5889, 0.267, 0.267 / 0.5889)
    assert chosen.intervals == {"c": (pytest.approx(0.5689), pytest.approx(0.6089))}
    assert (chosen.skipped, chosen.warnings) == ((), ())
    said = capsys.readouterr().out
    assert said == f"prior positive: pi 0.4534 (c 0.5889, s 0.2670) from run {run_id}\n"


def test_both_polarities_from_one_snapshot_that_later_runs_do_not_change(runs, desk):
    first = {mode: runs.prior(runs.bce(mode), mode) for mode in C}
    taken = snapshot(desk.track.history)
    later = {mode: runs.prior(runs.bce(mode), mode, metrics={"n_labelled": 31.0}) for mode in C}
    for mode in C:
        wanted = request("auto", mode, TRAIN, desk)
        assert resolve_prior(wanted, taken, desk).run_id == first[mode]
        assert resolve_prior(wanted, snapshot(desk.track.history), desk).run_id == later[mode]


def test_checkpoint_changed_after_the_estimate(runs, desk):
    bce = runs.bce()
    run_id = runs.prior(bce)
    runs.write_checkpoint(bce, b"other weights")
    text = refusal(desk)
    assert text.splitlines()[0] == "no fit estimate_prior run for polarity positive"
    assert run_id in text
    assert "checkpoint of its BCE run has changed since it was written" in text


def test_checkpoint_gone(runs, desk):
    bce = runs.bce()
    runs.prior(bce)
    runs.checkpoint(bce).unlink()
    assert "checkpoint of its BCE run is gone" in refusal(desk)


def test_checkpoint_and_its_tag_replaced_together(runs, desk):
    bce = runs.bce()
    runs.prior(bce, content=b"the weights of then")
    assert "estimated from another checkpoint of its BCE run" in refusal(desk)


def test_checkpoint_path_that_leads_out_of_the_artifacts(runs, desk):
    bce = runs.bce()
    runs.prior(bce)
    secret = runs.folder / "secret"
    secret.write_bytes(b"weights")
    runs.client.set_tag(bce, "checkpoint.path", "../../../secret")
    assert "checkpoint of its BCE run is gone" in refusal(desk)


@pytest.mark.parametrize("what", ["prior", "bce"])
def test_deleted_run(runs, desk, what):
    ids = {"bce": runs.bce()}
    ids["prior"] = runs.prior(ids["bce"])
    runs.client.delete_run(ids[what])
    assert f"{'run' if what == 'prior' else 'its BCE run'} is deleted" in refusal(desk)
    assert "is deleted" in refusal(desk, ids["prior"])


def test_deleted_experiment(runs, desk, tmp_path):
    run_id = runs.prior(runs.bce())
    runs.client.delete_experiment(runs.experiment_id)
    assert "run is deleted" in refusal(desk)
    elsewhere = Runs(runs.client, tmp_path / "elsewhere")
    there = Desk(Recipe(), RunTrack(runs.client, "", elsewhere.experiment_id), StopRequest())
    assert "run is deleted" in refusal(there, run_id)


def test_run_of_another_experiment_only_by_its_id(runs, desk, tmp_path):
    run_id = runs.prior(runs.bce())
    elsewhere = Runs(runs.client, tmp_path / "elsewhere")
    there = Desk(Recipe(), RunTrack(runs.client, "", elsewhere.experiment_id), StopRequest())
    assert refusal(there) == (
        "no fit estimate_prior run for polarity positive "
        f"(no estimate_prior run at all in experiment {elsewhere.experiment_id})"
    )
    assert resolve(there, run_id).run_id == run_id


def test_run_named_twice_is_one_candidate(runs, desk, tmp_path):
    run_id = runs.prior(runs.bce())
    elsewhere = Runs(runs.client, tmp_path / "elsewhere")
    there = Desk(Recipe(), RunTrack(runs.client, "", elsewhere.experiment_id), StopRequest())
    taken = snapshot(there.track.history, run_id, run_id, "auto", "0.4")
    assert [facts.run_id for facts in taken.priors] == [run_id]
    assert resolve_prior(request(run_id, "positive", TRAIN, there), taken, there).run_id == run_id


UNFINISHED = {
    "running": {"status": "RUNNING", "complete": False},
    "killed": {"status": "KILLED", "complete": False},
    "failed": {"status": "FAILED", "complete": False},
    "preempted": {"complete": False},
}


@pytest.mark.parametrize("how", UNFINISHED)
def test_newer_unfinished_estimate_is_skipped_with_a_warning_and_a_tag(runs, desk, how, capsys):
    bce = runs.bce()
    good = runs.prior(bce)
    bad = runs.prior(bce, **UNFINISHED[how])
    chosen = resolve(desk)
    assert chosen.run_id == good
    assert f"warning: newer estimate_prior run {bad} skipped: run " in capsys.readouterr().out
    tag = skipped_tag(chosen)
    assert set(tag) == {"resolve.skipped"}
    assert bad in tag["resolve.skipped"]


def test_incomplete_bce_run(runs, desk):
    runs.prior(runs.bce(complete=False))
    assert "its BCE run is FINISHED but not complete" in refusal(desk)


def test_bce_run_that_never_was(runs, desk):
    runs.prior("0" * 32)
    assert "its BCE run does not exist" in refusal(desk)


def test_other_polarity_and_other_data(runs, desk, capsys):
    runs.prior(runs.bce("negative"), "negative")
    runs.prior(runs.bce(digest=OTHER_DIGEST), digest=OTHER_DIGEST, version="2")
    text = refusal(desk)
    assert "run is for polarity negative" in text
    assert "(digest eeeeeeee, version 2; wanted dddddddd, version 3)" in text
    good = runs.prior(runs.bce())
    capsys.readouterr()
    assert resolve(desk).run_id == good
    # older unfit candidates are listed, not warned of; the other polarity's are nobody's concern
    said = capsys.readouterr().out
    assert said.count("  skipped ") == 1
    assert "warning" not in said


def test_many_unfit_candidates_are_counted(runs, desk, capsys, monkeypatch):
    monkeypatch.setattr(lineage, "SHOWN", 1)
    bce = runs.bce()
    for _ in range(3):
        runs.prior(bce, complete=False)
    runs.prior(bce)
    resolve(desk)
    said = capsys.readouterr().out
    assert said.count("  skipped ") == 1
    assert "(2 other unfit candidates skipped)" in said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "not finite: c"),
        (float("inf"), "c must be at most 1"),
        (0.0, "s must be below c"),
        (0.2, "s must be below c"),
        (1.5, "c must be at most 1"),
    ],
)
def test_numbers_as_the_store_gives_them_back(runs, desk, value, said):
    runs.prior(runs.bce(), metrics={"c": value})
    assert said in refusal(desk)


@pytest.mark.parametrize("value", [0.9, C["positive"]])
def test_metric_logged_again_at_the_same_step(runs, desk, value):
    run_id = runs.prior(runs.bce())
    runs.client.log_metric(run_id, "c", value, timestamp=runs.now + 5, step=0)
    assert "c not written exactly once" in refusal(desk)


def test_metric_logged_between_snapshot_and_choice(runs, desk):
    run_id = runs.prior(runs.bce())
    taken = snapshot(desk.track.history)
    runs.client.log_metric(run_id, "pi", 0.9, timestamp=runs.now + 5, step=0)
    with pytest.raises(PriorNotResolvable, match="pi not written exactly once"):
        resolve_prior(request("auto", "positive", TRAIN, desk), taken, desk)


def test_edited_tags_do_not_win_over_params(runs, desk):
    negative = runs.prior(runs.bce("negative"), "negative")
    for name, value in (("polarity", "positive"), ("s", "0.267"), ("c", "0.5")):
        runs.client.set_tag(negative, name, value)
    text = refusal(desk)
    assert "run is for polarity negative" in text
    assert "tag polarity changed after the fact" in text


def test_upstream_tag_edited_to_another_bce_run(runs, desk):
    bce = runs.bce()
    run_id = runs.prior(bce)
    other = runs.bce(content=b"other")
    runs.client.set_tag(run_id, "upstream.bce", other)
    assert resolve(desk).bce_run_id == bce


def test_newer_bce_run_is_told_and_tagged(runs, desk, capsys):
    run_id = runs.prior(runs.bce())
    newer = runs.bce(content=b"better")
    chosen = resolve(desk)
    assert chosen.run_id == run_id
    assert f"BCE run {newer} is newer: run estimate_prior again" in capsys.readouterr().out
    assert newer in skipped_tag(chosen)["resolve.warnings"]


def test_ids_that_name_something_else(runs, desk):
    bce = runs.bce()
    run_id = runs.prior(bce)
    assert "is not a run of estimate_prior, or does not exist" in refusal(desk, bce)
    assert "is not a run of estimate_prior, or does not exist" in refusal(desk, "0" * 32)
    text = refusal(desk, run_id, "negative")
    assert text.splitlines()[0] == f"run {run_id} is not fit (polarity negative)"
    assert "run is for polarity positive" in text


def test_two_at_one_start_time(runs, desk):
    bce = runs.bce()
    moment = runs.now + 5000
    twins = [runs.prior(bce, start=moment) for _ in range(2)]
    text = refusal(desk)
    assert "2 fit estimate_prior runs for polarity positive started at the same time" in text
    assert all(run_id in text for run_id in twins)
    assert resolve(desk, twins[0]).run_id == twins[0]


def test_number(runs, desk, capsys):
    runs.prior(runs.bce())
    chosen = resolve(desk, "0.454")
    assert (chosen.pi, chosen.s, chosen.run_id) == (0.454, 0.267, "")
    assert "from a number given by the user" in capsys.readouterr().out
    assert "contradicts pi 0.4534" in refusal(desk, "0.3")
    insisted = resolve(desk, "0.3", override=True)
    assert insisted.overridden
    assert "contradicts" in skipped_tag(insisted)["resolve.warnings"]


@pytest.mark.parametrize("version", ["three", "", "-1", "9" * 500])
def test_odd_params_are_refused_not_raised(runs, desk, version):
    contract = {**runs.contract("positive", OTHER_DIGEST, version), "upstream.bce": "../x"}
    runs.run("estimate_prior", contract)
    assert "other training data (digest eeeeeeee, version 0;" in refusal(desk)


def test_a_run_with_nothing_but_the_phase_tag(runs, desk):
    run = runs.client.create_run(runs.experiment_id, tags={"phase": "estimate_prior"})
    assert run.info.run_id in refusal(desk)


def test_unfit_runs_cost_no_download(runs, desk, monkeypatch):
    for mode, digest in (("negative", DIGEST), ("positive", OTHER_DIGEST)):
        runs.prior(runs.bce(mode, digest), mode, digest)
    good = runs.bce()
    runs.prior(good)
    fetched = []
    fetch = desk.track.history.fetch

    def noting(run_id, path):
        fetched.append(run_id)
        return fetch(run_id, path)

    monkeypatch.setattr(desk.track.history, "fetch", noting)
    wanted = request("auto", "positive", TRAIN, desk)
    prior_candidates(snapshot(desk.track.history), wanted, desk.track.history)
    assert fetched == [good]


# --- phase 1 runs ------------------------------------------------------------------------------


def test_bce_run_and_its_verified_checkpoint(runs, desk):
    bce = runs.bce(content=b"the weights")
    runs.bce(status="KILLED", complete=False)
    chosen, facts = resolve_bce(
        request("auto", "positive", TRAIN, desk), snapshot(desk.track.history), desk
    )
    assert chosen.run.run_id == facts.run_id == bce
    assert checkpoint_of(facts, desk).read_bytes() == b"the weights"
    # the file is looked at again when it is used
    runs.write_checkpoint(bce, b"swapped")
    with pytest.raises(BadInput, match=f"run {bce}: checkpoint .*file was changed"):
        checkpoint_of(facts, desk)


def test_no_bce_run(runs, desk):
    runs.bce("negative")
    with pytest.raises(PriorNotResolvable, match="no fit bce_pretrain run for polarity positive"):
        resolve_bce(request("auto", "positive", TRAIN, desk), snapshot(desk.track.history), desk)


# --- writer and reader agree -------------------------------------------------------------------


def test_what_begin_writes_is_what_the_resolver_reads(runs, desk, store_client, monkeypatch):
    """The runs above are written by the tests: this one is written by the project."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_client.tracking_uri)
    with desk.track.child("bce_pretrain positive") as track:
        plan = Plan("bce_pretrain", "positive", desk.stop, {"training": TRAIN}, "f" * 32)
        begin(plan, track)
        (runs.folder / "best.ckpt").write_bytes(b"weights")
        track.artifact(runs.folder / "best.ckpt", "checkpoints")
    facts = desk.track.history.run(track.run_id)
    taken = snapshot(desk.track.history)
    assert [f.run_id for f in taken.pretrained] == [track.run_id]
    seen = lineage.source(facts, desk.track.history, lambda _: True)
    assert (seen.phase, seen.polarity, seen.schema) == ("bce_pretrain", "positive", "spectra/1")
    assert (seen.digest, seen.version, seen.complete) == (DIGEST, 3, True)
    # no checkpoint on record: not one to build on
    with pytest.raises(PriorNotResolvable, match="run has no checkpoint on record"):
        resolve_bce(request("auto", "positive", TRAIN, desk), taken, desk)


# --- the tags ----------------------------------------------------------------------------------


def test_skipped_tag_is_never_cut_silently():
    def chosen(*warnings):
        return ChosenPrior("positive", 0.5, 0.2, 0.4, warnings=warnings)

    assert skipped_tag(chosen()) == {}
    assert skipped_tag(chosen("newer a"), chosen("newer a", "newer b")) == {
        "resolve.skipped": "newer a | newer b"
    }
    long = skipped_tag(chosen(*(f"newer run {i} {'x' * 300}" for i in range(40))))
    assert len(long["resolve.skipped"]) == 5000
    assert long["resolve.skipped"].endswith(" ... (cut; 40 in all)")


@pytest.mark.slow
def test_fifty_estimates_cost_one_reading_of_their_checkpoint(runs, desk, monkeypatch):
    bce = runs.bce()
    ids = [runs.prior(bce) for _ in range(50)]
    read = []
    fetch = desk.track.history.fetch
    monkeypatch.setattr(
        desk.track.history, "fetch", lambda *wanted: read.append(wanted) or fetch(*wanted)
    )
    assert resolve(desk).run_id == ids[-1]
    assert len(read) == 1
