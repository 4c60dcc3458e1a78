"""`score` as a phase: the model it takes, the files it may write, and what it leaves on the run."""

import os
import sys
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.pipelines.workplace import own_process
from tests.spectra.generated_runs import MadeScan, cycles, mzml_text, write_mzml
from tests.spectra.scored import lines
from tests.spectra.tiny_model import tiny_model


@pytest.fixture(scope="module")
def with_model(empty_store, tmp_path_factory):
    """A store with one logged model, and its id; nobody writes into it."""
    from tests.pipelines.workplace import Workplace

    from priorwise.phases.spectra_model import log_spectra_model
    from priorwise.tracking.runs import open_run

    place = Workplace.copy_of(empty_store, tmp_path_factory.mktemp("logged") / "work", Path())
    folder = place.folder / "network"
    tiny_model(folder, threshold=0.3, rule="percentile 5")
    with own_process(place), open_run("import") as track:
        model_id = log_spectra_model(track, folder)
        modes = {"recall.positive": 0.9, "recall.negative": 0.9}
        seen = {"recall": 0.9, **modes, "threshold": 0.3}
        track.model_metrics(model_id, seen, "test_3", "d" * 32)
    with own_process(place), open_run("evaluated elsewhere") as track:
        track.model_metrics(model_id, {"recall": 0.5, "threshold": 0.8}, "test_3", "d" * 32)
    return place.folder, model_id


@pytest.fixture
def place(with_model, tmp_path):
    from tests.pipelines.workplace import Workplace

    return Workplace.copy_of(with_model[0], tmp_path / "work", Path())


@pytest.fixture
def model(with_model):
    return f"models:/{with_model[1]}"


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    write_mzml(folder / "a.mzML", cycles(6))
    write_mzml(folder / "b.mzML", [*cycles(3), MadeScan(99, level=2, polarity=None)])
    return folder


def scored(place, code=0, **parameters):
    done = place.phase("score", **parameters)
    assert done.code == code, done.err
    return done


def test_a_folder_is_scored_and_the_run_tells_of_it(place, model, runs, tmp_path):
    out = tmp_path / "out" / "scores.csv"
    done = scored(place, model=model, inputs=runs, out=out, windows=2)
    table = lines(out)
    assert len(table) == 19 and sum(row["reason"] == "no polarity" for row in table) == 1
    kept = [row["identifiable"] for row in table].count("true")
    for row in table:
        if row["probability"]:
            assert (float(row["probability"]) >= 0.3) == (row["identifiable"] == "true")
    assert "a.mzML: 12 scans, 12 scorable; kept" in done.out
    assert "expected to keep 90.0 % of identifiable ones" in done.out
    assert "(not scorable: no polarity 1)" in done.out and "all 2 inputs: 19 scans" in done.out
    assert "threshold 0.3000 (percentile 5)" in done.out
    run = place.run("score")
    assert run.data.metrics == {
        "n": 19,
        "n_scorable": 18,
        "share_kept": pytest.approx(kept / 18),
        "reason.no_polarity": 1,
    }
    assert run.data.tags["complete"] == "true"
    assert run.data.tags["upstream.model"] == model.removeprefix("models:/")
    summary = lines(place.artifact(run, "summary.csv"))
    assert [row["scans"] for row in summary] == ["12", "7"]
    assert summary[1]["no polarity"] == "1" and summary[1]["damage"] == ""
    figures = {path.name for path in place.artifact(run, "figures").iterdir()}
    assert figures == {"scores_positive.png", "ms1_window_1.png", "ms1_window_2.png"}
    assert sorted(p.name for p in out.parent.iterdir()) == ["scores.csv"]


def test_another_threshold_promises_no_recall(place, model, runs, tmp_path):
    out = tmp_path / "o.csv"
    done = scored(place, model=model, inputs=runs, out=out, threshold=0)
    assert "expected" not in done.out and "kept 100.0 %" in done.out
    assert {row["identifiable"] for row in lines(out)} == {"true", ""}
    for wrong in ("1.5", "nan", "high", "-0.1"):
        assert "threshold" in scored(place, 2, model=model, inputs=runs, threshold=wrong).err


def test_without_out_the_file_lies_with_the_run(place, model, runs):
    scored(place, model=model, inputs=runs)
    run = place.run("score")
    (found,) = place.folder.rglob("scores.csv")
    assert found.parent.name == run.info.run_id and len(lines(found)) == 19


def test_an_existing_file_is_only_replaced_by_the_same_work(place, model, runs, tmp_path):
    out = tmp_path / "o.csv"
    scored(place, model=model, inputs=runs, out=out)
    first = out.read_bytes()
    again = scored(place, model=model, inputs=runs, out=out)
    assert "the same work" in again.out and out.read_bytes() == first
    done = scored(place, 2, model=model, inputs=runs / "a.mzML", out=out)
    assert "is there already (overwrite=true" in done.err and out.read_bytes() == first
    done = scored(place, 2, model=model, inputs=runs, out=out, threshold=0.1)
    assert "is there already" in done.err
    out.write_bytes(first + b"edited\n")
    assert "is there already" in scored(place, 2, model=model, inputs=runs, out=out).err
    scored(place, model=model, inputs=runs / "a.mzML", out=out, overwrite="true")
    assert len(lines(out)) == 12


def test_refused_before_any_work(place, model, runs, tmp_path):
    (runs / "l.mgf").write_text("BEGIN IONS\nPEPMASS=3\nEND IONS\n")
    hard = tmp_path / "hard.csv"
    hard.hardlink_to(runs / "a.mzML")
    cases = {
        "nothing given": {"model": model},
        "models:/nope@champion": {"model": "models:/nope@champion", "inputs": runs},
        "one of the inputs": {"model": model, "inputs": runs, "out": runs / "l.mgf"},
        "the same file as input": {"model": model, "inputs": runs, "out": hard},
        "o.txt": {"model": model, "inputs": runs, "out": tmp_path / "o.txt"},
        "windows": {"model": model, "inputs": runs, "windows": -1},
        "is a folder": {
            "model": model,
            "inputs": runs,
            "out": folder_named(tmp_path / "f.csv"),
            "overwrite": "true",
        },
    }
    before = {p for p in tmp_path.rglob("*") if "work" not in p.parts}
    for text, parameters in cases.items():
        done = scored(place, 2, **parameters)
        assert text in done.err and len(done.err.splitlines()) == 1, done.err
    assert {p for p in tmp_path.rglob("*") if "work" not in p.parts} == before


def folder_named(path):
    path.mkdir()
    return path


def test_damage_is_told_at_the_end_and_the_others_are_scored(place, model, runs, tmp_path):
    (runs / "aa.mzML").write_text(mzml_text(cycles(4))[:-300])
    out = tmp_path / "o.csv"
    done = scored(place, 2, model=model, inputs=runs, out=out)
    assert "aa.mzML: truncated" in done.err and "all other inputs are in it whole" in done.err
    files = [Path(row["file"]).name for row in lines(out)]
    assert files.count("a.mzML") == 12 and files.count("b.mzML") == 7
    assert 0 < files.count("aa.mzML") <= 8
    run = place.run("score")
    assert run.data.tags["exit.code"] == "2" and run.info.status == "FAILED"
    assert "truncated" in lines(place.artifact(run, "summary.csv"))[1]["damage"]

    alone = scored(place, 2, model=model, inputs=damaged(tmp_path), out=tmp_path / "p.csv")
    assert "nothing could be scored" in alone.err and not (tmp_path / "p.csv").exists()


def damaged(tmp_path):
    (tmp_path / "text.mzML").write_text("hello")
    return tmp_path / "text.mzML"


def test_a_model_without_statistics_scores_tables_only(place, simulated, runs, tmp_path):
    from priorwise.phases.spectra_model import log_spectra_model
    from priorwise.tracking.runs import open_run

    tiny_model(tmp_path / "bare", stats=None)
    with own_process(place), open_run("import") as track:
        model = f"models:/{log_spectra_model(track, tmp_path / 'bare')}"
    done = scored(place, 2, model=model, inputs=runs, out=tmp_path / "o.csv")
    assert "no statistics of its training settings" in done.err
    table = simulated / "validation_data"
    scored(place, model=model, inputs=table, out=tmp_path / "o.csv")
    done = place.phase(
        "predict",
        model=model,
        data=simulated,
        polarity="both",
        out=tmp_path / "p.csv",
        fetch_metadata="true",
    )
    assert done.code == 0, done.err
    ours, theirs = lines(tmp_path / "o.csv"), lines(tmp_path / "p.csv")
    assert [row["usi"] for row in ours] == [row["usi"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=1e-6)
    run = place.run("score")
    (known,) = run.inputs.dataset_inputs
    assert known.dataset.name == "validation_data" and len(known.dataset.digest) == 32
    inputs = place.run("predict").inputs.dataset_inputs
    assert known.dataset.digest == inputs[0].dataset.digest
    mgf = scored(place, 2, model=model, inputs=table, out=tmp_path / "o.mgf")
    assert "holds no MS2 peaks" in mgf.err


def test_a_table_z_scored_with_other_statistics_is_pointed_out(
    place, model, simulated, runs, tmp_path
):
    done = scored(place, model=model, inputs=simulated / "validation_data", out=tmp_path / "o.csv")
    assert "validation_data: its settings were z-scored with other statistics" in done.out
    done = scored(place, model=model, inputs=runs, out=tmp_path / "p.csv")
    assert "z-scored" not in done.out


BUCKET = "runs"


@pytest.fixture
def bucket(monkeypatch, place):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place.environment = variables
    client = boto3.client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"])
    client.create_bucket(Bucket=BUCKET)
    yield client
    server.stop()


def test_an_object_store_is_staged_one_file_at_a_time(
    place, bucket, model, runs, simulated, tmp_path, monkeypatch
):
    for key in ("x/MSV000000007/a.mzML", "x/b?#1.mzML", "x/notes.txt", "x/a.mzML.gz.md5"):
        bucket.upload_file(str(runs / "a.mzML"), BUCKET, key)
    for path in sorted((simulated / "validation_data").rglob("*")):
        if path.is_file():
            key = f"x/t/{path.relative_to(simulated / 'validation_data')}"
            bucket.upload_file(str(path), BUCKET, key)
    from priorwise.store import staging

    seen, out = [], tmp_path / "o.csv"
    download = staging._download

    def watched(file, target):
        seen.append([p for p in (tmp_path / "o.csv.partial").rglob("*.mzML")])
        assert tmp_path / "o.csv.partial" in target.parents
        download(file, target)

    monkeypatch.setattr(staging, "_download", watched)
    scored(place, model=model, inputs=f"s3://{BUCKET}/x", out=out)
    assert seen == [[], []]  # nothing staged is left when the next one comes
    monkeypatch.setattr(staging, "_download", download)
    table = lines(out)
    files = [row["file"] for row in table]
    assert files[:12] == [f"s3://{BUCKET}/x/MSV000000007/a.mzML"] * 12
    assert files[12:24] == [f"s3://{BUCKET}/x/b?#1.mzML"] * 12
    assert table[0]["usi"] == "mzspec:MSV000000007:a:scan:2" and len(table) == 24 + 150
    assert not (tmp_path / "o.csv.partial").exists()
    scored(place, model=model, inputs=runs / "a.mzML", out=tmp_path / "local.csv")
    local = [row["probability"] for row in lines(tmp_path / "local.csv")]
    assert [row["probability"] for row in table[:12]] == local
    done = scored(place, 2, model=model, inputs=f"s3://{BUCKET}/none", out=tmp_path / "p.csv")
    assert f"s3://{BUCKET}/none: no object there" in done.err
    scored(place, model=model, inputs=f"s3://{BUCKET}/x/b?#1.mzML", out=tmp_path / "q.csv")
    assert len(lines(tmp_path / "q.csv")) == 12


def test_without_the_extra_thermo_raw_is_refused_before_any_work(
    place, model, runs, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "opentfraw", None)
    (runs / "c.raw").write_bytes(b"x")
    done = scored(place, 2, model=model, inputs=runs, out=tmp_path / "o.csv")
    assert "c.raw: Thermo RAW files need the extra `raw` (pip install opentfraw" in done.err
    assert not list(tmp_path.glob("o.csv*"))


def test_a_pipe_is_no_file(place, model, runs, tmp_path):
    os.mkfifo(runs / "pipe.mzML")
    done = scored(place, 2, model=model, inputs=runs / "pipe.mzML", out=tmp_path / "o.csv")
    assert "pipe.mzML" in done.err
    scored(place, model=model, inputs=runs, out=tmp_path / "o.csv")
    assert len(lines(tmp_path / "o.csv")) == 19


def test_what_a_killed_scoring_left_among_the_inputs_is_no_input(place, model, runs):
    left = runs / "o.mgf.partial" / "work"
    left.mkdir(parents=True)
    (left / "out.mgf").write_text("BEGIN IONS\nPEPMASS=3\nEND IONS\n")
    done = scored(place, model=model, inputs=runs, out=runs / "o.mgf")
    assert "2 input(s)" in done.out and not left.exists()


def test_stopped_after_the_file_is_in_place_it_may_be_written_again(
    place, model, runs, tmp_path, monkeypatch
):
    from priorwise.phases import score as phase

    def stop(out):
        raise RuntimeError("killed")

    out = tmp_path / "o.csv"
    with monkeypatch.context() as patched:
        patched.setattr(phase, "clear", stop)
        with pytest.raises(RuntimeError, match="killed"):
            place.phase("score", model=model, inputs=runs, out=out)
    first = out.read_bytes()
    assert "the same work" in scored(place, model=model, inputs=runs, out=out).out
    assert out.read_bytes() == first


def test_a_file_that_came_meanwhile_is_not_replaced(place, model, runs, tmp_path, monkeypatch):
    from priorwise.phases import score as phase

    out, made = tmp_path / "o.csv", phase.workshop

    def late(path):
        path.write_text("of another process")
        return made(path)

    monkeypatch.setattr(phase, "workshop", late)
    done = scored(place, 2, model=model, inputs=runs, out=out)
    assert "is there already" in done.err and out.read_text() == "of another process"


def test_names_in_bytes_that_are_no_text(place, model, runs, tmp_path):
    os.rename(os.fsencode(runs / "a.mzML"), os.fsencode(runs) + b"/\xff.mzML")
    done = scored(place, model=model, inputs=runs, out=tmp_path / "o.csv")
    assert "\\udcff.mzML: 12 scans" in done.out
    done = scored(place, 2, model=model, inputs=runs, out=str(tmp_path) + "/\udcff.csv")
    assert "parameter out: " in done.err and "is no text (expected UTF-8)" in done.err


def test_more_windows_than_are_kept_are_refused(place, model, runs, tmp_path):
    done = scored(place, 2, model=model, inputs=runs, out=tmp_path / "o.csv", windows=17)
    assert "windows: 17" in done.err


def test_an_object_that_cannot_be_fetched_is_told_by_its_address(
    place, bucket, model, runs, tmp_path, monkeypatch
):
    long = "y/" + "n" * 300 + ".mzML"
    for key in (long, "y/gone.mzML"):
        bucket.upload_file(str(runs / "a.mzML"), BUCKET, key)
    bucket.put_object(Bucket=BUCKET, Key="y/z.mzML", Body=(runs / "a.mzML").read_bytes()[:3000])
    from boto3.exceptions import RetriesExceededError

    from priorwise.store import staging

    client = staging.client()
    fetch = client.download_file

    def flaky(bucket_name, key, target):
        if key.endswith("gone.mzML"):
            raise RetriesExceededError(OSError("reset"))
        fetch(bucket_name, key, target)

    monkeypatch.setattr(client, "download_file", flaky)
    monkeypatch.setattr(staging, "client", lambda: client)
    done = scored(place, 2, model=model, inputs=f"s3://{BUCKET}/y", out=tmp_path / "o.csv")
    assert f"s3://{BUCKET}/y/gone.mzML: cannot be read" in done.out
    assert f"s3://{BUCKET}/y/z.mzML: truncated" in done.out and ".partial" not in done.out
    assert [row["file"] for row in lines(tmp_path / "o.csv")][:12] == [f"s3://{BUCKET}/{long}"] * 12
