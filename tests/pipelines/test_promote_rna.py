"""Promotion of RNA models through the real entry, beside spectra models in one store.

Training and evaluation are made up run by run, with numbers at will; the models are real ones with
random weights. One test goes the whole way from a training on synthetic sequences.
"""

import math
import shutil

import mlflow
import pandas as pd
import pytest
from tests.pipelines.workplace import Workplace, own_process
from tests.rna import tiny_network

from priorwise.phases import challenger
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import RNA_SCHEMA, TABLE
from priorwise.rna.structure import pairs_of
from priorwise.rna.table import batches, inspect
from priorwise.store.tables import write_table

NAME, SPECTRA = "priorwise-rna", "priorwise-spectra"
GATES = ["load", "lineage", "evaluation", "same_data", "new_families", "leakage"]
RNA = {"name": NAME}


def table(folder, n=6):
    """Facts of a tiny RNA table."""
    hairpin = pairs_of("(((....)))")
    rows = [RnaRecord(f"r{k}", "GGGAAAACCC", hairpin, "", "TR0") for k in range(n)]
    write_table(str(folder / TABLE), RNA_SCHEMA, batches(rows))
    return inspect(str(folder))[1]


def trained(place, facts, **description) -> str:
    """A run as `rna_pretrain` leaves it; its id."""
    from priorwise.phases.desk import Plan, begin
    from priorwise.phases.rna_model import log_rna_model
    from priorwise.tracking.runs import open_run

    with own_process(place), open_run("rna_pretrain") as track:
        begin(Plan("rna_pretrain", "", None, {"training": facts}, "f" * 32), track)
        said = {"training_run": track.run_id, "training_digest": facts.digest, **description}
        folder = tiny_network.network_folder(place.folder / "networks" / track.run_id, **said)
        log_rna_model(track, folder)
    return track.run_id


def evaluated(place, training, facts, **changes) -> str:
    """A run as `rna_evaluate` leaves it, of the model of a training; its id."""
    from priorwise.phases.desk import Plan, begin
    from priorwise.tracking.runs import open_run

    model_id = place.client.get_run(training).data.tags["model.id"]
    f1 = changes.pop("f1", 0.5)
    found = {"threshold": 0.4, "f1.NEW": f1, "f1.NEW.low": f1 - 0.02, "f1.NEW.high": f1 + 0.02}
    found |= {"precision.NEW": 0.6, "recall.NEW": 0.4, "n.NEW": 100.0, "copy_f1.NEW": 0.02}
    found |= {"rnafold_f1.NEW": 0.64, "leak_exact.NEW": 0.0, "leak_similar.NEW": 0.1}
    found |= {name.replace("__", "."): value for name, value in changes.items()}
    upstream = {"upstream.model": model_id, "upstream.training": training}
    with own_process(place), open_run("rna_evaluate") as track:
        begin(Plan("rna_evaluate", "", None, {"evaluation": facts}, "e" * 32, upstream), track)
        known = {name: value for name, value in found.items() if math.isfinite(value)}
        track.model_metrics(model_id, known, "rna_data", facts.digest)
    return track.run_id


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return table(tmp_path_factory.mktemp("rna"))


@pytest.fixture(scope="module")
def judged(empty_store, data, tmp_path_factory):
    """Store in which one RNA model has been evaluated; nobody writes into it."""
    folder = tmp_path_factory.mktemp("judged") / "work"
    place = Workplace.copy_of(empty_store, folder, folder)
    evaluated(place, trained(place, data), data)
    return place.folder


@pytest.fixture
def place(judged, tmp_path):
    return Workplace.copy_of(judged, tmp_path / "work", tmp_path)


@pytest.fixture
def quick(monkeypatch):
    """Without the fresh process, for tests of what comes after it."""
    monkeypatch.setattr(challenger, "works_alone", lambda folder: "loads")


def ok(done):
    assert done.code == 0, done.err + done.out
    return done


def aliases(place, name=NAME):
    found = place.client.get_registered_model(name).aliases
    return {alias: str(version) for alias, version in found.items()}


def failed_gates(place):
    found = pd.read_csv(place.artifact(place.run("promote"), "decision.csv"))
    return list(found.loc[found["result"] == "failed", "gate"])


def refused(place, *gates, **parameters):
    """The promotion ends with 2 and one line that names the gates."""
    done = place.phase("promote", **{**RNA, **parameters})
    assert done.code == 2 and done.err.count("\n") == 1, done.out + done.err
    assert failed_gates(place) == list(gates), done.out
    return done


def test_the_first_champion(place, data):
    training, evaluation = place.run("rna_pretrain"), place.run("rna_evaluate")
    done = ok(place.phase("promote", **RNA))
    assert "models:/priorwise-rna@champion is version 1: passed" in done.out
    assert aliases(place) == {"champion": "1"}
    run, found = place.run("promote"), place.client.get_model_version(NAME, "1")
    tags = found.tags
    for name in ("model.id", "model.sha256"):
        assert tags[name] == training.data.tags[name]
    assert tags["training_run"] == tags["threshold_run"] == training.info.run_id
    assert tags["evaluate_run"] == evaluation.info.run_id and tags["eval.digest"] == data.digest
    assert tags["schema"] == run.data.params["contract.schema"] == "rna/1"
    assert tags["threshold"] == "0.4" and tags["rule"] == "f1 on VL0"
    assert tags["method"] == "nested" and "features" not in tags and "polarity" not in tags
    assert {name: tags[name] for name in ("f1.NEW", "f1.NEW.low", "copy_f1.NEW")} == {
        "f1.NEW": "0.5",
        "f1.NEW.low": "0.48",
        "copy_f1.NEW": "0.02",
    }
    assert not [name for name in tags if name.startswith(("recall.low", "share_kept"))]
    assert {tags[f"gate.{gate}"] for gate in GATES} == {"passed"}
    decided = pd.read_csv(place.artifact(run, "decision.csv"))
    assert list(decided["gate"]) == GATES
    assert "fresh process" in decided["detail"][0] and "was read again" in decided["detail"][1]
    assert "RNAfold 0.6400 (0.1400 higher)" in decided["detail"][4]
    card = place.artifact(run, "model_card.md").read_text()
    assert training.info.run_id in card and "polarity" not in card.lower()
    assert found.description.endswith(f"model_card.md of run {run.info.run_id}.")
    assert "F1 on NEW 0.5000 (0.4800 to 0.5200)" in found.description
    with own_process(place):
        model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    answer = model.predict(pd.DataFrame({"sequence": ["GGGAAAACCC", "acgt"]}))
    assert list(answer["dot_bracket"].str.len()) == [10, 4]


def test_better_worse_and_back(place, data, quick):
    ok(place.phase("promote", **RNA))
    evaluated(place, trained(place, data), data, f1=0.47)
    done = refused(place, "new_families")
    assert "F1 on NEW 0.4700 (0.4500 to 0.4900), worse than 0.5000" in done.out
    assert aliases(place) == {"champion": "1", "challenger": "2"}
    evaluated(place, trained(place, data), data, f1=0.6)
    ok(place.phase("promote", **RNA))
    assert aliases(place) == {"champion": "3"}
    done = ok(place.phase("promote", **RNA, action="rollback"))
    assert "is version 1 again (before: version 3)" in done.out
    done = ok(place.phase("promote", **RNA, action="show", out=place.folder / "versions.csv"))
    shown = pd.read_csv(place.folder / "versions.csv", dtype=str)
    assert list(shown["version"]) == ["3", "2", "1"]
    assert list(shown["F1 NEW"]) == ["0.6000", "0.4700", "0.5000"]
    assert "recall" not in shown and "rollback" in done.out
    ok(place.phase("promote", **RNA, version="2", force="true"))
    assert aliases(place)["champion"] == "2"
    assert place.client.get_model_version(NAME, "2").tags["forced.gates"] == "new_families"


@pytest.mark.parametrize(
    ("changes", "gates"),
    [
        ({"leak_exact__NEW": 2.0}, ["leakage"]),
        ({"leak_exact__NEW": math.nan}, ["leakage"]),
        ({"f1": 0.01}, ["new_families"]),
        ({"copy_f1__NEW": math.nan}, ["new_families"]),
        ({"threshold": 0.35}, ["evaluation", "new_families", "leakage"]),
    ],
)
def test_what_the_evaluation_found(place, data, quick, changes, gates):
    evaluated(place, place.run("rna_pretrain").info.run_id, data, **changes)
    # where the newer one is unsound, the older one would count
    place.client.delete_run(place.runs("rna_evaluate")[-1].info.run_id)
    refused(place, *gates)
    assert aliases(place) == {"challenger": "1"}


@pytest.mark.parametrize("how", ["deleted", "failed", "incomplete"])
def test_the_training_is_unfit(place, quick, how):
    run = place.run("rna_pretrain").info.run_id
    if how == "deleted":
        place.client.delete_run(run)
    elif how == "failed":
        place.client.set_terminated(run, "FAILED")
    else:
        place.client.delete_tag(run, "complete")
    done = refused(place, "lineage")
    assert "the training run " in done.out


def test_the_training_table_was_made_anew(empty_store, tmp_path, quick):
    place = Workplace.copy_of(empty_store, tmp_path / "work", tmp_path)
    facts = table(tmp_path / "rna")
    evaluated(place, trained(place, facts), facts)
    ok(place.phase("promote", **RNA))
    shutil.rmtree(tmp_path / "rna")
    done = ok(place.phase("promote", **RNA, version="1"))
    assert "is out of reach: not read again" in done.out
    table(tmp_path / "rna", n=7)
    done = refused(place, "lineage", version="1")
    assert "has changed: digest" in done.out


def test_another_table_than_the_champions(place, data, tmp_path, quick):
    ok(place.phase("promote", **RNA))
    other = table(tmp_path / "other", n=9)
    training = trained(place, data)
    evaluated(place, training, other)
    done = refused(place, "same_data", "new_families")
    assert f"-e rna_evaluate -P model=models:/{NAME}/1 -P data={other.uri}" in done.out
    first = place.runs("rna_pretrain")[-1].info.run_id
    evaluated(place, first, other, f1=0.4)  # as told: the champion on the challenger's table
    done = ok(place.phase("promote", **RNA))
    assert "is of the champion" in done.out and aliases(place) == {"champion": "2"}


# --- which pipeline -----------------------------------------------------------------------------


def spectra_model(place) -> str:
    """A run with a spectra model, complete; its id."""
    from tests.serving.conftest import network_folder

    from priorwise.phases.spectra_model import log_spectra_model
    from priorwise.tracking.runs import open_run

    with own_process(place), open_run("nnpu_train") as track:
        folder = network_folder(place.folder / "networks" / track.run_id)
        log_spectra_model(track, folder)
    return track.run_id


def spectra_evaluation(place) -> str:
    from priorwise.phases.desk import Plan, begin
    from priorwise.tracking.runs import open_run

    model_id = place.client.get_run(spectra_model(place)).data.tags["model.id"]
    with own_process(place), open_run("evaluate") as track:
        begin(Plan("evaluate", "both", None, {}, "e" * 32, {"upstream.model": model_id}), track)
    return model_id


def test_auto_takes_the_evaluation_of_the_right_pipeline(place, quick):
    model_id = place.run("rna_pretrain").data.tags["model.id"]
    spectra_id = spectra_evaluation(place)  # newer than the RNA evaluation
    done = ok(place.phase("promote", **RNA))
    assert f"candidate: model {model_id} of rna_evaluate run" in done.out
    done = place.phase("promote", name=SPECTRA)
    assert done.code == 2 and f"candidate: model {spectra_id} of evaluate run" in done.out
    assert "lineage" in failed_gates(place)
    # the default name is still that of spectra
    assert f"candidate: model {spectra_id}" in place.phase("promote").out


def test_a_name_of_ones_own(place, quick):
    ok(place.phase("promote", name="hairpins"))  # only RNA models were evaluated
    assert aliases(place, "hairpins") == {"champion": "1"}
    spectra_evaluation(place)
    done = place.phase("promote", name="more-hairpins")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "more-hairpins has no version yet, and this experiment has runs of evaluate" in done.err
    ok(place.phase("promote", name="hairpins"))  # its champion says which
    run = place.run("rna_evaluate").info.run_id
    ok(place.phase("promote", name="more-hairpins", version=run))


def test_a_registered_model_holds_one_pipeline(place, quick):
    ok(place.phase("promote", **RNA))
    versions = len(place.client.search_model_versions(f"name='{NAME}'"))
    done = place.phase("promote", **RNA, version=spectra_model(place), force="true")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "has schema spectra/1, and priorwise-rna holds models of rna/1" in done.err
    assert "such as name=priorwise-spectra" in done.err
    assert len(place.client.search_model_versions(f"name='{NAME}'")) == versions
    run = place.run("rna_evaluate").info.run_id
    done = place.phase("promote", version=run)  # the name was forgotten
    assert done.code == 2 and "such as name=priorwise-rna" in done.err
    assert [m.name for m in place.client.search_registered_models()] == [NAME]


def test_dev_to_prod(place, quick):
    ok(place.phase("promote", name="dev"))
    ok(place.phase("promote", name="prod", version="models:/dev@champion"))
    prod = place.client.get_model_version("prod", "1")
    assert prod.tags["copied.from"] == "models:/dev/1" and prod.tags["f1.NEW"] == "0.5"
    assert aliases(place, "prod") == {"champion": "1"}


def test_without_any_evaluation(workplace):
    done = workplace.phase("promote", **RNA)
    assert done.code == 2 and "no complete rna_evaluate run is in this experiment" in done.err
    done = workplace.phase("promote", name="something")
    assert done.code == 2 and "no complete evaluate or rna_evaluate run" in done.err


# --- the whole way ------------------------------------------------------------------------------


@pytest.mark.slow
def test_from_a_training_to_a_champion(empty_store, tmp_path):
    place = Workplace.copy_of(empty_store, tmp_path / "work", tmp_path / "rna")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "rna_prepare: {n_train: 150, n_validation: 40, n_test: 40, n_new: 40, max_length: 60}\n"
        "rna_pretrain: {model_size: tiny, pair_channels: 8, pair_dilations: '1,2', num_epochs: 6,"
        " learning_rate: 0.003, warmup_steps: 10, num_workers: 0}\n"
    )
    ok(place.phase("rna_prepare", config=recipe, out=tmp_path / "rna"))
    for phase in ("rna_pretrain", "rna_evaluate"):
        ok(place.phase(phase, config=recipe))
    done = place.phase("promote", **RNA)
    failed = failed_gates(place)
    # six epochs need not beat a copy; all that is on record has to be in order
    assert not {"load", "lineage", "evaluation", "same_data", "leakage"}.intersection(failed), (
        done.out
    )
    ok(place.phase("promote", **RNA, version="1", force="true"))
    with own_process(place):
        model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    found = pd.read_csv(place.artifact(place.run("rna_evaluate"), "predictions_NEW.csv"))
    answer = model.predict(found[["sequence"]])
    assert list(answer["dot_bracket"]) == list(found["predicted"])
