"""Every part of the RNA benchmark, cut to seconds, on synthetic sequences in the files' form."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks import figures, rna, rna_ast, rna_data, rna_goals, rna_runs, tables
from benchmarks.rna_setting import Setting

from priorwise.phases.rna_fit import RnaJob
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.grammar import synthetic_records
from priorwise.rna.predict import predict
from priorwise.rna.saved_model import load_saved_model
from priorwise.rna.structure import dot_bracket

SIZES = {"TR0": 60, "VL0": 6, "TS0": 6, "NEW": 6}
QUICK = [
    *("--epochs", "1", "--rounds", "1", "--jobs", "1", "--seeds", "1", "--threads", "1"),
    *("--set", "pair_dilations=1", "--set", "pair_channels=4"),
    *("--set", "teacher=none"),  # it needs ViennaRNA
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """bprna.csv and archiveII.csv."""
    made = tmp_path_factory.mktemp("rna")
    records = synthetic_records(SIZES, 40, 64, seed=1)
    table = pd.DataFrame(
        {
            "id": [r.id for r in records],
            "sequence": [r.sequence for r in records],
            "structure": [dot_bracket(len(r.sequence), r.pairs) for r in records],
            "source": [r.family for r in records],
            "partition": [r.partition for r in records],
        }
    )
    table.to_csv(made / "bprna.csv", index=False)
    table.rename(columns={"source": "family"}).drop(columns="partition").to_csv(
        made / "archiveII.csv", index=False
    )
    return made


@pytest.fixture(autouse=True)
def threads():
    """The parts set them."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(part, folder, out, *more):
    """Run a part on few sequences; its table and its goals."""
    rna.main([part, "--data", str(folder), "--out", str(out), *QUICK, *more])
    goals = out / f"{part}_goals.csv"
    return pd.read_csv(out / f"{part}.csv"), pd.read_csv(goals) if goals.exists() else None


def test_goals(folder, tmp_path, capsys):
    table, goals = run("goals", folder, tmp_path, "--limit", "8")
    printed = capsys.readouterr().out
    assert table["epoch"].tolist() == [1]
    assert len(goals) == 8 and "8 sequences of TR0" in printed and "must reach" in printed
    judged = goals[goals["goal"] == "MLM accuracy, last epoch"].iloc[0]
    assert judged["value"] == pytest.approx(table["MLM accuracy"].iloc[0])
    assert judged["must reach"] == "> 0.35"
    assert (tmp_path / "goals.png").stat().st_size > 1000


def test_published(folder, tmp_path):
    table, goals = run("published", folder, tmp_path, "--limit", "16")
    assert table["line"].tolist() == [
        *("published, focal", "published, BCE", "published, AST"),
        *("ours, bilinear", "ours, bilinear, masked input", "ours, conv"),
    ]
    assert (table["CPU s"] > 0).all() and table["ap"].between(0, 1).all()
    ap = table.set_index("line")["ap"]
    shown = goals.set_index("goal")["value"]["ours, conv: AP ratio"]
    assert shown == pytest.approx(ap["ours, conv"] / ap["published, focal"])


def test_speed(folder, tmp_path):
    table, goals = run("speed", folder, tmp_path, "--limit", "2")
    assert table["line"].iloc[0] == "published, padded to 512"
    assert (table["median samples/s"] > 0).all() and table["x published"].iloc[0] == 1
    ours = table.set_index("line")["x published"]["ours, same model"]
    assert goals["value"].iloc[0] == pytest.approx(ours) and ours > 1


def test_ast(folder, tmp_path):
    table, goals = run("ast", folder, tmp_path, "--limit", "20", "--preference", "0,2")
    lines = table.set_index("line")
    assert list(lines.index) == [
        "all rows",
        *(
            f"40 %, preference {p}, {how}"
            for how in ("as many epochs", "same time")
            for p in (0, 2)
        ),
    ]
    assert lines["activation"].round(2).tolist() == [1, *[0.4] * 4]
    assert lines["epochs"]["40 %, preference 0, same time"] >= 1
    assert len(goals) == 5
    rows = pd.read_csv(tmp_path / "ast_seeds.csv")
    assert (rows[rows["line"] == "all rows"][["x samples/s", "x seconds"]] == 1).all(axis=None)


def test_ablation(folder, tmp_path):
    table, _ = run("ablation", folder, tmp_path, "--limit", "4")
    lines = table.set_index("line")
    assert lines["val_f1 gain"]["base"] == 0 and lines["cut_f1 gain"]["base"] == 0
    assert {"bilinear head, same time", "sparse training, 40 %, same time"} <= set(lines.index)
    np.testing.assert_allclose(
        lines["cut_f1 gain"], lines["cut_f1"] - lines["cut_f1"]["base"], atol=1e-12
    )


def test_final_keeps_its_model_and_a_checkpoint_is_only_evaluated(folder, tmp_path, capsys):
    trained, goals = run("final", folder, tmp_path, "--limit", "6")
    kept = tmp_path / "final"
    model = load_saved_model(kept / "model")
    assert model.description["rule"] == "best strict F1 on VL0"
    for name in ("history.csv", "training_metrics.csv"):
        assert (kept / "network_1" / name).exists()
    for name in ("threshold_curve.csv", "reading.csv"):
        assert (kept / name).exists()
    of_model = trained[trained["method"] == "model"].set_index("partition")
    assert list(of_model.index) == ["VL0", "CUT", "TS0", "NEW"] and (of_model["n"] == 6).all()
    assert {"copy", "(REDfold)"} <= set(trained["method"])
    assert goals["must reach"].dropna().tolist()[:2] == [">= 0.68", ">= 0.57"]
    assert "within 30 min" in capsys.readouterr().out
    checkpoints = [
        next((kept / n / "checkpoints").glob("best*")) for n in ("network_1", "network_2")
    ]
    for given in (",".join(map(str, checkpoints)), kept / "model"):
        again, _ = run("final", folder, tmp_path / "again", "--limit", "6", f"--checkpoint={given}")
        pd.testing.assert_frame_equal(trained, again)
    assert "not trained here" in capsys.readouterr().out


def test_final_joins_trainings_that_run_side_by_side(folder, tmp_path, capsys):
    run("final", folder, tmp_path, "--limit", "4", "--jobs", "2")
    said = capsys.readouterr().out
    assert "network_1: seed 1," in said and "network_2: seed 2," in said
    assert said.count("kept epoch 1 of 1") == 2
    model = load_saved_model(tmp_path / "final" / "model")
    one, other = (weights.pairs.out.weight for weights in model.network.each)
    assert not torch.equal(one, other)


def test_final_with_a_teacher(folder, tmp_path):
    pytest.importorskip("RNA", reason="ViennaRNA (the extra `rna`) is not installed")
    run("final", folder, tmp_path, "--limit", "4", "--set", "teacher=turner2004")
    model = load_saved_model(tmp_path / "final" / "model")
    assert all(member.pairs.folding is not None for member in model.network.each)
    assert model.features == ()
    tried = pd.read_csv(tmp_path / "final" / "reading.csv")
    assert model.folding_weight in set(tried["folding_weight"]) > {0}


def test_final_with_feature_maps(folder, tmp_path):
    pytest.importorskip("RNA", reason="ViennaRNA (the extra `rna`) is not installed")
    rna.main(
        [
            *("final", "--data", str(folder), "--out", str(tmp_path), *QUICK),
            *("--limit", "4", "--features", "turner2004,langdon2018"),
        ]
    )
    table = pd.read_csv(tmp_path / "final_turner2004_langdon2018.csv")
    assert {"model", "rnafold", "mean bpp > .5"} <= set(table["method"])
    model = load_saved_model(tmp_path / "final_turner2004_langdon2018" / "model")
    assert model.features == ("turner2004", "langdon2018")


def test_epochs_are_fewer_where_the_recipe_does_not_fit(folder, tmp_path, monkeypatch):
    from benchmarks import rna_final

    monkeypatch.setattr(rna_final, "TRIAL", 16)
    setting = Setting(rna_data.Source(folder), given={"model_size": "tiny", "pair_dilations": "1"})
    job = RnaJob(
        setting.options({"num_epochs": 50}), setting.rows("TR0"), setting.rows("VL0"), tmp_path
    )
    assert rna_final.affordable(job, 1e-6) == 1
    assert rna_final.affordable(job, 1e6) == 50


def test_the_cut_is_that_of_rna_prepare(folder):
    from priorwise.rna.partitions import cut_out

    rows = rna_data.bprna(folder / "bprna.csv", 99, 0.1, 1)
    records = synthetic_records(SIZES, 40, 64, seed=1)
    expected = {r.id for r in cut_out(records, 0.1, 1) if r.partition == "CUT"}
    found = {name for name, part in zip(rows.ids, rows.partitions, strict=True) if part == "CUT"}
    assert found == expected and found


def test_parts_of_archive_have_no_sequence_in_common(tmp_path):
    table = pd.DataFrame(
        {
            "id": [str(k) for k in range(40)],
            "sequence": [f"GGGAAAACCC{'ACGU'[k % 4] * (k // 2 + 1)}" for k in range(40)],
            "structure": [f"(((....))){'.' * (k // 2 + 1)}" for k in range(40)],
            "family": "f",
        }
    )
    pd.concat([table, table]).to_csv(tmp_path / "archiveII.csv", index=False)
    train, test = rna_data.archive(tmp_path / "archiveII.csv", 128, 25, 15, seed=1)
    assert len(set(train.sequences()) | set(test.sequences())) == 40
    with pytest.raises(SystemExit, match="40 different sequences"):
        rna_data.archive(tmp_path / "archiveII.csv", 128, 30, 15, seed=1)


def test_missing_data_are_an_error_and_nothing_else(tmp_path):
    with pytest.raises(SystemExit, match="bprna.csv is not there.*--data"):
        rna.main(["goals", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["all"], "no such part"),
        (["ast", "--preference", "high"], "expected numbers"),
        (["goals", "--set", "num_epochs"], "expected NAME=VALUE"),
        (["final", "--checkpoint", "nowhere.ckpt"], "is not there"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_runs(arguments, said, capsys):
    with pytest.raises(SystemExit):
        rna.main(arguments)
    assert said in capsys.readouterr().err


def test_unknown_options_are_named(folder):
    for text, said in (("num_epoch=3", "no such parameter"), ("num_epochs=x", "expected int")):
        with pytest.raises(SystemExit, match=said):
            rna.main(["goals", "--data", str(folder), "--set", text])


def test_a_goal_is_reached_or_not():
    goal = tables.Goal("", 0.7, 0.68, 0.72)
    assert goal.reached == "yes"
    assert replace(goal, value=0.72).reached == "stretch"
    assert replace(goal, value=0.679).reached == replace(goal, value=float("nan")).reached == "no"
    assert tables.Goal("", 1.79, 1.8, sign="<").reached == "yes"
    assert tables.Goal("", 1.8, 1.8, sign="<").reached == "no"
    assert tables.Goal("", 0.5).reached == ""


def history(f1, **others):
    columns = {"val_pair_precision": 0.2, "val_pair_recall": 0.2, "val_mlm_accuracy": 0.4}
    columns |= {"val_structure_accuracy": 0.7, "val_loss_seed": 1.7}
    return pd.DataFrame({"val_pair_f1": f1, **columns, **others})


def test_the_seeds_goals_see_a_collapse():
    good = [g.reached for g in rna_goals.goals(history([0.02, 0.2, 0.3, 0.29, 0.31]))]
    assert good == [*["yes"] * 7, ""]
    collapsed = rna_goals.goals(history([0.02, 0.2, 0.3, 0.0, 0.31]))
    assert [g.reached for g in collapsed][1] == "no" and collapsed[4].reached == "no"
    short = rna_goals.goals(history([0.02]))
    assert short[0].reached == "yes" and short[1].reached == short[4].reached == "no"


def test_sparse_lines_are_paired_by_seed():
    rows = pd.DataFrame(
        {
            "line": ["all rows", "all rows", "a", "a"],
            "seed": [1, 2, 2, 1],
            "samples/s": [10.0, 20.0, 50.0, 22.0],
            "seconds": [4.0, 2.0, 1.0, 2.0],
            "val_f1": [0.5, 0.6, 0.61, 0.48],
            "cut_f1": [0.1, 0.2, 0.2, 0.1],
        }
    )
    found = rna_ast.paired(rows)
    assert found["x samples/s"].tolist() == [1, 1, 2.5, 2.2]
    assert found["val_f1 gain"].round(6).tolist() == [0, 0, 0.01, -0.02]


def test_another_preference_changes_the_choice_and_nothing_else(folder, tmp_path):
    rows = rna_data.bprna(folder / "bprna.csv", 99, 0.1, 1)
    options = RnaPretrain(use_ast=True)
    usual = RnaJob(options, rows, rows, tmp_path).selection()
    found = rna_runs.PreferringJob(options, rows, rows, tmp_path, preference=2.0).selection()
    assert found.preference == 2 and usual.preference == 1
    assert (found.target, found.revisit, found.seed) == (usual.target, usual.revisit, usual.seed)
    plain = rna_runs.PreferringJob(RnaPretrain(), rows, rows, tmp_path, preference=2.0)
    assert plain.selection() is None


def test_scores_of_perfect_probabilities_are_perfect(folder):
    rows = rna_data.bprna(folder / "bprna.csv", 99, 0.1, 1).of_partition("VL0")

    def perfect():
        for row in range(len(rows)):
            cells = np.zeros((rows.lengths[row],) * 2, np.float32)
            i, j = rows.pairs_of_row(row).T
            cells[i, j] = cells[j, i] = 1
            yield row, cells

    found = rna_runs.decoded(perfect(), rows)
    assert found["ap"] == found["decoded_f1"] == found["best_f1"] == 1


def test_validation_is_that_of_the_training(folder, tmp_path):
    """The metrics that the last epoch logged, told again from its network."""
    rows = rna_data.bprna(folder / "bprna.csv", 99, 0.1, 1)
    train, judged = rows.of_partition("TR0"), rows.of_partition("VL0")
    options = RnaPretrain(model_size="tiny", pair_dilations="1", num_epochs=1, warmup_steps=0)
    done = rna_runs.train(RnaJob(options, train, judged, tmp_path))
    found = rna_runs.validated(done.network(last=True), judged, options.seed)
    logged = done.history.iloc[-1]
    for name in ("mlm_accuracy", "structure_accuracy", "pair_f1", "structure_loss", "pair_loss"):
        if name != "pair_loss":  # that one is on the seed's scale
            assert found[name] == pytest.approx(logged[f"val_{name}"], abs=1e-5), name
    assert found["loss"] == pytest.approx(logged["val_loss_seed"], abs=1e-5)
    assert len(list(predict(done.network(), judged))) == len(judged)
    assert done.seconds < done.wall


def test_numbers_are_readable_and_lines_without_groups_have_no_rules():
    table = pd.DataFrame({"line": ["a", "b"], "n": [1, 200], "x": [0.12345, 1234.5]})
    assert tables.shown(table).splitlines() == [
        "line  n    x",
        "-----------------",
        "a       1  0.1235",
        "b     200    1234",
    ]


def test_figures_have_all_lines():
    table = pd.DataFrame({"line": ["a", "a", "b"], "x": [1.0, 2.0, 3.0]})
    (axes,) = figures.dots(table, "line", {"x": "x"}, "title", ours=["a"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
