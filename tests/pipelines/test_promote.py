"""Promotion through the real entry: what becomes champion, what does not, and the way back."""

import re
import shlex
import shutil
import threading
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from tests.pipelines.test_server import served  # noqa: F401  (a fixture)
from tests.pipelines.workplace import Workplace

from priorwise.learn.stopping import StopRequest
from priorwise.phases import challenger
from priorwise.phases.gates import Decision, Verdict
from priorwise.phases.succession import Claim, Judgement, Succession
from priorwise.tracking.models import MODEL_FILES, folder_digest
from priorwise.tracking.registry import Registry

NAME = "priorwise-spectra"
GATES = ["load", "lineage", "evaluation", "same_data", "recall", "prior", "degenerate"]
SECONDS = 500


def ok(done):
    assert done.code == 0, done.err + done.out
    return done


def trained(place, **parameters):
    """Phase 3 with priors that fit the tiny tables."""
    given = {"scenario": "censoring", "monitor": "val_loss", **parameters}
    ok(place.phase("nnpu_train", **given))
    return place.run("nnpu_train").info.run_id


def evaluated(place, percentile=5, **parameters):
    """A model with another threshold, evaluated; the evaluate run."""
    ok(place.phase("select_threshold", percentile=percentile))
    ok(place.phase("evaluate", **parameters))
    return place.run("evaluate")


@pytest.fixture(scope="module")
def judged(estimated, simulated, tmp_path_factory) -> Path:
    """Store in which one model of both polarities has been evaluated; nobody writes into it."""
    place = Workplace.copy_of(estimated, tmp_path_factory.mktemp("judged") / "work", simulated)
    for polarity in ("positive", "negative"):
        ok(place.phase("estimate_prior", polarity=polarity, estimator="median"))
    trained(place)
    evaluated(place)
    return place.folder


@pytest.fixture
def place(judged, simulated, tmp_path) -> Workplace:
    return Workplace.copy_of(judged, tmp_path / "work", simulated)


@pytest.fixture
def quick(monkeypatch):
    """Without the fresh process, for tests of what comes after it."""
    monkeypatch.setattr(challenger, "works_alone", lambda folder: "loads")


def aliases(place, name=NAME):
    found = place.client.get_registered_model(name).aliases
    return {alias: str(version) for alias, version in found.items()}


def version(place, number, name=NAME):
    return place.client.get_model_version(name, str(number))


def audit(place, name=NAME):
    tags = place.client.get_registered_model(name).tags
    return [tags[key] for key in sorted(tags) if key.startswith("audit.")]


def registered(place):
    return [m.name for m in place.client.search_registered_models()]


def everything(place):
    """All that the registry holds."""
    models = place.client.search_registered_models()
    versions = [v for m in models for v in place.client.search_model_versions(f"name='{m.name}'")]
    return [str(vars(entity)) for entity in [*models, *versions]]


def failed_gates(place):
    """Of the newest promotion, as its table says."""
    table = pd.read_csv(place.artifact(place.run("promote"), "decision.csv"))
    return list(table.loc[table["result"] == "failed", "gate"])


def refused(place, *gates, **parameters):
    """The promotion ends with 2 and one line that names the gates; the champion stays."""
    before = aliases(place).get("champion") if NAME in registered(place) else None
    done = place.phase("promote", **parameters)
    assert done.code == 2, done.out + done.err
    assert done.err.count("\n") == 1
    for gate in gates:
        assert gate in done.err
    assert failed_gates(place) == list(gates)
    run = place.run("promote")
    assert run.info.status == "FAILED" and run.data.tags["decision"] == "refused"
    if NAME in registered(place):
        assert aliases(place).get("champion") == before
    return done


# --- the good way -------------------------------------------------------------------------------


def test_the_first_champion(place):
    evaluation, model = place.run("evaluate"), place.run("select_threshold")
    done = ok(place.phase("promote"))
    assert "models:/priorwise-spectra@champion is version 1: passed" in done.out
    assert aliases(place) == {"champion": "1"}
    run, found = place.run("promote"), version(place, 1)
    assert found.run_id == model.info.run_id
    tags = found.tags
    for name in ("model.id", "model.sha256"):
        assert tags[name] == model.data.tags[name]
    assert float(tags["threshold"]) == model.data.metrics["threshold"]
    assert tags["rule"] == "percentile 5"
    assert tags["training_run"] == place.run("nnpu_train").info.run_id
    assert tags["threshold_run"] == model.info.run_id
    assert tags["evaluate_run"] == evaluation.info.run_id
    assert tags["eval.digest"] == evaluation.data.tags["data.digest"]
    for name in ("recall", "recall.low", "recall.high", "share_kept", "precision"):
        assert float(tags[name]) == pytest.approx(evaluation.data.metrics[name], rel=1e-5)
    assert tags["decision"] == "passed" and tags["previous_champion"] == "none"
    assert {tags[f"gate.{gate}"] for gate in GATES} == {"passed"}
    assert tags["fingerprint"] == run.data.tags["fingerprint"]

    table = pd.read_csv(place.artifact(run, "decision.csv"))
    assert list(table["gate"]) == GATES and set(table["result"]) == {"passed"}
    assert "| lineage | passed |" in place.artifact(run, "decision.md").read_text()
    assert "fresh process" in table["detail"][0] and "was read again" in table["detail"][1]
    card = place.artifact(run, "model_card.md").read_text()
    for wanted in (tags["training_run"], tags["eval.digest"], tags["model.sha256"], "## Limits"):
        assert wanted in card
    assert found.description.endswith(f"model_card.md of run {run.info.run_id}.")
    assert run.data.tags["upstream.evaluate"] == evaluation.info.run_id
    assert run.data.tags["registered.version"] == "1" and run.data.tags["complete"] == "true"
    assert len(audit(place)) == 1 and run.info.run_id in audit(place)[0]
    assert registered(place) == [NAME], "no lock is left"

    done = ok(place.phase("predict", model=f"models:/{NAME}@champion"))
    assert "rows scored" in done.out


def test_better_back_and_further_back(place, quick):
    ok(place.phase("promote"))
    for percentile in (3, 1):
        evaluated(place, percentile)
        ok(place.phase("promote"))
    assert aliases(place) == {"champion": "3"}
    assert version(place, 3).tags["previous_champion"] == "2"
    done = ok(place.phase("promote", action="rollback"))
    assert "is version 2 again (before: version 3)" in done.out
    ok(place.phase("promote", action="rollback"))
    assert aliases(place) == {"champion": "1"}
    done = place.phase("promote", action="rollback")
    assert done.code == 2 and "has no champion before version 1" in done.err
    assert len(audit(place)) == 5

    before = everything(place)
    done = ok(place.phase("promote", action="show", out=place.folder / "versions.csv"))
    assert everything(place) == before, "show changes nothing"
    shown = pd.read_csv(place.folder / "versions.csv", dtype=str)
    assert list(shown["version"]) == ["3", "2", "1"]
    assert list(shown["alias"].fillna("")) == ["", "", "champion"]
    assert set(shown["decision"]) == {"passed"}
    lines = [line for line in done.out.splitlines() if re.match(r"  00\d  20", line)]
    assert len(lines) == 5 and "rollback" in lines[4] and "champion 2 -> 1" in lines[4]


def test_the_same_model_twice_is_one_version(place, quick):
    ok(place.phase("promote"))
    done = ok(place.phase("promote"))
    assert "is of the champion" in done.out
    assert len(place.client.search_model_versions(f"name='{NAME}'")) == 1
    assert aliases(place) == {"champion": "1"}
    run = place.run("evaluate").info.run_id
    for named in ("1", run, f"models:/{NAME}@champion", f"models:/{NAME}/1",
                  f"models:/{version(place, 1).tags['model.id']}"):  # fmt: skip
        ok(place.phase("promote", version=named))
    assert len(place.client.search_model_versions(f"name='{NAME}'")) == 1


def test_dev_to_prod(place, quick):
    ok(place.phase("promote", name="dev"))
    place.client.set_model_version_tag("dev", "1", "approved.by", "the lab")
    ok(place.phase("promote", name="prod", version="models:/dev@champion"))
    dev, prod = version(place, 1, "dev"), version(place, 1, "prod")
    assert aliases(place, "prod") == {"champion": "1"}
    assert prod.tags["approved.by"] == "the lab"
    assert prod.tags["copied.from"] == prod.source == "models:/dev/1"
    for name in ("model.id", "model.sha256", "threshold", "rule", "recall", "training_run"):
        assert prod.tags[name] == dev.tags[name]
    assert prod.tags["promote_run"] == place.run("promote").info.run_id != dev.tags["promote_run"]
    assert len(audit(place, "prod")) == 1
    ok(place.phase("predict", model="models:/prod@champion"))
    ok(place.phase("promote", name="prod", version="models:/dev/1"))
    assert len(place.client.search_model_versions("name='prod'")) == 1


# --- gates --------------------------------------------------------------------------------------


def test_92_a_worse_one_is_refused_unless_forced(place, quick):
    ok(place.phase("promote"))
    evaluated(place, 60)
    done = refused(place, "recall")
    assert "worse than" in done.out and "champion is 1" in done.err
    assert aliases(place) == {"champion": "1", "challenger": "2"}
    found = version(place, 2)
    assert found.tags["decision"] == "refused" and found.tags["gate.recall"] == "failed"
    assert found.tags["decision.reasons"].startswith("recall: ")
    assert "Decision: refused" in found.description
    ok(place.phase("promote", force="true"))
    assert aliases(place) == {"champion": "2"}
    found = version(place, 2)
    assert found.tags["decision"] == "forced" and found.tags["forced.gates"] == "recall"
    assert '"decision": "forced"' in audit(place)[2]
    ok(place.phase("promote", action="rollback"))
    assert aliases(place) == {"champion": "1"}


def test_another_test_set_than_the_champions(place, quick):
    ok(place.phase("promote"))
    ok(place.phase("simulate", seed=99, out=place.folder / "more data"))
    evaluated(place, 3, test_3=place.folder / "more data" / "test_3")
    done = refused(place, "same_data", "recall")
    command = re.search(r"mlflow run \. -e evaluate (.*)", done.out)[1]
    given = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    assert given["model"] == f"models:/{NAME}/1"
    # as told: the champion on the challenger's table; then the challenger once more
    ok(place.phase("evaluate", **given))
    done = place.phase("promote")
    assert "is of the champion" in done.out
    assert not {"same_data", "lineage", "load"}.intersection(failed_gates(place))
    assert version(place, 2).tags["gate.same_data"] == "passed"


def test_a_prior_given_as_a_number(place, quick):
    trained(place, prior_neg="0.3", override="true", epochs=1)
    evaluated(place)
    done = place.phase("promote")
    assert done.code == 2
    assert {"lineage", "prior"} <= set(failed_gates(place))
    assert "the negative prior was given as a number" in done.out


def test_a_bce_model(place, quick):
    ok(place.phase("evaluate", model=place.run("bce_pretrain", "positive").info.run_id))
    done = place.phase("promote")
    assert done.code == 2
    assert {"lineage", "prior"} <= set(failed_gates(place))
    assert "scores labels, not y" in done.out


def test_a_threshold_chosen_after_the_evaluation(place, quick):
    run = place.run("evaluate")
    model_id = run.data.tags["upstream.model"]
    ok(place.phase("select_threshold", percentile=20))
    done = refused(place, "evaluation", "prior", version=place.run("select_threshold").info.run_id)
    assert "no sound evaluation of model" in done.out
    ok(place.phase("evaluate", model=f"models:/{model_id}", threshold="0.2"))
    ok(place.phase("promote"))  # the evaluation at the stored threshold still counts
    assert version(place, aliases(place)["champion"]).tags["evaluate_run"] == run.info.run_id


@pytest.mark.parametrize(
    ("phase", "how"),
    [("bce_pretrain", "deleted"), ("estimate_prior", "incomplete"), ("nnpu_train", "failed")],
)
def test_90_a_run_behind_it_is_unfit(place, quick, phase, how):
    spoil(place, place.run(phase), how)
    refused(place, "lineage")


@pytest.mark.parametrize("how", ["deleted", "failed"])
def test_90_the_evaluation_is_unfit(place, quick, how):
    run = place.run("evaluate")
    spoil(place, run, how)
    done = place.phase("promote")
    assert done.code == 2 and "no complete evaluate run" in done.err
    done = place.phase("promote", version=run.info.run_id)
    assert done.code == 2 and run.info.run_id in done.err
    assert registered(place) == []
    refused(place, "evaluation", "prior", version=f"models:/{run.data.tags['upstream.model']}")


def spoil(place, run, how):
    if how == "deleted":
        place.client.delete_run(run.info.run_id)
    elif how == "failed":
        place.client.set_terminated(run.info.run_id, "FAILED")
    else:
        place.client.delete_tag(run.info.run_id, "complete")


def test_a_checkpoint_behind_it_was_changed(place, quick):
    path = place.checkpoint(place.run("bce_pretrain", "positive"))
    path.write_bytes(path.read_bytes() + b"x")
    done = refused(place, "lineage")
    assert "checkpoint of its BCE run has changed" in done.out


def test_degenerate(place, quick):
    run = place.run("nnpu_train").info.run_id
    place.client.set_tag(run, "warning.degenerate_kept", "nearly all rows are called positive")
    done = refused(place, "degenerate")
    assert "nearly all rows are called positive" in done.out


# --- loading ------------------------------------------------------------------------------------


def test_89_files_are_gone(place):
    shutil.rmtree(place.model(place.run("select_threshold")))
    for force in ("false", "true"):
        done = refused(place, "load", force=force)
        assert "cannot be read" in done.err
    assert registered(place) == []


def test_89_weights_were_changed(place):
    path = place.network_folder(place.run("select_threshold")) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for force in ("false", "true"):
        assert "they were changed" in refused(place, "load", force=force).err
    assert registered(place) == []


def test_89_it_does_not_load(place):
    entry = place.model(place.run("select_threshold")) / "model_code.py"
    entry.write_text("raise RuntimeError('out of order')")
    for force in ("false", "true"):
        done = refused(place, "load", force=force)
        assert "they were changed" in done.err and "its code is not run" in done.err
        assert "out of order" not in done.err
    # as if it had been logged like that
    model_id = place.run("select_threshold").data.tags["model.id"]
    place.client.set_logged_model_tags(model_id, {MODEL_FILES: folder_digest(entry.parent)})
    for force in ("false", "true"):
        assert "out of order" in refused(place, "load", force=force).err
    assert registered(place) == []


def test_a_champion_that_does_not_load_any_more_is_no_way_back(place):
    ok(place.phase("promote"))
    first = place.model(place.run("select_threshold"))
    evaluated(place, 1)
    ok(place.phase("promote"))
    (first / "model_code.py").unlink()
    done = place.phase("promote", action="rollback")
    assert done.code == 2 and "cannot be used any more" in done.err
    assert aliases(place) == {"champion": "2"} and len(audit(place)) == 2
    # a registered version that is judged again says so, too
    done = place.phase("promote", version="1")
    assert done.code == 2
    assert version(place, 1).tags["gate.load"] == "failed"
    assert version(place, 1).tags["decision"] == "refused"


def test_91_the_champion_was_deleted(place, quick):
    ok(place.phase("promote"))
    place.client.delete_model_version(NAME, "1")
    done = place.phase("predict", model=f"models:/{NAME}@champion")
    assert done.code == 2
    assert "models:/priorwise-spectra@champion" in done.err and done.err.count("\n") == 1
    done = place.phase("promote", action="rollback")
    assert done.code == 2 and "has no champion before this" in done.err
    done = ok(place.phase("promote"))
    assert "the champion is gone" in done.out
    assert aliases(place) == {"champion": "2"}
    assert [re.search(r'"action": "(\w+)"', line)[1] for line in audit(place)] == [
        "promote", "found", "promote",
    ]  # fmt: skip


def test_a_champion_whose_files_are_gone_is_not_better(place, quick):
    ok(place.phase("promote"))
    first = place.model(place.run("select_threshold"))
    evaluated(place, 3)
    shutil.rmtree(first)
    done = refused(place, "same_data", "recall")
    assert "warning: the champion, version 1, cannot be read" in done.out
    ok(place.phase("promote", force="true"))
    assert aliases(place) == {"champion": "2"}


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"name": "a/b"}, "name: 'a/b' (expected letters"),
        ({"name": "a:b"}, "name: 'a:b'"),
        ({"name": "a.lock"}, "the name of a promotion's lock"),
        ({"action": "demote"}, "parameter action: expected one of"),
        ({"version": "99"}, "priorwise-spectra has no version 99 (it has none)"),
        ({"version": "9" * 30}, f"priorwise-spectra has no version {'9' * 30} (it has none)"),
        ({"version": "v1"}, "version: v1 (expected auto, a version number"),
        ({"version": "0" * 32}, "does not exist or is deleted"),
        ({"version": "models:/nobody@champion"}, "the registry has no models:/nobody@champion"),
        ({"version": "models:/nobody/1"}, "the registry has no models:/nobody/1"),
        ({"version": "models:/nobody@v1"}, "models:/nobody@v1"),
        ({"version": "models:/nobody/latest"}, "models:/nobody/latest"),
        ({"version": f"models:/m-{'0' * 32}"}, "does not exist or was deleted"),
        ({"version": "models:/"}, "models:/"),
        ({"action": "rollback"}, "there is no registered model priorwise-spectra"),
        ({"action": "rollback", "version": "x"}, "a rollback goes to auto or a version number"),
        ({"action": "show"}, "there is no registered model priorwise-spectra"),
        ({"action": "show", "force": "true"}, "force: says nothing with action=show"),
        ({}, "no complete evaluate run is in this experiment"),
    ],
)
def test_one_clear_line(workplace, parameters, said):
    done = workplace.phase("promote", **parameters)
    assert done.code == 2
    assert said in done.err and done.err.count("\n") == 1
    assert registered(workplace) == []


def test_a_version_that_names_no_model_of_ours(workplace):
    run = workplace.client.create_run("0")
    workplace.client.create_registered_model(NAME)
    workplace.client.create_model_version(NAME, run.info.artifact_uri, run.info.run_id)
    done = workplace.phase("promote", version="1")
    assert done.code == 2 and "does not say which logged model it is" in done.err
    done = ok(workplace.phase("promote", action="show"))
    assert "READY" in done.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_does_not_undo_a_promotion(place, quick):
    done = ok(place.phase("promote", out="/dev/full"))
    assert "warning: out: /dev/full was not written" in done.out
    assert aliases(place) == {"champion": "1"}
    assert place.run("promote").info.status == "FINISHED"
    ok(place.phase("promote", action="show", out="/dev/full"))


# --- over HTTP, and many at once ----------------------------------------------------------------


@pytest.mark.slow
def test_over_http(served):  # noqa: F811
    for phase in ("bce_pretrain", "estimate_prior"):
        ok(served.phase(phase, **({"estimator": "median"} if phase == "estimate_prior" else {})))
    trained(served, polarities="positive")
    for percentile in (5, 1):
        evaluated(served, percentile)
        done = served.phase("promote", force="true")
        assert done.code == 0, done.err + done.out
        assert {"load", "lineage", "evaluation"}.isdisjoint(failed_gates_over_http(served))
    assert aliases(served) == {"champion": "2"}
    ok(served.phase("promote", action="rollback"))
    assert aliases(served) == {"champion": "1"}
    ok(served.phase("promote", name="prod", version=f"models:/{NAME}@champion", force="true"))
    assert version(served, 1, "prod").tags["copied.from"] == f"models:/{NAME}/1"
    ok(served.phase("predict", model="models:/prod@champion"))
    done = ok(served.phase("promote", action="show"))
    assert "rollback" in done.out
    assert sorted(registered(served)) == ["priorwise-spectra", "prod"]


def failed_gates_over_http(place):
    run = place.run("promote")
    path = mlflow.artifacts.download_artifacts(
        f"runs:/{run.info.run_id}/decision.csv", tracking_uri=place.uri
    )
    table = pd.read_csv(path)
    return list(table.loc[table["result"] == "failed", "gate"])


@pytest.mark.slow
def test_88_twenty_at_once_on_a_server(served):  # noqa: F811
    client, name = served.client, "raced"
    run = client.create_run("0").info.run_id
    models = [client.create_logged_model("0", "model", source_run_id=run) for _ in range(20)]
    for model in models:
        client.finalize_logged_model(model.model_id, "READY")
    decision = Decision("passed", (Verdict("recall", True, "fine"),))
    failures, start = [], threading.Barrier(len(models))

    def promote(number):
        registry = Registry(client, name)
        model_id = models[number].model_id
        claim = Claim(
            lambda: registry.register(model_id, run, {}), lambda *_: Judgement(decision, {}, "card")
        )
        start.wait()
        try:
            succession = Succession(registry, f"run {number}", lambda line: None, StopRequest())
            succession.promote(claim)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=promote, args=(n,)) for n in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    trail = Registry(client, name).trail()
    assert len(trail) == 20 and len({entry.run_id for entry in trail}) == 20
    assert [entry.before for entry in trail] == ["", *(entry.after for entry in trail[:-1])]
    assert aliases(served, name) == {"champion": trail[-1].after}
    assert [n for n in registered(served) if n.startswith(f"{name}.lock")] == []


@pytest.mark.slow
def test_88_real_scripts_at_once(place, project):
    """Four processes promote four models; the audit has no gap, and one of them is champion."""
    runs = [place.run("evaluate").info.run_id]
    runs += [evaluated(place, percentile).info.run_id for percentile in (4, 3, 1)]
    processes = [place.script(project, "promote", version=run, force="true") for run in runs]
    assert [process.wait(SECONDS) for process in processes] == [0] * 4
    trail = Registry(place.client, NAME).trail()
    assert len(trail) == 4 and {entry.decision for entry in trail} <= {"passed", "forced"}
    assert [entry.before for entry in trail] == ["", *(entry.after for entry in trail[:-1])]
    assert aliases(place)["champion"] == trail[-1].after
    assert len(place.client.search_model_versions(f"name='{NAME}'")) == 4
    assert registered(place) == [NAME]
