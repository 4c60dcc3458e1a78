"""Cases 106 and 111: no name in a store, an archive or a tag leads out of its folder."""

import os
import re
import shutil
from pathlib import Path

import pytest
from mlflow.entities import RunTag
from tests.pipelines.stand_in_s3 import bucket_of_a_user, stand_in_s3
from tests.security.evil import repacked

from priorwise.errors import BadInput, TrackingFailure
from priorwise.learn.plain_checkpoint import read_plain
from priorwise.rna.formats.read import read_files
from priorwise.serving.fresh_process import works_alone
from priorwise.spectra.ingest.formats import iter_any_scans
from priorwise.store.staging import remote_files, staged, staged_file
from priorwise.tracking.models import Models
from priorwise.tracking.search import History

SECRET = b"the secret of somebody else"


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_bytes(SECRET)
    return path


# --- keys of an object store ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def variables():
    with stand_in_s3() as found:
        yield found


@pytest.fixture
def bucket(variables, monkeypatch):
    client = bucket_of_a_user(variables, monkeypatch, "bucket")
    yield client
    for item in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=item["Key"])
    client.delete_bucket(Bucket="bucket")


def test_keys_that_climb_or_begin_at_the_root_stay_below_the_copy(bucket, tmp_path):
    target = tmp_path / "written"
    evil = (str(target), f"/{target}", f"in/../../../..{target}", "in/../x", "..", "in/a/./b")
    for key in (*evil, f"in/{target}", f"in//{target}", "in/ok.csv"):
        bucket.put_object(Bucket="bucket", Key=key, Body=b"x")
    for address in (
        "s3://bucket/in",
        "s3://bucket/",
        f"s3://bucket/{target}",
        "s3://bucket//",
    ):
        with staged(address) as place:
            root = Path(place) if Path(place).is_dir() else Path(place).parent
            assert root.is_relative_to(tempfile_root())
            for path in root.rglob("*"):
                assert path.resolve().is_relative_to(root.resolve())
        assert not target.exists()
    for file in remote_files("s3://bucket/"):
        assert ".." not in file.key.parts
        with staged_file(file, tmp_path) as copy:
            assert copy.resolve().is_relative_to(tmp_path.resolve())
        assert not target.exists()


def tempfile_root() -> str:
    import tempfile

    return tempfile.gettempdir()


def test_a_key_below_another_key_is_refused_in_one_line(bucket):
    bucket.put_object(Bucket="bucket", Key="in/a", Body=b"x")
    bucket.put_object(Bucket="bucket", Key="in/a/b", Body=b"y")
    with pytest.raises(BadInput, match="cannot be read"), staged("s3://bucket/in"):
        pass


# --- archives -------------------------------------------------------------------------------------


def test_a_checkpoint_is_read_in_place_and_nothing_is_unpacked(tmp_path):
    import zipfile

    import torch

    torch.save({"state_dict": {"a": torch.zeros(3)}}, tmp_path / "a.ckpt")
    evil = repacked(tmp_path / "a.ckpt", tmp_path / "b.ckpt", zipfile.ZIP_STORED)
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr("a/../../written", "x")
        archive.writestr(f"a//{tmp_path}/written", "x")
    before = sorted(tmp_path.rglob("*"))
    assert set(read_plain(evil)) == {"state_dict"}
    assert sorted(tmp_path.rglob("*")) == before and not (tmp_path.parent / "written").exists()


# --- what is no file ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mzML", "a.mgf", "a.raw", "a.fasta", "a.csv", "a.ct"])
def test_a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadInput, match="is no file|extra `raw`"):
        if name.endswith(("mzML", "mgf", "raw")):
            list(iter_any_scans(tmp_path / name))
        else:
            read_files([tmp_path / name], "refuse")


# --- artifacts and models -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "escape",
    ["../../../secret.txt", "checkpoints/../../../../secret.txt", "/etc/passwd", "..", "a/../../b"],
)
def test_an_artifact_path_in_a_tag_does_not_lead_out_of_the_run(runs, tmp_path, secret, escape):
    run_id = runs.bce()
    history = History(runs.client, runs.experiment_id)
    runs.client.log_batch(run_id, tags=[RunTag("checkpoint.path", escape)])
    with pytest.raises(TrackingFailure, match="leads out of the run"):
        history.fetch(run_id, escape)
    assert history.checkpoint_sha256(history.run(run_id)) is None


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_symbolic_link_among_artifacts_is_not_followed(runs, tmp_path, secret, where):
    run_id = runs.bce()
    history = History(runs.client, runs.experiment_id)
    uri = runs.client.get_run(run_id).info.artifact_uri
    path = Path(uri.removeprefix("file://"), history.run(run_id).tags["checkpoint.path"])
    if where == "file":
        path.unlink()
        path.symlink_to(secret)
    else:
        moved = tmp_path / "elsewhere"
        shutil.move(path.parent, moved)
        path.parent.symlink_to(moved)
    with pytest.raises(TrackingFailure, match="symbolic link"):
        history.checkpoint(history.run(run_id))
    with pytest.raises(TrackingFailure, match="symbolic link"):
        history.fetch(run_id, "")  # what a resume would copy
    assert history.checkpoint_sha256(history.run(run_id)) is None


@pytest.fixture
def trained(after_phase_2):
    """A place with a model that a training logged, its id and its folder."""
    run = after_phase_2.run("bce_pretrain", "positive")
    return after_phase_2, run.data.tags["model.id"], after_phase_2.model(run)


def models_of(place) -> Models:
    return Models(place.client, History(place.client, "0"))


def test_a_symbolic_link_in_a_model_is_not_followed(trained, secret):
    place, model_id, folder = trained
    (folder / "artifacts" / "network" / "notes.txt").symlink_to(secret)
    for read in (models_of(place).whole, lambda i: models_of(place).find(f"models:/{i}")):
        with pytest.raises(BadInput, match="symbolic link"):
            read(model_id)
    done = place.phase("predict", model=f"models:/{model_id}", polarity="positive")
    assert done.code == 2 and "symbolic link" in done.err


def test_a_model_as_it_was_logged_is_given(trained):
    place, model_id, folder = trained
    (folder / "code" / "__pycache__").mkdir(exist_ok=True)  # as loading it in place leaves
    (folder / "code" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert models_of(place).whole(model_id) == folder


@pytest.mark.parametrize("what", ["code", "loader", "new file", "pins", "no record"])
def test_code_that_was_not_logged_is_not_run(trained, tmp_path, what):
    """Case 106: no pickle is needed to run code in a model; MLflow runs what the folder names."""
    place, model_id, folder = trained
    marker = tmp_path / "executed"
    evil = f"import os\nos.mkdir({str(marker)!r})\n"
    if what == "code":
        path = next((folder / "code").rglob("errors.py"))
        path.write_text(path.read_text() + evil)
    elif what == "loader":
        (folder / "code" / "evil_loader.py").write_text(evil + "def _load_pyfunc(path): pass\n")
        text = (folder / "MLmodel").read_text()
        changed = re.sub("loader_module: .*", "loader_module: evil_loader", text)
        assert changed != text
        (folder / "MLmodel").write_text(changed)
    elif what == "new file":
        (folder / "code" / "sitecustomize.py").write_text(evil)
    elif what == "pins":
        (folder / "requirements.txt").write_text("evil==1.0\n")
    else:
        place.client.delete_logged_model_tag(model_id, "model.files")
    with pytest.raises(BadInput, match="its code is not run"):
        models_of(place).whole(model_id)
    place.phase("promote", version=f"models:/{model_id}")
    table = place.artifact(place.run("promote"), "decision.csv").read_text()
    assert "its code is not run" in table
    assert not marker.exists()
    # what needs weights only still works: it never runs the model's code
    done = place.phase("predict", model=f"models:/{model_id}", polarity="positive")
    assert done.code == 0, done.err
    assert not marker.exists()


def test_that_code_would_have_been_run(trained, tmp_path):
    """The test above can fail: loading such a model does run it, pickle forbidden or not."""
    _, _, folder = trained
    marker = tmp_path / "executed"
    path = next((folder / "code").rglob("errors.py"))
    path.write_text(path.read_text() + f"import os\nos.makedirs({str(marker)!r}, exist_ok=True)\n")
    works_alone(folder)
    assert marker.exists()


def test_compiled_code_beside_the_source_is_not_run(trained, tmp_path):
    """Python would take a cached file in place of the source that the digest is of."""
    import importlib.util
    import py_compile

    _, _, folder = trained
    marker = tmp_path / "executed"
    path = next((folder / "code").rglob("errors.py"))
    source, times = path.read_text(), path.stat()
    path.write_text(source + f"import os\nos.makedirs({str(marker)!r}, exist_ok=True)\n")
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(
        str(path), importlib.util.cache_from_source(str(path)), invalidation_mode=unchecked
    )
    path.write_text(source)
    os.utime(path, (times.st_atime, times.st_mtime))
    works_alone(folder)
    assert not marker.exists()
