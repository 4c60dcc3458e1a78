"""A grid of RNA trainings as nested runs, reused when asked for again."""

import io

import pandas as pd
import pytest
from tests.pipelines.workplace import Workplace

RECIPE = """
rna_prepare: {n_train: 60, n_validation: 12, n_test: 12, n_new: 12, max_length: 45}
rna_pretrain: {model_size: tiny, num_epochs: 1, pair_channels: 4, pair_dilations: "1",
               warmup_steps: 2, learning_rate: 0.004, batch_size: 16}
"""


@pytest.fixture
def place(empty_store, tmp_path) -> Workplace:
    (tmp_path / "rna.yaml").write_text(RECIPE)
    return Workplace.copy_of(empty_store, tmp_path / "work", tmp_path)


def sweep(place, **parameters):
    given = {"config": place.data / "rna.yaml", "data": "synthetic"}
    return place.phase("rna_sweep", **given, **parameters)


def test_every_pair_of_values_is_a_nested_run(place):
    out = place.folder / "sweep.csv"
    done = sweep(place, focal_alpha="0.5,0.75", pair_loss_weight="1.5", out=out)
    assert done.code == 0, done.err
    parent = place.run("rna_sweep")
    trained = place.runs("rna_pretrain")
    assert len(trained) == 2
    assert {r.data.tags["mlflow.parentRunId"] for r in trained} == {parent.info.run_id}
    assert {float(r.data.params["cfg.focal_alpha"]) for r in trained} == {0.5, 0.75}
    table = pd.read_csv(out)
    assert table["focal_alpha"].tolist() == [0.5, 0.75]
    best = table.loc[table["best.selection_f1"].idxmax(), "run id"]
    assert parent.data.tags["best.run"] == best
    logged = place.artifact(parent, "sweep.csv").read_text()
    assert pd.read_csv(io.StringIO(logged)).equals(table)

    # one value more: only that one is trained
    again = sweep(place, focal_alpha="0.5,0.75,0.9", pair_loss_weight="1.5")
    assert again.code == 0, again.err
    assert len(place.runs("rna_pretrain")) == 3
    assert again.out.count("reused: run ") == 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"focal_alpha": "0.5,x"}, "focal_alpha: '0.5,x' (expected numbers"),
        ({"focal_alpha": "0.5,0.5"}, "names a value twice"),
        ({"pair_loss_weight": "1.5,-1"}, "pair_loss_weight: -1.0"),
        ({"focal_alpha": "1.5"}, "focal_alpha: 1.5"),
    ],
)
def test_bad_values_are_refused_before_any_training(place, parameters, said):
    done = sweep(place, **parameters)
    assert done.code == 2
    assert said in done.err and len(done.err.strip().splitlines()) == 1
    assert not place.runs("rna_pretrain")
