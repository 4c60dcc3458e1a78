import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.spectra.generated_runs import (
    MadeScan,
    cycles,
    mzxml_text,
    stream_large_mzml,
    term,
    write_mzml,
)

from priorwise.errors import BadInput
from priorwise.spectra.facts import inspect
from priorwise.spectra.ingest import build as ingest
from priorwise.spectra.ingest.inputs import assign_tables, dataset_id_of, find_runs
from priorwise.spectra.schema import SPECTRA_SCHEMA
from priorwise.spectra.settings import SETTING_NAMES, SettingsStats
from priorwise.store.tables import open_pinned, scan

REPOSITORY = Path(__file__).resolve().parents[2]

#: file -> MS1 scans, MS2 scans, MS2 scans that the library identifies (facts/spectra.md B)
REAL_COUNTS = {
    "171103_PMA_TK_QC_04-4to5min.mzML.gz": (126, 381, 7),
    "171103_PMA_TK_QC_05-4to5min.mzML.gz": (127, 381, 5),
    "DOM_b.mzXML.gz": (87, 434, 41),
    "GNPSExport_mzml1.mzML.gz": (106, 319, 12),
    "Beer_multibeers_1_T10_POS.mzML.gz": (33, 331, 28),
    "PA14_maxis_DI.mzXML.gz": (191, 714, 0),
    "sulfamethizine_positive_2pt5uL_02.mzXML.gz": (38, 64, 2),
    "sulfamethizine_negative_2pt5uL_01.mzXML.gz": (37, 54, 0),
}


def quiet(_):
    return None


def build(inputs, out, **options):
    return ingest.build(str(inputs), str(out), progress=quiet, **options)


def rows(path):
    return [row for batch in scan(open_pinned(str(path))) for row in batch.to_pylist()]


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    (folder / "MSV000012345" / "deep").mkdir(parents=True)
    write_mzml(folder / "a.mzML", cycles(3))
    write_mzml(folder / "My_BLANK_1.mzML", cycles(3))
    (folder / "MSV000012345" / "deep" / "b.mzXML").write_text(mzxml_text(cycles(2)))
    (folder / "notes.txt").write_text("x")
    (folder / "vendor.raw").write_text("x")
    return folder


def test_a_folder_becomes_one_training_table(runs, tmp_path):
    report = build(runs, tmp_path / "out")
    table = open_pinned(str(tmp_path / "out" / "train_data"))
    assert table.schema.equals(SPECTRA_SCHEMA)
    got = rows(tmp_path / "out" / "train_data")
    assert len(got) == report.tables["train_data"].rows == 10
    assert [r["dataset_id"] for r in got] == ["MSV000012345"] * 4 + ["a"] * 6 or [
        r["dataset_id"] for r in got
    ] == ["a"] * 6 + ["MSV000012345"] * 4
    first = next(r for r in got if r["source_file"] == "a")
    assert (first["ms1_scan_number"], first["ms2_scan_number"]) == (1, 2)
    assert first["mz_array"] == [100, 200, 300]
    np.testing.assert_allclose(first["intensity_array"], np.sqrt([10, 1000, 500]), rtol=1e-6)
    assert first["precursor_mz"] == 201 and first["label"] == 0 and first["compound_name"] == ""
    assert first["mzml_filepath"].endswith("a.mzML")
    assert first["instrument_settings"][14:16] == [0, 1]
    assert (len(report.blanks), len(report.ignored)) == (1, 2)
    assert any("unlabelled" in line for line in report.warnings)
    assert rows(tmp_path / "out" / "train_data_labels") == []
    assert (tmp_path / "out" / "ingest_report.json").exists()


def with_setting(values):
    scans = [MadeScan(1)]
    for number, value in enumerate(values, start=2):
        terms = "" if value is None else term("charge state", value)
        scans.append(MadeScan(number, level=2, ms1=1, ion_terms=terms))
    return scans


def test_peaks_of_an_ms1_scan_are_stored_once_unless_wanted_otherwise(runs, tmp_path):
    for ms1 in ("shared", "repeated"):
        build(runs, tmp_path / ms1, ms1=ms1)
    assert rows(tmp_path / "shared" / "train_data") == rows(tmp_path / "repeated" / "train_data")
    assert not (tmp_path / "repeated" / "train_data_ms1").exists()
    found = inspect(str(tmp_path / "shared"), "train_data")[1]
    assert found.digest == inspect(str(tmp_path / "repeated"), "train_data")[1].digest
    peaks = rows(tmp_path / "shared" / "train_data_ms1")
    assert len(peaks) == 1  # the MS1 scans of these runs are all alike


def test_z_scores_come_from_the_training_rows_only(tmp_path):
    write_mzml(tmp_path / "a.mzML", with_setting([1, 2, 3, None, 0]))
    write_mzml(tmp_path / "b.mzML", with_setting([10]))
    split = tmp_path / "split.csv"
    split.write_text("file,split\na.mzML,train\nb*,test_1\n")
    report = build(f"{tmp_path}/*.mzML", tmp_path / "out", split=str(split))
    std = np.sqrt(2 / 3)
    got = [r["instrument_settings"] for r in rows(tmp_path / "out" / "train_data")]
    np.testing.assert_allclose([r[1] for r in got], [-1 / std, 0, 1 / std, 0, 0], atol=1e-6)
    test = rows(tmp_path / "out" / "test_1" / "test_data")
    assert test[0]["instrument_settings"][1] == pytest.approx(8 / std)
    assert all(len(r) == 22 and np.isfinite(r).all() for r in got)

    missing = rows(tmp_path / "out" / "train_data_missing")
    assert [r["Charge State"] for r in missing] == [False] * 3 + [True] * 2
    assert [r["row"] for r in missing] == list(range(5))
    assert not any(r["Polarity"] for r in missing) and all(r["Ionization"] for r in missing)
    assert list(missing[0])[1:] == list(SETTING_NAMES)
    counts = report.tables["train_data"].missing
    assert (counts["Charge State"], counts["Energy1"], counts["Polarity"]) == (2, 5, 0)
    for row in got:  # a missing category is neither value, not "NSI" or "Off"
        assert row[14:] == [0, 1, 0, 0, 0, 0, 0, 0]

    for folder in (tmp_path / "out", tmp_path / "out" / "test_1"):
        assert SettingsStats.load(folder) == report.stats
    assert report.stats.mean[1] == pytest.approx(2) and report.stats.source == "train_data"


def test_without_training_rows_the_statistics_are_of_all_rows(tmp_path):
    write_mzml(tmp_path / "a.mzML", with_setting([1, 3]))
    (tmp_path / "split.csv").write_text("file,split\na.mzML,test_2\n")
    report = build(tmp_path / "a.mzML", tmp_path / "out", split=str(tmp_path / "split.csv"))
    assert list(report.tables) == ["test_2/test_data"] and report.stats.source == "all rows"
    assert any("statistics of all rows" in line for line in report.warnings)


def test_a_small_library_labels_its_rows_and_is_credited(tmp_path):
    mz, intensity = np.arange(50.0, 130.0, 10), np.arange(1.0, 9.0)
    scans = [
        MadeScan(1, level=2, mz=mz, intensity=intensity),  # identified, but before any MS1
        MadeScan(2),
        MadeScan(3, level=2, mz=mz, intensity=intensity[::-1]),
        MadeScan(4, level=2, mz=mz, intensity=intensity, precursor_mz=250.04),
        MadeScan(5, level=2, mz=mz, intensity=intensity, polarity="negative"),
    ]
    write_mzml(tmp_path / "a.mzML", scans)
    peaks = "\n".join(f"{m} {i}" for m, i in zip(mz, intensity, strict=True))
    (tmp_path / "lib.mgf").write_text(
        "BEGIN IONS\nTITLE=MSBNK-7\nNAME=Codeine\nPEPMASS=250.0\nIONMODE=POSITIVE\n"
        f"LICENSE=CC BY\n{peaks}\nEND IONS\n"
    )
    report = build(tmp_path / "a.mzML", tmp_path / "out", library=str(tmp_path / "lib.mgf"))
    got = rows(tmp_path / "out" / "train_data")
    assert [(r["ms2_scan_number"], r["label"], r["compound_name"]) for r in got] == [
        (3, 0, ""),
        (4, 1, "Codeine"),
        (5, 0, ""),
    ]
    (credit,) = rows(tmp_path / "out" / "train_data_labels")
    assert (credit["row"], credit["accession"], credit["license"]) == (1, "MSBNK-7", "CC BY")
    assert credit["matched_peaks"] == 8 and credit["cosine"] == pytest.approx(1)
    counts = report.files[0].counts
    assert (counts.labelled, counts.labelled_rows, counts.ms2_before_ms1) == (2, 1, 1)
    assert report.tables["train_data"].labelled == 1


def test_rows_that_score_would_refuse_are_rows_still_and_are_told(tmp_path):
    marked = MadeScan(1)
    wide = MadeScan(2, level=2, ms1=1, window=(10.0, 10.0))
    sampled = MadeScan(3, mz=np.repeat(np.arange(100.0, 180, 10), 3) + [0, 0.001, 0.002] * 8)
    sampled.intensity = [5.0, 10.0, 5.0] * 8
    write_mzml(tmp_path / "a.mzML", [marked, wide, sampled, MadeScan(4, level=2, ms1=3)])
    report = build(tmp_path / "a.mzML", tmp_path / "out")
    counts = report.files[0].counts
    assert (counts.rows, counts.wide_windows, counts.partner_in_profile_mode) == (2, 1, 1)
    assert [r["ms2_scan_number"] for r in rows(tmp_path / "out" / "train_data")] == [2, 4]
    said = "\n".join(report.warnings)
    assert "1 row(s) have an MS1 in profile mode" in said and "more than 5 Th" in said


def refused(match, *arguments, **options):
    with pytest.raises(BadInput, match=match) as caught:
        build(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_refused_inputs(runs, tmp_path):
    out = tmp_path / "out"
    refused("nowhere", tmp_path / "nowhere", out)
    refused("only mzML and mzXML", runs / "vendor.raw", out)
    refused("no mzML or mzXML run", runs / "My_BLANK_1.mzML", out)
    refused("bad_rows=keep", runs, out, bad_rows="keep")
    refused("max_peaks", runs, out, max_peaks=0)
    refused("library=", runs, out, library=str(tmp_path / "none.mgf"))
    refused("local folder", runs, "s3://bucket/out")
    write_mzml(tmp_path / "ms1.mzML", [MadeScan(1)])
    refused("no MS2 scan", tmp_path / "ms1.mzML", out)
    write_mzml(tmp_path / "odd.mzML", [MadeScan(1), MadeScan(2, level=2, polarity=None)])
    refused(r"odd\.mzML: scan 2: states no polarity", tmp_path / "odd.mzML", out)
    assert not out.exists() and not list(tmp_path.glob(".partial*"))


def test_output_is_never_overwritten_and_that_is_known_before_reading(runs, tmp_path):
    build(runs / "a.mzML", tmp_path / "out")
    before = rows(tmp_path / "out" / "train_data")
    (runs / "a.mzML").write_text("not even a run")
    refused("already there", runs / "a.mzML", tmp_path / "out")
    assert rows(tmp_path / "out" / "train_data") == before
    (tmp_path / "empty").mkdir()
    build(runs / "MSV000012345", tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("file\na.mzML\n", "no column 'split'"),
        ("name,split\na.mzML,train\n", "no column 'file'"),
        ("file,split\na.mzML,training\n", "line 2: split 'training'"),
        ("file,split\nb.mzML,train\n", "a.mzML is not named"),
        ("file,split\na*,train\n*.mzML,test_1\n", "a.mzML is in the splits test_1, train"),
        ("", "no column"),
    ],
)
def test_refused_splits(tmp_path, text, match):
    write_mzml(tmp_path / "a.mzML", cycles(1))
    (tmp_path / "split.csv").write_text(text)
    refused(match, tmp_path / "a.mzML", tmp_path / "out", split=str(tmp_path / "split.csv"))


def test_split_takes_exact_names_before_globs_and_allows_gz_left_off(tmp_path):
    paths = tuple(Path(name) for name in ("x[1].mzML", "x1.mzML", "y.mzXML.gz"))
    (tmp_path / "s.csv").write_text(
        "file,split\nx[1].mzML,train\nx1.mzML,validation\ny.mzXML,test_3\nz*,train\n"
    )
    got = assign_tables(paths, tmp_path / "s.csv")
    assert got.tables == ("train_data", "validation_data", "test_3/test_data")
    assert got.unused == ("z*",)


def test_inputs_are_files_folders_globs_and_lists(runs):
    assert [p.name for p in find_runs(f"{runs}/**/*.mz*ML").paths] == ["b.mzXML", "a.mzML"]
    both = find_runs(f"{runs}/a.mzML, {runs}").paths
    assert sorted(p.name for p in both) == ["a.mzML", "b.mzXML"]
    (runs / "c,d.mzML").write_text((runs / "a.mzML").read_text())
    assert [p.name for p in find_runs(f"{runs}/c,d.mzML").paths] == ["c,d.mzML"]


def test_dataset_ids(runs, tmp_path):
    assert dataset_id_of(Path("x/MSV000000001/peak/a.mzML")) == "MSV000000001"
    assert dataset_id_of(Path("a.b.mzXML.gz")) == "a.b"
    build(runs, tmp_path / "out", dataset_id="mine")
    assert {r["dataset_id"] for r in rows(tmp_path / "out" / "train_data")} == {"mine"}


def test_same_input_same_rows(runs, tmp_path):
    build(runs, tmp_path / "one")
    build(runs, tmp_path / "two")
    assert rows(tmp_path / "one" / "train_data") == rows(tmp_path / "two" / "train_data")


BUILD = """
import sys
from priorwise.spectra.facts import inspect
from priorwise.spectra.ingest import build as ingest

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

baseline = status("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
ingest.build(sys.argv[1], sys.argv[2], progress=lambda n: None)
print(baseline, status("VmHWM"))
"""


def build_elsewhere(inputs, out, **options):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BUILD, str(inputs), str(out)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)


def test_a_killed_ingest_leaves_no_table_and_is_in_nobodys_way(tmp_path):
    with open(tmp_path / "big.mzML", "w") as file:
        stream_large_mzml(file, 60_000_000)
    out = tmp_path / "data"
    child = build_elsewhere(tmp_path / "big.mzML", out)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".partial-ingest-data-*/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert not out.exists()
    (leftover,) = tmp_path.glob(".partial-ingest-data-*")
    write_mzml(tmp_path / "a.mzML", cycles(2))
    report = build(tmp_path / "a.mzML", out)
    assert report.tables["train_data"].rows == 4
    assert any(leftover.name in line for line in report.warnings)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_memory_is_bounded_and_does_not_grow_with_the_input(tmp_path):
    peaks = {}
    for megabytes in (100, 1000):
        path = tmp_path / f"{megabytes}.mzML"
        with open(path, "w") as file:
            n_ms2 = stream_large_mzml(file, megabytes * 1_000_000)
        child = build_elsewhere(path, tmp_path / f"out{megabytes}")
        printed, _ = child.communicate()
        assert child.returncode == 0
        baseline, peak = map(float, printed.split())
        print(f"{megabytes} MB: import baseline {baseline:.0f} MB, peak {peak:.0f} MB")
        assert peak <= baseline + 300
        assert open_pinned(str(tmp_path / f"out{megabytes}" / "train_data")).n_rows == n_ms2
        peaks[megabytes] = peak
        path.unlink()
        shutil.rmtree(tmp_path / f"out{megabytes}")
    assert peaks[1000] == pytest.approx(peaks[100], rel=0.05)


def test_counts_of_the_shared_runs(tmp_path):
    shared = Path(os.environ.get("PRIORWISE_SHARED", REPOSITORY.parent / "shared"))
    folder = shared / "data" / "spectra"
    if not (folder / "runs").is_dir():
        pytest.skip(f"the shared runs are not at {folder} (set PRIORWISE_SHARED)")
    report = build(
        folder / "runs", tmp_path / "out", library=str(folder / "massbank_ccby_cc0.mgf.gz")
    )
    got = {
        Path(file.path).name: (file.counts.ms1, file.counts.ms2, file.counts.labelled)
        for file in report.files
    }
    assert got == REAL_COUNTS
    assert [Path(path).name for path in report.ignored] == ["rawrr_sample.raw.gz"]
    table = rows(tmp_path / "out" / "train_data")
    # two identified scans come before any MS1 scan of their cut-out run, so they are no rows
    assert len(table) == 2668 and sum(row["label"] for row in table) == 93
    credits = rows(tmp_path / "out" / "train_data_labels")
    assert [row["row"] for row in credits] == [i for i, row in enumerate(table) if row["label"]]
    assert all(row["accession"].startswith("MSBNK-") and row["license"] for row in credits)
    assert {
        row["instrument_settings"][15] for row in table if "negative" in row["source_file"]
    } == {0}
