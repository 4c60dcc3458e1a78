"""Cases 101 to 105 and 115: files that would run code, or eat the machine, are refused."""

import gzip
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch
from tests.security.evil import (
    evil_checkpoint,
    evil_old_checkpoint,
    evil_pickle,
    repacked,
    web_server,
)

from priorwise.errors import BadInput
from priorwise.learn.network_folder import read_weights
from priorwise.learn.plain_checkpoint import read_plain
from priorwise.phases.desk import Recipe
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.formats import streams
from priorwise.rna.formats.read import read_files
from priorwise.spectra.checkpoint import load_network, read_checkpoint
from priorwise.spectra.published import read_published

ROOT = Path(__file__).resolve().parents[2]
READERS = (read_plain, read_checkpoint, load_network, read_published, kept_weights)
BY_NAME = {"ids": lambda reader: getattr(reader, "__name__", None)}


@pytest.fixture
def marker(tmp_path) -> Path:
    return tmp_path / "executed"


def one_line(err: str) -> None:
    """One line for the user, beside the bars of progress."""
    said = [line for line in err.splitlines() if line.strip() and "it/s" not in line]
    assert len([line for line in said if line.startswith("priorwise ")]) == 1, err
    assert all(line.startswith(("priorwise ", "ingest:", "score:")) for line in said), err


def refusal(reader, path) -> str:
    with pytest.raises(BadInput) as caught:
        reader(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_files_are_as_evil_as_they_say(tmp_path):
    """Each does execute where nobody looks; otherwise the tests below would show nothing."""
    for number, make in enumerate((evil_checkpoint, evil_old_checkpoint)):
        there = tmp_path / f"m{number}"
        torch.load(make(tmp_path / "a.ckpt", there), weights_only=False)
        assert there.exists()
    pickle.loads(evil_pickle(tmp_path / "a.pkl", tmp_path / "m2").read_bytes())
    assert (tmp_path / "m2").exists()


# --- 101: a pickle in place of data ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "parameter", "name"),
    [
        ("dataset_stats", "data", "data.pkl"),
        ("bce_pretrain", "data", "data.pkl"),
        ("bce_pretrain", "config", "recipe.yaml"),
        ("bce_pretrain", "data_val", "val.npy"),
        ("ingest", "inputs", "run.mzML"),
        ("ingest", "inputs", "run.mzXML.gz"),
        ("ingest", "inputs", "run.pkl"),
        ("rna_prepare", "inputs", "rna.csv"),
        ("rna_prepare", "inputs", "rna.fasta"),
        ("rna_prepare", "inputs", "rna.ct"),
        ("rna_pretrain", "data", "rna.pkl"),
        ("plot_metrics", "metrics_file", "training_metrics.csv"),
        ("import_checkpoint", "checkpoint", "best.ckpt"),
        ("import_checkpoint", "settings_stats", "stats.json"),
        ("score", "inputs", "run.raw"),
    ],
)
def test_a_pickle_in_place_of_data(workplace, tmp_path, marker, phase, parameter, name):
    path = evil_pickle(tmp_path / name, marker)
    given = {parameter: path}
    if parameter == "settings_stats":
        given["checkpoint"] = ROOT / "pyproject.toml"
    if phase == "rna_prepare":
        given["source"] = "files"
    done = workplace.phase(phase, **given)
    assert done.code == 2, done.out
    one_line(done.err)
    assert not marker.exists()
    assert all(run.info.status == "FAILED" for run in workplace.runs())


# --- 102, 103: checkpoints, local and at an address -----------------------------------------------


@pytest.mark.parametrize("reader", READERS, **BY_NAME)
@pytest.mark.parametrize("make", [evil_checkpoint, evil_old_checkpoint, evil_pickle], **BY_NAME)
def test_nothing_in_a_checkpoint_is_run(tmp_path, marker, reader, make):
    said = refusal(reader, make(tmp_path / "a.ckpt", marker))
    assert str(tmp_path / "a.ckpt") in said
    assert not marker.exists()


@pytest.mark.parametrize("reader", READERS, **BY_NAME)
@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "file", "memory", "s3"])
def test_no_reader_follows_an_address(tmp_path, marker, reader, scheme):
    evil = evil_checkpoint(tmp_path / "a.ckpt", marker).read_bytes()
    with web_server(evil) as (address, asked):
        url = address.replace("http", scheme) + "/a.ckpt"
        refusal(reader, Path(url))
        refusal(reader, Path(f"file://{tmp_path}/a.ckpt"))
    assert asked == []
    assert not marker.exists()


@pytest.mark.parametrize(
    ("phase", "parameter"),
    [("import_checkpoint", "checkpoint"), ("import_checkpoint", "settings_stats")]
    + [("score", "inputs"), ("ingest", "inputs"), ("rna_prepare", "inputs"), ("predict", "model")]
    + [("nnpu_train", "init_from"), ("dataset_stats", "data"), ("bce_pretrain", "config")],
)
def test_no_phase_follows_an_address(workplace, tmp_path, marker, phase, parameter):
    evil = evil_checkpoint(tmp_path / "a.ckpt", marker).read_bytes()
    given = {"checkpoint": tmp_path / "a.ckpt"} if parameter == "settings_stats" else {}
    if phase == "rna_prepare":
        given["source"] = "files"
    with web_server(evil) as (address, asked):
        done = workplace.phase(phase, **given, **{parameter: f"{address}/a.ckpt"})
    assert done.code in (2, 3), done.out
    assert asked == []
    assert not marker.exists()


def test_a_checkpoint_of_ours_that_was_swapped_is_neither_loaded_nor_resumed(after_phase_2, marker):
    place = after_phase_2
    best = place.checkpoint(place.run("bce_pretrain", "positive"))
    evil_checkpoint(best, marker)
    done = place.phase("estimate_prior", polarity="positive")
    assert done.code == 3 and not marker.exists()
    assert "Traceback" not in done.err


# --- 104, 105: what we write needs no pickle ------------------------------------------------------


def test_our_checkpoints_hold_tensors_and_plain_values_only(after_phase_2):
    for polarity in ("positive", "negative"):
        run = after_phase_2.run("bce_pretrain", polarity)
        for path in after_phase_2.artifact(run, "checkpoints").glob("*.ckpt"):
            assert {"state_dict", "hyper_parameters"} <= set(read_plain(path))


def test_our_models_load_with_pickle_forbidden(after_phase_2, tmp_path):
    """In a process that has the switch from the start, and nothing of ours on its path."""
    model = after_phase_2.model(after_phase_2.run("bce_pretrain"))
    assert not [p.name for p in model.rglob("*") if p.suffix in {".pkl", ".pickle", ".joblib"}]
    code = (
        "import mlflow.pyfunc, sys; model = mlflow.pyfunc.load_model(sys.argv[1]); "
        "print(len(model.predict(model.input_example)))"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(model)],
        cwd=tmp_path,
        env={**kept, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 0


def test_every_entry_point_forbids_pickle_to_mlflow(workplace, project):
    """Whatever the user's shell says: read back from the process itself."""
    (project / "entry_points" / "told.py").write_text(
        "import os\nfrom priorwise import cli\n"
        "try:\n    cli.run_entry('dataset_stats')\n"
        "finally:\n    print('SWITCH', os.environ['MLFLOW_ALLOW_PICKLE_DESERIALIZATION'])\n"
    )
    workplace.environment = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}
    process = workplace.script(project, "told")
    assert process.wait(120) == 0, workplace.stderr
    assert workplace.stdout.strip().endswith("SWITCH false")
    (project / "entry_points" / "told.py").unlink()


# --- 115: files that explode ----------------------------------------------------------------------


def grown(code: str, path: Path, limit: float = 120) -> tuple[str, float]:
    """What a reader says in a process of its own, and by how many MB its memory grew."""
    program = textwrap.dedent(
        """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
        from pathlib import Path
        from priorwise.errors import BadInput
        {code}
        path = Path(sys.argv[1])
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before = peak()
        try:
            read(path)
            said = "read"
        except BadInput as error:
            said = "refused: " + str(error).replace(chr(10), "<newline>")
        print(f"{{peak() - before:.0f}} {{said}}")
        """
    ).format(code=code)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=limit,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    size, _, said = done.stdout.strip().partition(" ")
    return said, float(size)


READ_PLAIN = "from priorwise.learn.plain_checkpoint import read_plain as read"
READ_RECIPE = "from priorwise.phases.desk import Recipe\ndef read(path): Recipe(str(path))"
READ_RNA = (
    "from priorwise.rna.formats.read import read_files\n"
    "def read(path): read_files([path], 'refuse')"
)
READ_RUN = (
    "from priorwise.spectra.ingest.formats import iter_any_scans\n"
    "def read(path):\n    for scan in iter_any_scans(path): pass"
)
MB = 200


def test_a_checkpoint_that_is_a_zip_bomb(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, tmp_path / "a.ckpt")
    bomb = repacked(
        tmp_path / "a.ckpt", tmp_path / "b.ckpt", zipfile.ZIP_DEFLATED, data_0=bytes(10**9)
    )
    big = repacked(tmp_path / "a.ckpt", tmp_path / "c.ckpt", zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2 << 20
    said, size = grown(READ_PLAIN, bomb)
    assert "would expand" in said and size < MB
    assert "would expand" in refusal(read_plain, big)


def test_a_checkpoint_that_asks_for_a_buffer_of_any_size(tmp_path):
    """torch's own allow-list has `bytearray`: 40 GB from a file of a kilobyte."""

    class Greedy:
        def __reduce__(self):
            return bytearray, (40 * 10**9,)

    torch.save({"state_dict": Greedy()}, tmp_path / "a.ckpt")
    said, size = grown(READ_PLAIN, tmp_path / "a.ckpt")
    assert "refused" in said and size < MB


def test_a_checkpoint_whose_lists_hold_each_other(tmp_path):
    lists: list = ["lol"] * 10
    for _ in range(30):
        lists = [lists] * 10
    torch.save({"state_dict": {}, "hyper_parameters": {"a": lists}}, tmp_path / "a.ckpt")
    endless: list = []
    endless.append(endless)
    torch.save({"state_dict": {}, "hyper_parameters": endless}, tmp_path / "b.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        said, size = grown(READ_PLAIN, tmp_path / name)
        assert "nested endlessly" in said and size < MB


def laughs(depth: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, depth):
        below = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{below}]")
    return "\n".join(lines) + f"\nbce_pretrain:\n  epochs: *a{depth - 1}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!!python/object/apply:os.mkdir [{marker}]", "is not YAML"),
        ("bce_pretrain: !!python/object/apply:os.mkdir [{marker}]", "is not YAML"),
        ("bce_pretrain:\n  epochs: !!python/object/new:os.mkdir [{marker}]", "is not YAML"),
        ("bce_pretrain:\n  epochs: !!python/name:os.mkdir ''", "is not YAML"),
        ("!!python/module:antigravity ''", "is not YAML"),
        (laughs(12), "unknown section 'a0'"),
        ("bce_pretrain:\n" + laughs(12).replace("a", "  a", 1), "config"),
        ("[" * 100_000, "is not YAML"),
        ("bce_pretrain: {a: " * 5000, "is not YAML"),
        ("bce_pretrain:\n  epochs: 2026-13-45\n", "is not YAML"),
        ("bce_pretrain:\n  epochs: " + "9" * 5000, "config"),
        ('bce_pretrain:\n  data: "a\\0b"\n', "NUL"),
        ("# " + "a" * (2 << 20), "is no recipe"),
        ("? [a, b]\n: c\n", "is not YAML"),
    ],
    ids=range(14),
)
def test_a_recipe_that_runs_or_explodes(workplace, tmp_path, marker, text, said):
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace("{marker}", repr(str(marker))))
    done = workplace.phase("bce_pretrain", config=path)
    assert done.code == 2, done.out
    assert said in done.err and len(done.err.strip().splitlines()) == 1
    assert len(done.err) < 2000
    assert not marker.exists()


def test_a_recipe_is_small_in_memory(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(laughs(30))
    said, size = grown(READ_RECIPE, path)
    assert said.startswith("refused") and size < MB
    said, size = grown(READ_RECIPE, Path("/dev/zero"))
    assert "is no recipe" in said and size < MB


@pytest.mark.parametrize("name", ["a.fasta.gz", "a.csv.gz", "a.dbn.gz", "a.bpseq.gz", "a.ct.gz"])
def test_sequences_that_are_a_gzip_bomb(tmp_path, name):
    path = tmp_path / name
    with gzip.open(path, "wb") as file:
        for _ in range(300):
            file.write(b"A" * (1 << 20))
    said, size = grown(READ_RNA, path)
    assert "characters" in said and size < MB


def test_lines_of_a_gzip_bomb_are_counted_too(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "MAX_EXPANSION_FLOOR", 1 << 20)
    path = tmp_path / "a.fasta.gz"
    path.write_bytes(gzip.compress(b">a\n" + b"ACGU\n" * (1 << 20)))
    assert "expands to more than" in refusal(lambda p: read_files([p], "refuse"), path)
    monkeypatch.setattr(streams, "MAX_EXPANSION", 10_000)
    assert len(read_files([path], "refuse").records) == 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]>', "&a;"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">', ""),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;"),
        ("", "&a;"),
    ],
)
@pytest.mark.parametrize("root", ["mzML", "mzXML"])
def test_xml_entities_are_not_expanded(tmp_path, root, head, body):
    path = tmp_path / f"run.{root}"
    path.write_text(f'<?xml version="1.0"?>{head}<{root}>{body}</{root}>')
    said, size = grown(READ_RUN, path)
    assert said.startswith("refused") and "root:" not in said and size < MB


def test_xml_that_is_nested_without_end(tmp_path):
    path = tmp_path / "run.mzXML"
    path.write_text("<mzXML>" + '<scan num="1" msLevel="1">' * 200_000)
    said, size = grown(READ_RUN, path)
    assert said.startswith("refused") and size < 1000


def test_weights_that_claim_more_than_there_is(tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "not a saved model" in refusal(read_weights, tmp_path)
    (tmp_path / "model.safetensors").write_bytes((2**63).to_bytes(8, "little"))
    assert "not a saved model" in refusal(read_weights, tmp_path)


def test_a_recipe_is_read_as_text_and_nothing_else(tmp_path):
    """The reader itself, without the command line around it."""
    path = tmp_path / "recipe.yaml"
    path.write_text("bce_pretrain:\n  epochs: 3\n")
    assert Recipe(str(path)).arguments("bce_pretrain") == ["--epochs=3"]
