"""What `score` makes of files: lines, reasons, formats, agreement, restarts, bounded memory."""

import fcntl
import gzip
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyteomics import mgf, mztab
from tests.spectra.generated_runs import (
    MadeScan,
    cycles,
    mzml_text,
    mzxml_text,
    stream_large_mzml,
    term,
    write_mzml,
)
from tests.spectra.scored import lines, score
from tests.spectra.tiny_model import tiny_model

from priorwise.errors import BadInput
from priorwise.spectra.ingest import build as ingest
from priorwise.spectra.ingest import reasons
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.score.partial import workshop
from priorwise.spectra.scoring import score_rows
from priorwise.store.tables import open_pinned

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("PRIORWISE_SHARED", REPOSITORY.parent / "shared"))
RUNS = SHARED / "data" / "spectra" / "runs"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def profile(n_peaks=8, points=7):
    """Sampled peaks: `points` points of a bell each, 1 mTh apart."""
    at = np.arange(points) - points // 2
    centres = 100.0 + 50.0 * np.arange(n_peaks)
    mz = (centres[:, None] + 0.001 * at).ravel()
    height = 1000.0 * (1 + np.arange(n_peaks))
    return mz, (height[:, None] * np.exp(-(at**2) / 4)).ravel()


def zero_padded(n_peaks=8):
    """Centroids among zeros, as some converters write them."""
    mz, intensity = profile(n_peaks)
    return mz, np.where(np.arange(len(mz)) % 7 == 3, intensity, 0.0)


def scans_of_every_kind():
    mz, intensity = profile()
    wide = MadeScan(13, level=2, ms1=12, window=(12.5, 12.5))
    return [
        (MadeScan(1, level=2), reasons.NO_MS1),
        (MadeScan(2), None),
        (MadeScan(3, level=2, ms1=2), ""),
        (MadeScan(4, level=2, ms1=2, precursor_mz=None), reasons.NO_PRECURSOR),
        (MadeScan(5, level=2, ms1=2, polarity=None), reasons.NO_POLARITY),
        (MadeScan(6, level=2, ms1=2, precursor_mz=0.0), reasons.BAD_PRECURSOR),
        (MadeScan(7, level=2, ms1=2, precursor_mz=float("nan")), reasons.BAD_PRECURSOR),
        (MadeScan(8, level=2, ms1=2, intensity=[1.0]), reasons.DAMAGED_PEAKS),
        (MadeScan(9, level=2, ms1=2, polarity="negative"), ""),
        (MadeScan(10, mz=[], intensity=[]), None),
        (MadeScan(11, level=2, ms1=10), reasons.EMPTY_MS1),
        (MadeScan(12), None),
        (wide, reasons.DIA),
        (MadeScan(14, mz=mz, intensity=intensity), None),
        (MadeScan(15, level=2, ms1=14), reasons.PROFILE),
        (MadeScan(16, intensity=[1.0]), None),
        (MadeScan(17, level=2, ms1=16), reasons.DAMAGED_PEAKS),
        (MadeScan(18, level=3, ms1=12), None),
        (MadeScan(19, level=2, ms1=12, window=(2.5, 2.5)), ""),
    ]


def test_every_ms2_scan_has_a_line_in_file_order_and_a_reason_if_it_has_no_score(tmp_path, model):
    kinds = scans_of_every_kind()
    path = write_mzml(tmp_path / "a.mzML", [scan for scan, _ in kinds])
    summary = score(path, tmp_path / "out.csv", model)
    expected = [(scan.number, reason) for scan, reason in kinds if reason is not None]
    got = lines(tmp_path / "out.csv")
    assert [(int(row["scan"]), row["reason"]) for row in got] == expected
    for row in got:
        assert (row["probability"] == "") == (row["identifiable"] == "") == bool(row["reason"])
        assert row["usi"] == f"mzspec:a:a:scan:{row['scan']}" and row["file"] == str(path)
    assert [row["polarity"] for row in got if row["scan"] in ("3", "5", "9")] == [
        "positive",
        "",
        "negative",
    ]
    assert summary.total.n == len(got) == 13 and summary.total.n_scorable == 3
    assert set(summary.total.reasons) == {reason for _, reason in expected} - {""}


def test_a_model_of_one_polarity_says_so_of_the_other(tmp_path):
    scans = [MadeScan(1), MadeScan(2, level=2), MadeScan(3, level=2, polarity="negative")]
    path = write_mzml(tmp_path / "a.mzML", scans)
    score(path, tmp_path / "o.csv", tiny_model(tmp_path / "m", polarity="positive"))
    found = [row["reason"] for row in lines(tmp_path / "o.csv")]
    assert found == ["", reasons.OTHER_POLARITY]


@pytest.mark.parametrize(
    ("stated", "points", "want"),
    [
        (None, profile(), True),
        (None, zero_padded(), False),
        (True, zero_padded(), True),
        (True, ([1.0], [1.0]), True),
        (None, profile(n_peaks=4), False),  # too few peaks to tell
        (None, (np.arange(100.0, 200.0), np.ones(100)), False),  # one point every 1 Th
        (None, ([], []), False),
        (None, profile(points=3), True),
        (None, tuple(values[::-1] for values in profile()), True),
    ],
)
def test_profile_data_are_told_by_their_points(stated, points, want):
    mz, counts = (np.asarray(values, dtype=float) for values in points)
    assert reasons.is_profile(stated, mz, counts) is want


def test_a_file_that_says_profile_is_believed_and_mzxml_that_says_nothing_is_not(tmp_path, model):
    text = mzml_text([MadeScan(1), MadeScan(2, level=2)])
    marked = text.replace(term("ms level", 1), term("ms level", 1) + term("profile spectrum"))
    (tmp_path / "a.mzML").write_text(marked)
    (tmp_path / "b.mzXML").write_text(
        mzxml_text([MadeScan(1, scan_terms=' centroided="0"'), MadeScan(2, level=2)])
    )
    score(tmp_path, tmp_path / "o.csv", model)
    assert [row["reason"] for row in lines(tmp_path / "o.csv")] == [reasons.PROFILE, ""]


def test_every_reason_is_explained_once():
    names = [value for name, value in vars(reasons).items() if re.fullmatch("[A-Z0-9_]+", name)]
    assert sorted(reasons.REASONS) == sorted(name for name in names if isinstance(name, str))


def made_runs(folder):
    """Two runs with settings, both polarities."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        scans = cycles(12, 3)
        for scan in scans:
            n = int(rng.integers(3, 40))
            scan.mz = np.sort(rng.uniform(100, 900, n))
            scan.intensity = rng.lognormal(8, 2, n)
            scan.polarity = "negative" if scan.number % 5 == 0 else "positive"
            scan.ion_terms = term("charge state", 1 + scan.number % 3)
            scan.scan_terms = term("ion injection time", 10.0 + scan.number)
        write_mzml(folder / f"{name}.mzML", scans)
    return folder


def test_a_run_and_the_table_made_of_it_get_the_probabilities_of_predict(tmp_path):
    runs = made_runs(tmp_path / "runs")
    report = ingest.build(str(runs), str(tmp_path / "data"), progress=lambda n: None)
    model = tiny_model(tmp_path / "m", stats=report.stats)
    table = tmp_path / "data" / "train_data"
    expected = score_rows(model.network, load_rows(open_pinned(str(table))))
    assert len(expected) == 72 and len(set(expected)) > 60
    score(runs, tmp_path / "runs.csv", model)
    score(table, tmp_path / "table.csv", model)
    of_runs, of_table = lines(tmp_path / "runs.csv"), lines(tmp_path / "table.csv")
    for got in (of_runs, of_table):
        np.testing.assert_allclose([float(r["probability"]) for r in got], expected, atol=1e-6)
    for name in ("usi", "scan", "polarity", "file", "identifiable", "reason"):
        assert [row[name] for row in of_runs] == [row[name] for row in of_table]
    np.testing.assert_allclose(
        [float(r["precursor_mz"]) for r in of_runs], [float(r["precursor_mz"]) for r in of_table]
    )


def test_the_answer_of_a_scan_does_not_depend_on_what_is_scored_with_it(tmp_path, model):
    runs = made_runs(tmp_path / "runs")
    score(runs, tmp_path / "all.csv", model)
    score(runs / "b.mzML", tmp_path / "b.csv", model)
    together = lines(tmp_path / "all.csv")[36:]
    assert together == lines(tmp_path / "b.csv")


def test_the_same_files_give_the_same_bytes(tmp_path, model):
    runs = made_runs(tmp_path / "runs")
    for suffix in ("csv", "parquet", "mztab", "mgf"):
        first, again = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
        score(runs, first, model)
        score(runs, again, model)
        assert first.read_bytes() == again.read_bytes() and first.stat().st_size > 1000
    assert not list(tmp_path.glob("*.partial"))


def test_all_formats_say_the_same(tmp_path, model):
    kinds = [scan for scan, _ in scans_of_every_kind()]
    kinds[2].ion_terms = term("charge state", 2)
    path = write_mzml(tmp_path / "a.mzML", kinds)
    threshold = None
    for _ in range(2):  # the second time with a threshold that splits the three
        for suffix in ("csv", "parquet", "mztab", "mgf"):
            score(path, tmp_path / f"o.{suffix}", model, threshold=threshold or 0.5)
        table = lines(tmp_path / "o.csv")
        threshold = sorted(float(r["probability"]) for r in table if r["probability"])[1]
    assert {r["identifiable"] for r in table} == {"true", "false", ""}

    columns = pq.read_table(tmp_path / "o.parquet").to_pylist()
    for row, line in zip(columns, table, strict=True):
        texts = {k: "" if v is None else str(v) for k, v in row.items()}
        texts["identifiable"] = texts["identifiable"].lower()
        assert texts == line

    parsed = mztab.MzTab(str(tmp_path / "o.mztab"))
    assert parsed.metadata["mzTab-version"] == "1.0.0"
    assert parsed.metadata["ms_run[1]-location"] == f"file://{path}"
    rows = parsed.small_molecule_table
    assert len(rows) == len(table)
    for (_, row), line in zip(rows.iterrows(), table, strict=True):
        assert row["spectra_ref"] == f"ms_run[1]:scan={line['scan']}"
        assert row["opt_global_usi"] == line["usi"]
        said = row["opt_global_reason"]
        assert ("" if pd.isna(said) else said) == line["reason"]
        score_there = row["best_search_engine_score[1]"]
        if line["probability"]:
            assert float(score_there) == float(line["probability"])
            assert bool(int(row["opt_global_identifiable"])) == (line["identifiable"] == "true")
        else:
            assert pd.isna(score_there)

    with mgf.MGF(str(tmp_path / "o.mgf"), convert_arrays=1) as spectra:
        blocks = list(spectra)
    assert len(blocks) == len(table)
    for block, line in zip(blocks, table, strict=True):
        fields = block["params"]
        assert fields["title"] == line["usi"] and str(fields["scans"]) == line["scan"]
        assert fields.get("priorwise_reason", "") == line["reason"]
        assert fields.get("priorwise_score", "") == line["probability"]
        assert fields.get("priorwise_identifiable", "") == line["identifiable"]
    sound = blocks[1]
    assert sound["params"]["pepmass"][0] == 250.0 and sound["params"]["charge"][0] == 2
    np.testing.assert_array_equal(sound["m/z array"], [100, 200, 300])
    np.testing.assert_array_equal(sound["intensity array"], [10, 1000, 500])


MGF_BLOCK = "BEGIN IONS\nTITLE={t}\nPEPMASS=250.1 100\nCHARGE={c}\n{more}100 5\n200 7\nEND IONS\n"


def test_mgf_has_no_ms1_unless_it_says_so(tmp_path, model):
    block = MGF_BLOCK.format
    (tmp_path / "a.mgf").write_text(
        block(t="x", c="1+", more="SCANS=7\n") + block(t="y", c="1", more="")
    )
    (tmp_path / "b.mgf.gz").write_bytes(
        gzip.compress(
            (
                block(t="f scan=4", c="2-", more="")
                + block(t="s", c="1+", more="MSLEVEL=1\nSCANS=8\n")
                + block(t="z", c="2-", more="MSLEVEL=2\nSCANS=9\n")
            ).encode()
        )
    )
    score(tmp_path, tmp_path / "o.csv", model)
    got = [(r["scan"], r["polarity"], r["reason"]) for r in lines(tmp_path / "o.csv")]
    assert got == [
        ("7", "positive", reasons.NO_MS1),
        ("2", "", reasons.NO_POLARITY),
        ("4", "negative", reasons.NO_MS1),
        ("9", "negative", ""),
    ]


def table_with(tmp_path, changes):
    """A spectra table whose rows are changed one by one."""
    import lance
    import pyarrow as pa

    write_mzml(tmp_path / "x.mzML", cycles(1, len(changes)))
    ingest.build(
        str(tmp_path / "x.mzML"), str(tmp_path / "d"), ms1="repeated", progress=lambda n: None
    )
    whole = lance.dataset(str(tmp_path / "d" / "train_data")).to_table()
    rows = whole.to_pylist()
    for row, change in zip(rows, changes, strict=True):
        row.update(change(row))
    lance.write_dataset(
        pa.Table.from_pylist(rows, schema=whole.schema), str(tmp_path / "bad"), mode="create"
    )
    return tmp_path / "bad"


def test_bad_rows_of_a_table_get_a_reason_and_stop_nothing(tmp_path, model):
    def settings(index, value):
        return lambda row: {
            "instrument_settings": [
                value if i == index else v for i, v in enumerate(row["instrument_settings"])
            ]
        }

    cases = [
        (lambda row: {}, ""),
        (lambda row: {"precursor_mz": None}, reasons.NO_PRECURSOR),
        (lambda row: {"precursor_mz": 0.0}, reasons.BAD_PRECURSOR),
        (lambda row: {"precursor_mz": float("inf")}, reasons.BAD_PRECURSOR),
        (lambda row: {"mz_array": []}, reasons.DAMAGED_PEAKS),
        (lambda row: {"mz_array": [], "intensity_array": []}, reasons.EMPTY_MS1),
        (lambda row: {"mz_array": None}, reasons.DAMAGED_PEAKS),
        (lambda row: {"mz_array": [1.0, float("nan"), 3.0]}, reasons.DAMAGED_PEAKS),
        (lambda row: {"intensity_array": [1.0, -1.0, 3.0]}, reasons.DAMAGED_PEAKS),
        (lambda row: {"intensity_array": [1.0]}, reasons.DAMAGED_PEAKS),
        (lambda row: {"instrument_settings": [0.0] * 21}, reasons.BAD_SETTINGS),
        (lambda row: {"instrument_settings": None}, reasons.BAD_SETTINGS),
        (settings(3, float("nan")), reasons.BAD_SETTINGS),
        (settings(15, 0.0), reasons.NO_POLARITY),
        (settings(14, 1.0), reasons.NO_POLARITY),
        (lambda row: {"label": None, "dataset_id": None, "source_file": None}, ""),
        (lambda row: {"label": 7.0, "mzml_filepath": None}, ""),
    ]
    place = table_with(tmp_path, [change for change, _ in cases])
    score(place, tmp_path / "o.csv", model)
    got = lines(tmp_path / "o.csv")
    assert [row["reason"] for row in got] == [reason for _, reason in cases]
    assert len({row["probability"] for row in got if not row["reason"]}) == 3


def test_a_damaged_file_keeps_what_comes_before_and_the_others_whole(tmp_path, model):
    whole = mzml_text(cycles(40, 2))
    (tmp_path / "a.mzML").write_text(whole)
    (tmp_path / "b.mzML.gz").write_bytes(gzip.compress(whole.encode())[:-2000])
    (tmp_path / "c.mzML").write_text(whole)
    (tmp_path / "d.mzML").write_text("not XML at all")
    (tmp_path / "e.mzML").write_bytes(b"")
    (tmp_path / "f.raw").write_bytes(b"nor this")
    (tmp_path / "g.mgf").write_text("BEGIN IONS\nPEPMASS=3\n")
    (tmp_path / "h.mzML").write_text(whole[: len(whole) // 2])
    summary = score(tmp_path, tmp_path / "o.csv", model)
    n = {source.name[0]: counts.n for source, _, counts in summary.inputs}
    assert n["a"] == n["c"] == 80 and 30 < n["h"] < 45 and 0 <= n["b"] < 80
    assert n["d"] == n["e"] == n["f"] == n["g"] == 0
    assert [Path(notes.address).name[0] for notes in summary.damaged] == list("bdefgh")
    assert all(notes.damage.startswith(notes.address) for notes in summary.damaged)
    assert len(lines(tmp_path / "o.csv")) == summary.total.n == 160 + n["b"] + n["h"]


HOSTILE = ['=1+1,"x".mzML', "a\nb.mzML", "-rf.mzML", "@sum\t$x$.mzML", "é'\r;--.mzML"]


def test_hostile_names_break_no_row_and_write_nowhere_else(tmp_path, model):
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in HOSTILE:
        write_mzml(runs / name, cycles(1, 2))
    before = {str(p) for p in tmp_path.rglob("*")}
    for suffix in ("csv", "mztab", "mgf"):
        score(runs, tmp_path / f"o.{suffix}", model)
    assert {Path(r["file"]).name for r in lines(tmp_path / "o.csv")} == set(HOSTILE)
    assert len(lines(tmp_path / "o.csv")) == 10
    assert len(mztab.MzTab(str(tmp_path / "o.mztab")).small_molecule_table) == 10
    with mgf.MGF(str(tmp_path / "o.mgf")) as spectra:
        assert len(list(spectra)) == 10
    after = {str(p) for p in tmp_path.rglob("*")}
    assert after - before == {str(tmp_path / f"o.{s}") for s in ("csv", "mztab", "mgf")}


def test_a_source_name_inside_a_table_leads_nowhere(tmp_path, model):
    evil = "../../../evil"
    place = table_with(tmp_path, [lambda row: {"source_file": evil, "mzml_filepath": evil}])
    before = {str(p) for p in tmp_path.rglob("*")}
    score(place, tmp_path / "sub" / "o.csv", model)
    (row,) = lines(tmp_path / "sub" / "o.csv")
    assert row["file"] == evil and row["usi"] == f"mzspec:x:{evil}:scan:2"
    after = {str(p) for p in tmp_path.rglob("*")}
    assert after - before == {str(tmp_path / "sub"), str(tmp_path / "sub" / "o.csv")}


def test_inputs_are_told_apart_and_met_once(tmp_path, model):
    runs = made_runs(tmp_path / "runs")
    (runs / "notes.txt").write_text("x")
    (runs / "BLANK_1.mzML").write_text((runs / "a.mzML").read_text())  # scored, unlike in training
    ingest.build(str(runs / "a.mzML"), str(tmp_path / "runs" / "data"), progress=lambda n: None)
    summary = score(f"{runs}, {runs}/a.mzML, {runs}/*.mzML", tmp_path / "o.csv", model)
    names = [(source.name, source.is_table) for source, _, _ in summary.inputs]
    assert names == [
        ("BLANK_1.mzML", False),
        ("a.mzML", False),
        ("b.mzML", False),
        ("train_data", True),
    ]
    for wrong in (tmp_path / "none", runs / "notes.txt", runs / "data" / "train_data_labels"):
        with pytest.raises(BadInput, match=re.escape(str(wrong))) as caught:
            score(wrong, tmp_path / "p.csv", model)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="nothing to score"):
        score(tmp_path / "empty", tmp_path / "p.csv", model)


def test_finished_inputs_are_not_read_again_and_others_parts_are_not_used(tmp_path, model):
    runs, out = made_runs(tmp_path / "runs"), tmp_path / "o.csv"
    score(runs, out, model, keep=True)
    first = out.read_bytes()
    times = {name: os.stat(runs / name).st_mtime_ns for name in ("a.mzML", "b.mzML")}
    for name, mtime in times.items():  # same size and time, but unreadable: parts must serve
        (runs / name).write_bytes(b" " * (runs / name).stat().st_size)
        os.utime(runs / name, ns=(mtime, mtime))
    said = []
    score(runs, out, model, keep=True, said=said)
    assert out.read_bytes() == first and "2 of 2" in said[0]
    for other in ({"key": "another model"}, {"threshold": 0.25}, {"dataset_id": "MSV1"}):
        said = []
        assert len(score(runs, out, model, keep=True, said=said, **other).damaged) == 2
        assert not said
    os.utime(runs / "b.mzML", ns=(1, 1))
    assert [n.address for n in score(runs, out, model).damaged] == [str(runs / "b.mzML")]


def test_a_foreign_file_in_the_folder_of_parts_stays(tmp_path, model):
    path = write_mzml(tmp_path / "a.mzML", cycles(1))
    (tmp_path / "o.csv.partial").mkdir()
    (tmp_path / "o.csv.partial" / "mine.txt").write_text("x")
    score(path, tmp_path / "o.csv", model)
    assert [p.name for p in (tmp_path / "o.csv.partial").iterdir()] == ["mine.txt"]
    (tmp_path / "p.csv.partial").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="is a link"):
        score(path, tmp_path / "p.csv", model)


SCORE = """
import sys
from pathlib import Path
from tiny_model import tiny_model
from scored import score

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

baseline = status("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
published = {"d_model": 128, "n_layers": 2} if "published" in sys.argv else {}
model = tiny_model(Path(sys.argv[3]), **({"architecture": published} if published else {}))
summary = score(sys.argv[1], sys.argv[2], model)
print(baseline, status("VmHWM"), summary.total.n)
"""


def score_elsewhere(*arguments):
    places = [REPOSITORY / "src", REPOSITORY / "tests" / "spectra"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", SCORE, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_killed_scoring_leaves_no_half_file_and_goes_on_where_it_was(tmp_path, model):
    runs, out = tmp_path / "runs", tmp_path / "o.csv"
    runs.mkdir()
    write_mzml(runs / "a.mzML", cycles(3))
    with open(runs / "b.mzML", "w") as file:
        stream_large_mzml(file, 60_000_000)
    write_mzml(runs / "c.mzML", cycles(3))
    child = score_elsewhere(runs, out, tmp_path / "m")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("o.csv.partial/*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(BadInput, match="another process"):
        score(runs / "a.mzML", out, model)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert not out.exists()
    (runs / "b.mzML").write_text(mzml_text(cycles(2)))
    said = []
    score(runs, out, model, said=said)
    assert said == ["going on: 1 of 3 input(s) were scored before"]
    score(runs, tmp_path / "again.csv", model)
    assert out.read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert not (tmp_path / "o.csv.partial").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_memory_is_bounded_and_does_not_grow_with_the_input(tmp_path):
    peaks = {}
    for megabytes in (100, 1000):
        path = tmp_path / f"{megabytes}.mzML"
        with open(path, "w") as file:
            n_ms2 = stream_large_mzml(file, megabytes * 1_000_000)
        child = score_elsewhere(path, tmp_path / "o.csv", tmp_path / f"m{megabytes}")
        printed, _ = child.communicate()
        assert child.returncode == 0
        baseline, peak, n = map(float, printed.split())
        print(f"{megabytes} MB: import baseline {baseline:.0f} MB, peak {peak:.0f} MB")
        assert n == n_ms2 and peak <= baseline + 300
        peaks[megabytes] = peak
        path.unlink()
    assert peaks[1000] == pytest.approx(peaks[100], rel=0.05)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_memory_is_bounded_with_the_published_network(tmp_path):
    rng = np.random.default_rng(0)
    scans = cycles(20, 5)
    for scan in scans:
        scan.mz = np.sort(rng.uniform(100, 900, 1000))
        scan.intensity = rng.uniform(500, 1000, 1000)  # 400 peaks stay
    write_mzml(tmp_path / "a.mzML", scans)
    child = score_elsewhere(tmp_path / "a.mzML", tmp_path / "o.csv", tmp_path / "m", "published")
    printed, _ = child.communicate()
    baseline, peak, n = map(float, printed.split())
    assert child.returncode == 0 and n == 100 and peak <= baseline + 300


def test_windows_are_spread_over_the_probabilities(tmp_path, model):
    summary = score(made_runs(tmp_path / "runs"), tmp_path / "o.csv", model)
    chosen = [window.probability for window in summary.windows(4)]
    pool = [w.probability for _, notes, _ in summary.inputs for w in notes.windows]
    assert len(pool) == 32 and chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (min(pool), max(pool))
    assert len(summary.windows(1)) == 1 and summary.windows(0) == []


def test_without_the_extra_raw_files_are_named_as_what_they_are(tmp_path, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentfraw", None)
    (tmp_path / "a.raw").write_bytes(b"\x01\xa1F\0i\0n\0n\0i\0g\0a\0n\0")
    summary = score(tmp_path / "a.raw", tmp_path / "o.csv", model)
    assert "pip install opentfraw==3.1.0" in summary.damaged[0].damage


def test_a_thermo_raw_file(tmp_path, model):
    pytest.importorskip("opentfraw", reason="needs the extra `raw`")
    if not RUNS.is_dir():
        pytest.skip(f"the shared runs are not at {RUNS} (set PRIORWISE_SHARED)")
    zipped = RUNS / "rawrr_sample.raw.gz"
    (tmp_path / "s.raw").write_bytes(gzip.decompress(zipped.read_bytes()))
    summary = score(f"{tmp_path / 's.raw'},{zipped}", tmp_path / "o.csv", model)
    assert [c.n_scorable for _, _, c in summary.inputs] == [547, 547] and not summary.damaged
    assert [notes.counts.ms1 for _, notes, _ in summary.inputs] == [27, 27]
    got = lines(tmp_path / "o.csv")
    plain, packed = got[:547], got[547:]
    assert [r["probability"] for r in plain] == [r["probability"] for r in packed]
    assert float(plain[0]["precursor_mz"]) == pytest.approx(487.2567, abs=1e-4)
    (tmp_path / "cut.raw").write_bytes((tmp_path / "s.raw").read_bytes()[:900_000])
    (notes,) = score(tmp_path / "cut.raw", tmp_path / "p.csv", model).damaged
    assert "cut.raw: cannot be read as Thermo RAW" in notes.damage


def test_the_shared_runs(tmp_path, model):
    if not RUNS.is_dir():
        pytest.skip(f"the shared runs are not at {RUNS} (set PRIORWISE_SHARED)")
    summary = score(f"{RUNS}/*ML.gz", tmp_path / "o.csv", model)
    # the cut-out runs begin with MS2 scans; the zero-padded sulfamethizine runs are no profiles
    assert summary.total.n == 2678 and summary.total.n_scorable == 2668
    assert dict(summary.total.reasons) == {reasons.NO_MS1: 10} and not summary.damaged
    negative = [r for r in lines(tmp_path / "o.csv") if "negative" in r["file"]]
    assert {r["polarity"] for r in negative} == {"negative"} and len(negative) == 54


def test_numbers_beyond_all_range_never_give_nan(tmp_path, model):
    """What float32 cannot hold is no measurement, and no precursor."""
    huge, peaks = 1e300, [100.0, 200.0, 300.0]
    cases = [
        (MadeScan(1), MadeScan(2, level=2, precursor_mz=huge), reasons.BAD_PRECURSOR),
        (MadeScan(3), MadeScan(4, level=2, precursor_mz=1e30), reasons.BAD_PRECURSOR),
        (MadeScan(5, mz=[*peaks[:2], huge]), MadeScan(6, level=2), ""),
        (MadeScan(7, intensity=[*peaks[:2], huge]), MadeScan(8, level=2), ""),
        (MadeScan(9, intensity=[huge] * 3), MadeScan(10, level=2), reasons.EMPTY_MS1),
        (
            MadeScan(11),
            MadeScan(12, level=2, scan_terms=term("ion injection time", huge)),
            "",
        ),
    ]
    path = write_mzml(tmp_path / "a.mzML", [scan for pair in cases for scan in pair[:2]])
    score(path, tmp_path / "o.csv", model)
    got = lines(tmp_path / "o.csv")
    assert [row["reason"] for row in got] == [reason for *_, reason in cases]
    assert all(0 <= float(row["probability"]) <= 1 for row in got if not row["reason"])


def test_table_rows_beyond_all_range_get_a_reason(tmp_path, model):
    def far(row):
        return {"instrument_settings": [1e30, *row["instrument_settings"][1:]]}

    cases = [
        (lambda row: {"precursor_mz": 1e38}, reasons.BAD_PRECURSOR),
        (lambda row: {"mz_array": [1.0, 2.0, 1e38]}, reasons.DAMAGED_PEAKS),
        (far, reasons.BAD_SETTINGS),
    ]
    score(table_with(tmp_path, [change for change, _ in cases]), tmp_path / "o.csv", model)
    assert [row["reason"] for row in lines(tmp_path / "o.csv")] == [reason for _, reason in cases]


def test_mgf_holds_sound_peaks_and_charges_only(tmp_path, model):
    ms2 = MadeScan(2, level=2, mz=[1.0, float("nan"), 3.0], ion_terms=term("charge state", "1e20"))
    score(write_mzml(tmp_path / "a.mzML", [MadeScan(1), ms2]), tmp_path / "o.mgf", model)
    text = (tmp_path / "o.mgf").read_text()
    assert "nan" not in text and "CHARGE" not in text and "3.0 500.0" in text


def test_a_part_that_is_gone_is_made_again(tmp_path, model):
    path = write_mzml(tmp_path / "a.mzML", cycles(2))
    score(path, tmp_path / "o.csv", model, keep=True)
    (part,) = (tmp_path / "o.csv.partial").glob("*.arrow")
    part.unlink()
    first = (tmp_path / "o.csv").read_bytes()
    score(path, tmp_path / "o.csv", model)
    assert (tmp_path / "o.csv").read_bytes() == first


def test_the_folder_of_parts_must_be_our_own(tmp_path, model, monkeypatch):
    (tmp_path / "o.csv.partial").mkdir()
    (tmp_path / "o.csv.partial" / "work").write_text("foreign")
    with pytest.raises(BadInput, match="work cannot be made"), workshop(tmp_path / "o.csv"):
        pass
    assert (tmp_path / "o.csv.partial" / "work").read_text() == "foreign"


def test_a_lock_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    flock = fcntl.flock

    def late(lock, how):
        (tmp_path / "o.csv.partial" / "lock").unlink()  # the other one clears, then we get it
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BadInput, match="another process"), workshop(tmp_path / "o.csv"):
        pass


def test_names_that_are_no_text_are_told(tmp_path, model):
    raw = os.fsencode(tmp_path) + b"/\xff\x1b[31m.mzML"
    with open(raw, "w") as file:
        file.write(mzml_text(cycles(1)))
    summary = score(tmp_path, tmp_path / "o.csv", model)
    ((source, _, counts),) = summary.inputs
    assert "\\udcff" in summary.table().to_csv(index=False).encode().decode()
    said = counts.in_words(source.label, {})
    assert "\\udcff" in said and "\x1b" not in said
