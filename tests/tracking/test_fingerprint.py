"""Two runs are the same work exactly if source, pins, configuration, data and upstream are."""

import hashlib
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.tracking import fingerprint as module
from priorwise.tracking.fingerprint import (
    NOT_FINGERPRINTED,
    file_sha256,
    fingerprint,
    git_dirty,
    source_digest,
)

CONFIG = {"epochs": 30, "monitor": "val_recall", "seed": 1, "encoder_lr": 5e-6}
BASE = ("bce_pretrain", CONFIG, ["d" * 32, "e" * 32], {"bce": "f" * 32})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project in place of this one."""
    (tmp_path / "src" / "package").mkdir(parents=True)
    (tmp_path / "entry_points").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "src" / "package" / "a.py").write_text("A = 1\n")
    (tmp_path / "entry_points" / "main.py").write_text("main()\n")
    for name in ("conda.yaml", "MLproject", "README.md"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(module, "PROJECT_ROOT", tmp_path)
    source_digest.cache_clear()
    yield tmp_path
    source_digest.cache_clear()


def now() -> str:
    source_digest.cache_clear()
    return source_digest()


def test_form():
    found = fingerprint(*BASE)
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")
    assert fingerprint(*BASE) == found


def test_is_the_hash_of_all_parts():
    """Written down a second time."""
    whole = {
        "config": dict(sorted(CONFIG.items())),
        "data": ["d" * 32, "e" * 32],
        "phase": "bce_pretrain",
        "source": source_digest(),
        "upstream": {"bce": "f" * 32},
    }
    expected = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
    assert fingerprint(*BASE) == expected


@pytest.mark.parametrize(
    "changed",
    [
        ("nnpu_train", *BASE[1:]),
        (BASE[0], {**CONFIG, "epochs": 31}, *BASE[2:]),
        (BASE[0], {**CONFIG, "encoder_lr": 5.000000000000001e-6}, *BASE[2:]),
        (BASE[0], {**CONFIG, "seed": 2}, *BASE[2:]),
        (BASE[0], {**CONFIG, "seed": "1"}, *BASE[2:]),
        (BASE[0], {**CONFIG, "scenario": "censoring"}, *BASE[2:]),
        (*BASE[:2], ["e" * 32, "d" * 32], BASE[3]),
        (*BASE[:2], ["d" * 32], BASE[3]),
        (*BASE[:3], {"bce": "0" * 32}),
        (*BASE[:3], {"init": "f" * 32}),
        (*BASE[:3], {}),
    ],
)
def test_what_decides_the_result_changes_it(changed):
    assert fingerprint(*changed) != fingerprint(*BASE)


@pytest.mark.parametrize("key", sorted(NOT_FINGERPRINTED))
def test_where_and_how_fast_do_not(key):
    assert fingerprint(BASE[0], {**CONFIG, key: "anything"}, *BASE[2:]) == fingerprint(*BASE)


def test_what_the_design_leaves_out_and_no_number_of_the_recipe():
    assert {"num_workers", "devices", "out", "config", "resume"} <= NOT_FINGERPRINTED
    kept = {"epochs", "batch_size", "seed", "monitor", "scenario", "loss", "estimator"}
    assert not kept & NOT_FINGERPRINTED


@given(st.permutations(sorted(CONFIG)))
def test_order_of_the_configuration_is_no_matter(keys):
    assert fingerprint(BASE[0], {k: CONFIG[k] for k in keys}, *BASE[2:]) == fingerprint(*BASE)


@pytest.mark.parametrize("path", ["src/package/a.py", "entry_points/main.py", "conda.yaml"])
def test_source_digest_sees_every_changed_byte(project, path):
    before = now()
    (project / path).write_text((project / path).read_text() + "#")
    assert now() != before


def test_source_digest_sees_new_moved_and_removed_files(project):
    seen = {now()}
    (project / "src" / "package" / "b.py").write_text("")
    seen.add(now())
    (project / "src" / "package" / "b.py").rename(project / "src" / "package" / "c.py")
    seen.add(now())
    (project / "MLproject").unlink()
    seen.add(now())
    assert len(seen) == 4


def test_source_digest_does_not_see_docs(project):
    before = now()
    (project / "README.md").write_text("changed")
    (project / "docs" / "new.md").write_text("new")
    (project / "src" / "package" / "notes.txt").write_text("new")
    assert now() == before


def test_source_digest_is_part_of_the_fingerprint(project):
    before = fingerprint(*BASE)
    (project / "src" / "package" / "a.py").write_text("A = 2\n")
    source_digest.cache_clear()
    assert fingerprint(*BASE) != before


def test_git_dirty(project, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    assert git_dirty() == "unknown"
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True, timeout=20)
    assert git_dirty() == "false"
    (project / "README.md").write_text("changed")
    assert git_dirty() == "true"


def test_git_dirty_without_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_dirty() == "unknown"


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_file_sha256(tmp_path, size):
    content = b"x" * size
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
