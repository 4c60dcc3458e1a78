"""RNA tables, from the grammar and from files, with what a run says about them."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tests.pipelines.workplace import Workplace, own_process
from tests.rna.test_partitions import families

from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.desk import Recipe
from priorwise.phases.rna_data import RnaPrepare, data_folder, read_rna
from priorwise.rna.clusters import RELATED
from priorwise.rna.read_rows import load_rows
from priorwise.rna.schema import SCHEMA_NAME
from priorwise.rna.similarity import nearest
from priorwise.rna.table import inspect

SMALL = {"n_train": 60, "n_validation": 12, "n_test": 12, "n_new": 12}
#: tests of files have a recipe of their own
NO_RECIPE = {"config": ""}


@pytest.fixture
def place(empty_store, tmp_path) -> Workplace:
    return Workplace.copy_of(empty_store, tmp_path / "work", tmp_path)


def prepared(place, **parameters):
    done = place.phase("rna_prepare", **NO_RECIPE, **parameters)
    assert done.code == 0, done.err
    return done, place.run("rna_prepare")


def refused(place, **parameters):
    done = place.phase("rna_prepare", **NO_RECIPE, **parameters)
    assert done.code == 2, done.out
    return done.err


def csv_artifact(place, run, name):
    return pd.read_csv(io.StringIO(place.artifact(run, name).read_text()))


def write_csv(path, records, partition=True):
    """Records as a CSV whose bases pair two and two from the ends, where they can."""
    rows = [
        {
            "id": f"{r.partition}-{r.id}",
            "sequence": r.sequence,
            "structure": "(" + "." * (len(r.sequence) - 2) + ")",
            "family": r.family,
            **({"partition": r.partition} if partition else {}),
        }
        for r in records
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


# --- synthetic ------------------------------------------------------------------------------------


def test_synthetic_sequences_become_a_table_that_the_run_describes(place, tmp_path):
    done, run = prepared(place, **SMALL, out=tmp_path / "rna")
    assert "synthetic RNA: making a table" in done.out
    _, facts = inspect(str(tmp_path / "rna"))
    assert facts.source == "synthetic"
    assert facts.n_rows() == facts.n_labelled() == 96
    assert facts.n_rows("TR0") + facts.n_rows("CUT") == 60 and 4 <= facts.n_rows("CUT") <= 6
    assert not set(facts.family_counts("NEW")) & set(facts.family_counts("TR0"))
    tags, metrics = run.data.tags, run.data.metrics
    assert tags["complete"] == "true" and tags["schema"] == SCHEMA_NAME
    assert run.data.params["contract.schema"] == SCHEMA_NAME
    assert tags["data.digest"] == facts.digest and facts.digest in done.out
    assert tags["data.source"] == "synthetic"
    for partition in facts.partitions:
        assert metrics[f"rows.{partition}"] == facts.n_rows(partition)
        assert metrics[f"pairs.{partition}"] == facts.n_pairs(partition)
        assert metrics[f"non_canonical.{partition}"] == 0
    pairs = [name for name in metrics if name.startswith("leak.exact.")]
    assert len(pairs) == 10 and not any(metrics[name] for name in pairs)
    assert metrics["leak.kmer_highest.TR0_CUT"] < RELATED
    overlap = csv_artifact(place, run, "overlap.csv")
    assert overlap.loc[0, ["first", "second"]].tolist() == ["TR0", "VL0"]
    assert metrics["leak.kmer_mean.TR0_VL0"] == pytest.approx(overlap.loc[0, "mean"])
    families_of = csv_artifact(place, run, "families.csv")
    assert families_of["rows"].sum() == 96


def test_the_tables_of_the_page_are_aligned(place, tmp_path):
    done, _ = prepared(place, **SMALL, out=tmp_path / "rna")
    lines = done.out.splitlines()
    start = next(k for k, line in enumerate(lines) if line.strip().startswith("partition"))
    assert len({len(line) for line in lines[start : start + 6]}) == 1
    start = next(k for k, line in enumerate(lines) if line.strip().startswith("first"))
    assert len({len(line) for line in lines[start : start + 11]}) == 1


def test_without_out_the_parameters_name_the_folder_and_it_is_made_once(place):
    first, run = prepared(place, **SMALL)
    folder = place.folder / run.data.tags["data.folder"]
    assert folder.parent == place.folder / ".priorwise" / "rna"
    again, second = prepared(place, **SMALL)
    assert "in .priorwise/rna" in again.out and "already: nothing is written" in again.out
    assert second.data.tags["data.digest"] == run.data.tags["data.digest"]
    assert second.data.metrics == run.data.metrics
    _, other = prepared(place, **SMALL, seed=2)
    assert other.data.tags["data.folder"] != run.data.tags["data.folder"]
    assert other.data.tags["data.digest"] != run.data.tags["data.digest"]
    assert other.data.tags["fingerprint"] != run.data.tags["fingerprint"]
    assert second.data.tags["fingerprint"] == run.data.tags["fingerprint"]


def test_a_table_of_other_rows_is_never_overwritten(place, tmp_path):
    out = tmp_path / "rna"
    _, run = prepared(place, **SMALL, out=out)
    message = refused(place, **SMALL, out=out, seed=2)
    assert "a table of other rows is already there" in message and str(out) in message
    assert inspect(str(out))[1].digest == run.data.tags["data.digest"]


def test_a_folder_that_cannot_be_written_is_a_clear_error(place, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(place, **SMALL, out=tmp_path / "file")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "files"}, "inputs: nothing given"),
        ({"inputs": "x.csv"}, "inputs: given with source=synthetic"),
        ({"source": "dummy"}, "source: expected one of"),
        ({"source": "files", "inputs": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({"cut": 0.7}, "cut: 0.7"),
        ({"split": "0.8,0.2"}, "split: '0.8,0.2' (expected three numbers"),
        ({"split": "0.8,0.2,0.2"}, "split: 0.8,0.2,0.2 (expected shares that add up to 1"),
        ({"split": "0,0.5,0.5"}, "training > 0"),
        ({"n_train": 5}, "n_train: 5"),
        ({"n_new": 0}, "n_new: 0"),
        ({"max_length": 20}, "max_length: 20 (expected an integer >= 41)"),
        ({"min_length": 90}, "max_length: 80 (expected an integer >= 90)"),
        ({"bad_rows": "ignore"}, "bad_rows: expected one of"),
        ({"sequences": "x"}, "unknown parameter"),
    ],
)
def test_parameters_out_of_range_are_refused(place, given, message):
    assert message in refused(place, **given)
    assert not list(place.folder.glob("**/rna_data"))


# --- files ----------------------------------------------------------------------------------------


def test_partitions_that_a_file_names_are_used_and_copies_reported(place, tmp_path):
    rng = np.random.default_rng(1)
    train = families(rng, 30, 4, 0.1, "TR0")
    test = families(rng, 5, 2, 0.1, "TS0")
    # three sequences of the training under other names
    copies = [r.__class__("c" + r.id, r.sequence, r.pairs, r.family, "TS0") for r in train[:3]]
    write_csv(tmp_path / "in.csv", [*train, *test, *copies])
    done, run = prepared(
        place, source="files", inputs=tmp_path / "in.csv", out=tmp_path / "rna", cut=0
    )
    metrics = run.data.metrics
    assert (metrics["rows.TR0"], metrics["rows.TS0"]) == (120, 13)
    assert "rows.CUT" not in metrics
    assert metrics["leak.exact.TR0_TS0"] == 3
    assert metrics["leak.kmer_highest.TR0_TS0"] == 1
    assert metrics["leak.kmer.TR0_TS0"] >= 3 / 13
    assert "warning: " in done.out and "3 of them an exact one" in done.out
    assert csv_artifact(place, run, "overlap.csv")["exact"].tolist() == [3]
    assert run.data.metrics["bad_rows"] == 0
    assert inspect(str(tmp_path / "rna"))[1].source == "files"


def test_the_cut_is_far_from_what_stays(place, tmp_path):
    write_csv(tmp_path / "in.csv", families(np.random.default_rng(2), 50, 4, 0.1, "TR0"))
    prepared(place, source="files", inputs=tmp_path / "in.csv", out=tmp_path / "rna", cut=0.2)
    pinned, facts = inspect(str(tmp_path / "rna"))
    assert facts.n_rows("CUT") == 40
    rows = {name: load_rows(pinned, [name], None)[0] for name in ("TR0", "CUT")}
    sequences = {name: [r.sequence(k) for k in range(len(r))] for name, r in rows.items()}
    assert nearest(sequences["TR0"], sequences["CUT"])[1].max() < RELATED


def test_without_partitions_they_are_drawn(place, tmp_path):
    write_csv(tmp_path / "in.csv", families(np.random.default_rng(3), 60, 2, 0.05), partition=False)
    _, run = prepared(
        place,
        source="files",
        inputs=tmp_path / "in.csv",
        out=tmp_path / "rna",
        split="0.7,0.1,0.2",
        cut=0,
    )
    metrics = run.data.metrics
    assert [metrics[f"rows.{p}"] for p in ("TR0", "VL0", "TS0")] == [84, 12, 24]
    assert metrics["leak.kmer.TR0_TS0"] == 0


def test_partitions_for_some_records_only_are_refused(place, tmp_path):
    (tmp_path / "in.csv").write_text("id,sequence,partition\na,ACGU,TR0\nb,ACGG,\n")
    message = refused(place, source="files", inputs=tmp_path / "in.csv", out=tmp_path / "rna")
    assert "1 of 2 records have no partition, the first is b" in message
    assert not (tmp_path / "rna").exists()


BAD = """id,sequence,structure,partition
a,GGAAACC,((...)),TR0
b,GGAAACC,((...).,TR0
c,GGRAACC,((...)),TR0
d,GGYAACC,((...)),TR0
e,GCAAAGC,((...)),VL0
a,GGAAAGC,.......,VL0
"""


def test_bad_rows_are_refused_with_their_place(place, tmp_path):
    (tmp_path / "in.csv").write_text(BAD)
    message = refused(place, source="files", inputs=tmp_path / "in.csv", out=tmp_path / "rna")
    assert "in.csv: line 3 (b): unbalanced brackets" in message and "3 more" in message
    run = place.run("rna_prepare")
    assert run.info.status == "FAILED" and run.data.tags["exit.code"] == "2"
    assert not (tmp_path / "rna").exists()


def test_bad_rows_are_dropped_counted_and_listed(place, tmp_path):
    (tmp_path / "in.csv").write_text(BAD)
    done, run = prepared(
        place,
        source="files",
        inputs=tmp_path / "in.csv",
        out=tmp_path / "rna",
        bad_rows="drop",
    )
    assert "6 records read, 4 of them left out" in done.out
    metrics = run.data.metrics
    assert metrics["bad_rows"] == 4
    assert metrics["bad_rows.unbalanced_brackets"] == 1
    assert metrics["bad_rows.letter_outside_acgun"] == 2
    assert metrics["bad_rows.duplicate_id"] == 1
    table = csv_artifact(place, run, "bad_rows.csv")
    assert table.columns.tolist() == ["file", "line", "id", "reason", "detail"]
    assert table["line"].tolist() == [3, 4, 5, 7]
    assert inspect(str(tmp_path / "rna"))[1].n_rows() == 2


def test_the_same_records_from_another_format_are_the_same_rows(place, tmp_path):
    (tmp_path / "a.csv").write_text("id,sequence,structure\na,ggaaacc,((...))\nb,GCTTTGC,((...))\n")
    (tmp_path / "b.dbn").write_text(">a\nGGAAACC\n((...))\n>b\nGCUUUGC\n((...))\n")
    common = {"source": "files", "split": "1,0,0", "cut": 0}
    _, first = prepared(place, inputs=tmp_path / "a.csv", **common)
    done, second = prepared(place, inputs=tmp_path / "b.dbn", **common)
    assert "already: nothing is written" in done.out
    for tag in ("data.digest", "data.folder", "fingerprint"):
        assert second.data.tags[tag] == first.data.tags[tag]


def test_sequences_without_structures_make_a_table_too(place, tmp_path):
    """From a folder that holds the store, mlflow.db, too."""
    (tmp_path / "a.fa").write_text(">a\nACGUACGU\n>b\nGGGGCCCC\n")
    assert (tmp_path / "work" / "mlflow.db").exists()
    _, run = prepared(
        place, source="files", inputs=tmp_path, out=tmp_path / "rna", split="1,0,0", cut=0
    )
    metrics = run.data.metrics
    assert (metrics["rows.TR0"], metrics["labelled.TR0"], metrics["pairs.TR0"]) == (2, 0, 0)


SHARED = Path(os.environ.get("PRIORWISE_SHARED", Path(__file__).parents[3] / "shared"))


def test_real_structures(place, tmp_path):
    path = SHARED / "data" / "rna" / "fixture.csv"
    if not path.exists():
        pytest.skip(f"the shared structures are not at {path} (set PRIORWISE_SHARED)")
    _, run = prepared(place, source="files", inputs=path, out=tmp_path / "rna")
    metrics = run.data.metrics
    assert metrics["rows.TR0"] + metrics["rows.CUT"] == 240
    assert [metrics[f"rows.{p}"] for p in ("VL0", "TS0", "NEW")] == [40, 59, 60]
    assert metrics["rows.CUT"] == 24
    assert metrics["leak.kmer_highest.TR0_CUT"] < RELATED
    assert metrics["non_canonical.NEW"] == 0 < metrics["non_canonical.TR0"]


# --- what later phases read -----------------------------------------------------------------------


def desk(recipe=""):
    return SimpleNamespace(recipe=Recipe(str(recipe) if recipe else ""))


def test_the_synthetic_table_of_the_recipe_is_made_on_first_use(place, tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    lines = "".join(f"  {name}: {value}\n" for name, value in SMALL.items())
    recipe.write_text(f"rna_prepare:\n{lines}  out: {tmp_path / 'rna'}\n")
    with own_process(place):
        pinned, facts = read_rna("synthetic", desk(recipe))
        said = capsys.readouterr().out
        assert "making a table" in said and "these are not real sequences" in said
        assert facts.n_rows() == 96 and pinned.n_rows == 96
        assert data_folder("synthetic", desk(recipe)) == str(tmp_path / "rna")
        assert "making a table" not in capsys.readouterr().out
    done = place.phase("rna_prepare", config=recipe)
    assert done.code == 0 and "nothing is written" in done.out
    assert place.run("rna_prepare").data.tags["data.digest"] == facts.digest


@pytest.mark.parametrize("data", ["", "nowhere", "empty"])
def test_missing_data_are_an_error_and_never_made_up(place, data):
    (place.folder / "empty").mkdir()
    with own_process(place), pytest.raises(BadInput, match="data: nothing|no such folder|no table"):
        read_rna(data, desk())
    assert not (place.folder / ".priorwise").exists()


def test_synthetic_data_are_not_what_a_recipe_of_files_means(place, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("rna_prepare:\n  source: files\n  inputs: x.csv\n")
    with pytest.raises(BadInput, match="rna_prepare of the recipe reads files"):
        data_folder("synthetic", desk(recipe))


def test_defaults_are_small_enough_to_be_made_in_seconds():
    config = parse("rna_prepare", RnaPrepare, Recipe(), [])
    assert (config.n_train, config.n_validation, config.n_test, config.n_new) == (
        *(2000, 200, 200, 200),
    )
    assert (config.min_length, config.max_length, config.cut) == (30, 80, 0.1)


def test_through_the_runner(place, project, tmp_path):
    started = place.mlflow_run(project, "rna_prepare", **NO_RECIPE, **SMALL, out=tmp_path / "a b")
    assert started.wait() == 0, place.stderr
    run = place.run("rna_prepare")
    assert run.data.tags["complete"] == "true"
    assert inspect(str(tmp_path / "a b"))[1].digest == run.data.tags["data.digest"]
