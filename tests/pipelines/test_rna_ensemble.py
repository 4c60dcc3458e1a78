"""Several trainings as one model: made, evaluated, answered with; and what does not go together."""

import pandas as pd
import pytest
import torch
from tests.pipelines.test_rna_pretrain import ok, started, table
from tests.pipelines.test_rna_pretrain import phase as rna_phase
from tests.rna.made import batch_of, hairpins, joined

from priorwise.phases import rna_evaluate, rna_pretrain
from priorwise.rna.calibration import DISCOUNTS, PENALTIES, STEM_WEIGHTS
from priorwise.rna.opinions import opinions
from priorwise.rna.saved_model import load_saved_model
from priorwise.rna.schema import TABLE
from priorwise.rna.table import inspect


def phase(place, name, **parameters):
    given = {"data": place.data / "table"} if name == "rna_ensemble" else {}
    return rna_phase(place, name, **given | parameters)


def rows(seed=1):
    return joined(hairpins(24, seed), hairpins(8, seed + 1, "VL0"), hairpins(5, seed + 2, "CUT"))


@pytest.fixture(scope="module")
def trained(empty_store, tmp_path_factory):
    """Two trainings on one table, one on another, and an ensemble of the first two."""
    place = started(empty_store, tmp_path_factory.mktemp("ensemble"))
    table(place, rows())
    table(place, rows(7), "other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rna_pretrain, "FIGURES", {})
        patch.setattr(rna_evaluate, "figures", lambda *arguments: iter(()))
        runs = []
        for given in ({"seed": 1}, {"seed": 2, "pair_channels": 4}, {"data": place.data / "other"}):
            ok(phase(place, "rna_pretrain", **given))
            known = {run.info.run_id for run in place.runs("rna_pretrain")}
            runs += known - set(runs)
        other = runs.pop()
        said = ok(phase(place, "rna_ensemble", runs=",".join(runs)))
        ok(phase(place, "rna_evaluate", partitions="VL0,CUT"))
    return place, runs, other, said


def first(place):
    """The ensemble that the fixture made."""
    return min(place.runs("rna_ensemble"), key=lambda run: run.info.start_time)


def model_of(place, run):
    return load_saved_model(place.network_folder(run))


def runs_of(place, ids):
    known = {run.info.run_id: run for run in place.runs("rna_pretrain")}
    return [known[run_id] for run_id in ids]


def test_it_answers_with_the_mean_of_its_members(trained):
    place, runs, _, _ = trained
    both = model_of(place, first(place))
    members = [model_of(place, run) for run in runs_of(place, runs)]
    batch = batch_of(rows())
    with torch.no_grad():
        found, *each = (
            opinions(m.network(batch.tokens, batch.present), batch.present).learned
            for m in (both, *members)
        )
    torch.testing.assert_close(found, (each[0] + each[1]) / 2, atol=1e-6, rtol=1e-4)
    assert not torch.allclose(each[0], each[1], atol=1e-3)


def test_its_reading_is_chosen_again_and_said(trained):
    place, runs, _, said = trained
    run = first(place)
    model, metrics = model_of(place, run), run.data.metrics
    assert model.threshold == metrics["threshold"]
    assert model.decoder.noncanonical_penalty == metrics["noncanonical_penalty"] in PENALTIES
    assert model.decoder.stem_weight == metrics["stem_weight"] in STEM_WEIGHTS
    assert model.decoder.doubt_discount == metrics["doubt_discount"] in DISCOUNTS
    assert model.folding_weight == metrics["folding_weight"] == 0  # no teacher, no features
    tried = pd.read_csv(place.artifact(run, "reading.csv"))
    assert sorted(set(tried["noncanonical_penalty"])) == sorted(PENALTIES)
    assert len(tried) == len(PENALTIES) * len(STEM_WEIGHTS) * len(DISCOUNTS)
    assert {"VL0", "CUT"} <= set(tried)
    curve = pd.read_csv(place.artifact(run, "threshold_curve.csv"))
    assert metrics["val_strict_f1_at_threshold"] == pytest.approx(curve["f1"].max())
    assert "2 networks in one model" in said.out + said.err


def test_it_is_bound_to_its_members_and_its_table(trained):
    place, runs, _, _ = trained
    run = first(place)
    _, facts = inspect(str(place.data / "table" / TABLE))
    tags = run.data.tags
    assert tags["complete"] == "true" and tags["members"] == "2"
    logged = [r.data.tags["model.id"] for r in runs_of(place, runs)]
    assert [tags["upstream.member.0"], tags["upstream.member.1"]] == logged
    description = model_of(place, run).description
    assert description["training_digest"] == facts.digest
    assert description["training_run"] == run.info.run_id
    assert description["train_partition"] == "TR0"


def test_evaluation_takes_the_newest_model_and_knows_what_it_was_trained_on(trained):
    place, _, _, _ = trained
    judged = place.run("rna_evaluate")
    assert judged.data.tags["upstream.model"] == first(place).data.tags["model.id"]
    report = pd.read_csv(place.artifact(judged, "evaluation.csv"))
    assert report["part"].tolist() == ["VL0", "CUT"]
    assert report["leak_exact"].notna().all()


def test_an_ensemble_may_be_a_member(trained):
    place, runs, _, _ = trained
    ensemble = first(place).info.run_id
    ok(phase(place, "rna_ensemble", runs=f"{ensemble},{runs[0]}", seed=5))
    sizes = [len(model_of(place, run).network.each) for run in place.runs("rna_ensemble")]
    assert sorted(sizes) == [2, 3]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"runs": ""}, "runs: '' (expected two or more different run ids"),
        ({"runs": "{0}"}, "expected two or more different run ids"),
        ({"runs": "{0},{0}"}, "expected two or more different run ids"),
        ({"runs": "{0},{2}"}, "was trained on a table with digest"),
        ({"runs": "{0}," + "f" * 32}, "f" * 32),
        ({"runs": "{0},{1}", "val_partition": "TR0"}, "val_partition: TR0 was trained on"),
        ({"runs": "{0},{1}", "val_partition": "NEW"}, "no sequence with a structure in NEW"),
        ({"runs": "{0},{1}", "folding_weight": "2"}, "folding_weight: 2"),
    ],
)
def test_what_does_not_go_together_is_one_line(trained, given, words):
    place, runs, other, _ = trained
    given = {k: v.format(*runs, other) for k, v in given.items()}
    done = phase(place, "rna_ensemble", **given)
    assert done.code == 2 and words in done.err, done.err
    assert len(done.err.strip().splitlines()) == 1
