"""The MNIST loader reads arrays, and nothing else."""

import gzip
import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from benchmarks import mnist, wheels


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data)


class OldNames(pickle._Pickler):
    """Writes NumPy's module names as NumPy 1 did, as the wheel's file does."""

    def save_global(self, obj: object, name: str | None = None) -> None:
        if getattr(obj, "__module__", "").startswith("numpy._core"):
            self.write(f"cnumpy.core.multiarray\n{name or obj.__name__}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch = dict(pickle._Pickler.dispatch)


def test_arrays_come_back_in_both_spellings() -> None:
    images = np.arange(12, dtype=np.float32).reshape(3, 4)
    parts = ((images, np.array([1, 2, 3])), (images * 2, np.array([4, 5, 6])))
    old = io.BytesIO()
    # protocol 3: bytes stay bytes, without a helper function that the file of NumPy 1 lacks
    OldNames(old, protocol=3).dump(parts)
    assert b"numpy.core.multiarray" in old.getvalue()
    for packed in (gzipped(pickle.dumps(parts, protocol=3)), gzipped(old.getvalue())):
        found = mnist.read_arrays(packed)
        np.testing.assert_array_equal(found[0][0], images)
        np.testing.assert_array_equal(found[1][1], [4, 5, 6])


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch " + os.environ["WITNESS"],)


class Indirect:
    """Through what every Python has: getattr leads anywhere."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return getattr, ("text", "upper")


@pytest.mark.parametrize("harmful", [Malicious(), Indirect(), [np.zeros(2), Malicious()]])
def test_a_pickle_that_calls_anything_is_refused(
    harmful: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "witness"
    monkeypatch.setenv("WITNESS", str(witness))
    packed = gzipped(pickle.dumps(harmful, protocol=3))
    with pytest.raises(pickle.UnpicklingError, match="not needed for an array"):
        mnist.read_arrays(packed)
    assert not witness.exists()


def test_arrays_of_objects_are_refused_where_they_name_a_class() -> None:
    packed = gzipped(pickle.dumps(np.array([Path("a")], dtype=object), protocol=3))
    with pytest.raises(pickle.UnpicklingError):
        mnist.read_arrays(packed)


def test_principal_components_are_those_of_the_fitted_rows() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 6)) * [5, 4, 3, 2, 1, 0.5]).astype(np.float32)
    ours = mnist.principal_components(x, 3, fitted_on=200)
    theirs = PCA(3, svd_solver="full").fit(x[:200]).transform(x)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-3, atol=1e-3)


def wheel_with(tmp_path: Path, content: bytes) -> wheels.Wheel:
    path = tmp_path / "some_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/file", content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return wheels.Wheel("some-data", "1.0", digest)


def test_a_wheel_is_read_if_it_is_the_pinned_one(tmp_path: Path) -> None:
    wheel = wheel_with(tmp_path, b"content")
    assert wheels.member(wheel, "folder/file", tmp_path) == b"content"


def test_another_file_of_that_name_is_refused_in_one_line(tmp_path: Path) -> None:
    wheel = wheel_with(tmp_path, b"content")
    (tmp_path / wheel.filename).write_bytes(b"something else")
    with pytest.raises(SystemExit) as refusal:
        wheels.fetch(wheel, tmp_path)
    message = str(refusal.value)
    assert wheel.sha256 in message and "delete the file" in message and "\n" not in message
