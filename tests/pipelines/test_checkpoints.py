"""Checkpoints that were damaged, and a disk that is full: nothing is lost, nothing is believed."""

import os
import shutil
import sys

import pytest
from tests.pipelines.test_resume import (
    EPOCHS,
    STEPS,
    assert_same,
    interrupted,
    left_by,
    resumed,
    signal_at,
    undisturbed,
)
from tests.test_durable import own_mounts

from priorwise.durable import damage, sidecar
from priorwise.errors import BadInput
from priorwise.learn.plain_checkpoint import read_plain

#: pytest finds them by their names
__all__ = ["signal_at", "undisturbed"]
KINDS = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "one bit": lambda content: content[:5000] + bytes([content[5000] ^ 4]) + content[5001:],
}


@pytest.fixture
def stopped(workplace, signal_at, monkeypatch):
    """A training that was stopped in its third epoch, and the folder of its checkpoints."""
    signal_at("training_step", 2 * STEPS + 4)
    run = interrupted(workplace, epochs=EPOCHS)
    monkeypatch.undo()
    return run, workplace.folder / ".priorwise" / "runs" / run.info.run_id / "checkpoints"


def spoil(path, how):
    path.write_bytes(KINDS[how](path.read_bytes()))


@pytest.mark.parametrize("how", sorted(KINDS))
def test_a_damaged_last_one_is_passed_over(workplace, undisturbed, stopped, how):
    run, folder = stopped
    spoil(folder / "last.ckpt", how)
    done = workplace.phase("bce_pretrain", epochs=EPOCHS, resume=run.info.run_id)
    assert done.code == 0, done.err
    (said,) = [line for line in done.out.splitlines() if "damaged" in line]
    assert "last.ckpt" in said and "previous.ckpt" in said and " bytes" in said
    assert_same(left_by(workplace, workplace.client.get_run(run.info.run_id)), undisturbed)


def test_a_last_one_that_is_gone_is_passed_over(workplace, undisturbed, stopped):
    run, folder = stopped
    (folder / "last.ckpt").unlink()
    again = resumed(workplace, run, epochs=EPOCHS)
    assert_same(left_by(workplace, again), undisturbed)


@pytest.mark.parametrize("how", sorted(KINDS))
def test_where_none_is_sound_nothing_is_resumed(workplace, stopped, how):
    run, folder = stopped
    for name in ("last.ckpt", "previous.ckpt"):
        spoil(folder / name, how)
    sizes = [(folder / name).stat().st_size for name in ("last.ckpt", "previous.ckpt")]
    done = workplace.phase("bce_pretrain", epochs=EPOCHS, resume=run.info.run_id)
    assert done.code == 2
    (said,) = done.err.splitlines()
    assert run.info.run_id in said
    for name, size in zip(("last.ckpt", "previous.ckpt"), sizes, strict=True):
        place = (folder / name).relative_to(workplace.folder)
        assert f"{place}: {size} bytes" in said
    assert workplace.client.get_run(run.info.run_id).info.status == "FAILED"


def test_a_damaged_best_one_is_not_kept(workplace, stopped):
    run, folder = stopped
    (best,) = folder.glob("best_model-*.ckpt")
    spoil(best, "one bit")
    done = workplace.phase("bce_pretrain", epochs=EPOCHS, resume=run.info.run_id)
    assert done.code == 2
    assert best.name in done.err and "damaged" in done.err


def test_every_reader_compares_the_digest_that_lies_beside_a_checkpoint(stopped):
    _, folder = stopped
    assert read_plain(folder / "last.ckpt")["state_dict"]
    spoil(folder / "last.ckpt", "one bit")
    with pytest.raises(BadInput, match=r"last.ckpt: is damaged \(\d+ bytes, sha256"):
        read_plain(folder / "last.ckpt")
    spoil(folder / "last.ckpt", "one bit")  # back
    sidecar(folder / "last.ckpt").unlink()  # as of a published one: then it is read
    assert read_plain(folder / "last.ckpt")["state_dict"]
    for how in ("truncated", "empty"):
        spoil(folder / "previous.ckpt", how)
        sidecar(folder / "previous.ckpt").unlink(missing_ok=True)
        with pytest.raises(BadInput, match=r"previous.ckpt: not a readable checkpoint \(\d+ byt"):
            read_plain(folder / "previous.ckpt")


def test_a_damaged_checkpoint_is_not_imported(workplace, stopped):
    _, folder = stopped
    spoil(folder / "last.ckpt", "one bit")
    given = {"checkpoint": folder / "last.ckpt", "name": "imported"}
    done = workplace.phase("import_checkpoint", **given)
    assert done.code == 2
    assert f"{folder / 'last.ckpt'}: is damaged" in done.err


def test_a_training_keeps_the_best_the_last_and_the_one_before(workplace):
    assert workplace.phase("bce_pretrain", epochs=EPOCHS).code == 0
    run = workplace.run("bce_pretrain")
    folder = workplace.folder / ".priorwise" / "runs" / run.info.run_id / "checkpoints"
    kept = {path.name for path in folder.iterdir()}
    best = workplace.checkpoint(run).name
    names = {best, "last.ckpt", "previous.ckpt"}
    assert kept == names | {f"{name}.sha256" for name in names}
    assert not any(damage(folder / name) for name in names)
    uploaded = workplace.artifact(run, "checkpoints")
    assert not any(damage(uploaded / name) for name in (best, "last.ckpt"))


@pytest.mark.skipif(not own_mounts(), reason="this user may not mount a small disk")
def test_a_full_disk_ends_the_training_and_it_goes_on_elsewhere(
    workplace, undisturbed, project, tmp_path
):
    """The disk has room for the first epoch's checkpoints, and not for all of the second's."""
    size = undisturbed["size"] * 7 // 2
    disk = tmp_path / "disk"
    disk.mkdir()
    flags = workplace.flags("bce_pretrain", {"epochs": EPOCHS, "out": disk})
    script = [sys.executable, "-P", project / "entry_points" / "bce_pretrain.py", *flags]
    copy = f"rc=$?; cp -a {disk}/. {tmp_path}/seen; exit $rc"
    process = workplace.start(
        ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={size} none {disk}; "$@"; {copy}']
        + ["sh", *script],
        {"PYTHONPATH": str(project / "src"), "TMPDIR": str(tmp_path)},
    )
    assert process.wait(120) == 2, workplace.stderr
    said = workplace.stderr.splitlines()[-1]
    assert ".ckpt: cannot be written (No space left on device" in said
    (run,) = workplace.runs()
    assert run.info.status == "FAILED" and "complete" not in run.data.tags
    folder = tmp_path / "seen" / run.info.run_id / "checkpoints"
    assert damage(folder / "last.ckpt") is None
    shutil.rmtree(tmp_path / "seen")
    os.rmdir(disk)
    again = resumed(workplace, run, epochs=EPOCHS)
    assert_same(left_by(workplace, again), undisturbed)
