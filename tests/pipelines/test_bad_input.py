"""Bad input ends with exit code 2 and one line that names the culprit; no run stays RUNNING."""

import shutil

import lance
import numpy as np
import pyarrow as pa
import pytest

SETTINGS = "instrument_settings"


@pytest.fixture(scope="module")
def sound(simulated):
    """The rows of the tiny training table."""
    return lance.dataset(str(simulated / "train_data")).to_table()


@pytest.fixture
def given(workplace, simulated):
    """Make a data folder whose training table holds the rows given."""

    def write(table):
        folder = workplace.folder / "given"
        shutil.copytree(simulated / "validation_data", folder / "validation_data")
        lance.write_dataset(table, str(folder / "train_data"))
        return folder

    return write


def refused(place, phase, *words, **parameters):
    """The phase ends with 2, one line holding all `words`, and nothing left RUNNING."""
    done = place.phase(phase, **parameters)
    assert done.code == 2, done.err
    assert done.err.startswith(f"priorwise {phase}: ")
    assert done.err.count("\n") == 1, done.err
    for word in words:
        assert str(word) in done.err
    for run in place.runs():
        assert run.info.status == "FAILED"
        assert run.data.tags["exit.code"] == "2"
        assert run.data.tags["exit.reason"] in done.err
        assert "complete" not in run.data.tags
    assert not list(place.folder.glob(".priorwise/runs/*/checkpoints"))


def with_column(table, name, values, kind=None):
    index = table.schema.get_field_index(name)
    column = pa.array(values, kind or table.schema.field(name).type)
    return table.set_column(index, pa.field(name, column.type), column)


def with_value(table, name, row, value):
    values = table.column(name).to_pylist()
    values[row] = value
    return with_column(table, name, values)


def with_element(table, name, row, index, value):
    changed = list(table.column(name)[row].as_py())
    changed[index] = value
    return with_value(table, name, row, changed)


def positive_mode(table):
    return np.array(table.column(SETTINGS).to_pylist())[:, 15] > 0.5


def with_label_of_positive_mode(table, label):
    labels = table.column("label").to_numpy()
    return with_column(table, "label", np.where(positive_mode(table), label, labels))


BAD_ROWS = {
    "no column": (lambda t: t.drop_columns("intensity_array"), "intensity_array", "missing"),
    "no identifier": (lambda t: t.drop_columns("dataset_id"), "dataset_id", "missing"),
    "other type": (
        lambda t: with_column(
            t, "mz_array", t.column("mz_array").to_pylist(), pa.list_(pa.float64())
        ),
        "mz_array",
        "double",
        "float",
    ),
    "label of text": (
        lambda t: with_column(t, "label", ["1"] * t.num_rows, pa.string()),
        "label",
        "string",
    ),
    "null label": (lambda t: with_value(t, "label", 5, None), "label", "row 5", "null"),
    "null identifier": (lambda t: with_value(t, "dataset_id", 4, None), "dataset_id", "row 4"),
    "label 7": (lambda t: with_value(t, "label", 6, 7.0), "label", "row 6", "7"),
    "label NaN": (lambda t: with_value(t, "label", 6, float("nan")), "label", "row 6", "nan"),
    "NaN m/z": (
        lambda t: with_element(t, "mz_array", 7, 0, float("nan")),
        "mz_array",
        "row 7",
        "NaN",
    ),
    "negative m/z": (lambda t: with_element(t, "mz_array", 7, 1, -1.0), "mz_array", "row 7"),
    "infinite intensity": (
        lambda t: with_element(t, "intensity_array", 8, -1, float("inf")),
        "intensity_array",
        "row 8",
        "infinite",
    ),
    "null peak": (lambda t: with_element(t, "mz_array", 7, 1, None), "mz_array", "row 7"),
    "null spectrum": (lambda t: with_value(t, "mz_array", 9, None), "mz_array", "row 9", "null"),
    "unequal lengths": (
        lambda t: with_value(t, "mz_array", 9, [100.0, 200.0]),
        "intensity_array",
        "row 9",
        "2 in mz_array",
    ),
    "no peaks": (
        lambda t: with_value(with_value(t, "mz_array", 3, []), "intensity_array", 3, []),
        "mz_array",
        "row 3",
        "no peaks",
    ),
    "no polarity": (
        lambda t: with_element(with_element(t, SETTINGS, 4, 14, 0.0), SETTINGS, 4, 15, 0.0),
        SETTINGS,
        "row 4",
        "polarity",
    ),
    "both polarities": (
        lambda t: with_element(with_element(t, SETTINGS, 4, 14, 1.0), SETTINGS, 4, 15, 1.0),
        SETTINGS,
        "row 4",
        "polarity",
    ),
    "21 settings": (
        lambda t: with_value(t, SETTINGS, 2, t.column(SETTINGS)[2].as_py()[:21]),
        SETTINGS,
        "row 2",
        "21",
        "22",
    ),
    "NaN precursor": (
        lambda t: with_value(t, "precursor_mz", 1, float("nan")),
        "precursor_mz",
        "row 1",
    ),
    "zero rows": (lambda t: t.slice(0, 0), "no rows"),
    "zero rows of the polarity": (
        lambda t: t.filter(pa.array(~positive_mode(t))),
        "no rows of positive polarity",
    ),
    "zero labelled": (
        lambda t: with_label_of_positive_mode(t, 0.0),
        "positive",
        "label",
        "at least one with label 1",
    ),
    "all labelled": (
        lambda t: with_label_of_positive_mode(t, 1.0),
        "positive",
        "at least one with label 0",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_table(workplace, given, sound, case):
    spoil, *words = BAD_ROWS[case]
    data = given(spoil(sound))
    refused(workplace, "bce_pretrain", data / "train_data", *words, data=data)
    assert len(workplace.runs()) == 1


@pytest.mark.parametrize("phase", ["dataset_stats", "estimate_prior", "nnpu_train", "main"])
def test_every_phase_looks_at_its_table(workplace, given, sound, phase):
    data = given(with_value(sound, "label", 6, 7.0))
    refused(workplace, phase, data / "train_data", "label", "row 6", data=data)


def test_bad_validation_table(workplace, given, sound):
    data = given(sound)
    shutil.rmtree(data / "validation_data")
    lance.write_dataset(with_label_of_positive_mode(sound, 0.0), str(data / "validation_data"))
    refused(workplace, "bce_pretrain", data / "validation_data", "labelled", data=data)


@pytest.mark.parametrize("phase", ["dataset_stats", "bce_pretrain", "nnpu_train", "main"])
def test_missing_path(workplace, phase):
    refused(workplace, phase, "/nope/x", data="/nope/x")


def test_folder_without_the_table(workplace, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(workplace, "bce_pretrain", "empty", "train_data", data=tmp_path / "empty")


@pytest.mark.parametrize("content", ["a file", "a folder"])
def test_path_that_is_no_table(workplace, tmp_path, content):
    path = tmp_path / "given" / "train_data"
    path.parent.mkdir()
    if content == "a file":
        path.write_text("mz,intensity\n")
    else:
        path.mkdir()
    refused(workplace, "bce_pretrain", path, "not a Lance table", data=tmp_path / "given")


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_fragment(workplace, given, sound, damage):
    data = given(sound)
    (fragment,) = (data / "train_data" / "data").iterdir()
    if damage == "truncated":
        fragment.write_bytes(fragment.read_bytes()[: fragment.stat().st_size // 2])
    else:
        fragment.unlink()
    refused(workplace, "bce_pretrain", data / "train_data", data=data)


@pytest.mark.parametrize(
    ("phase", "parameter", "value"),
    [
        ("bce_pretrain", "encoder_lr", "abc"),
        ("bce_pretrain", "encoder_lr", "nan"),
        ("bce_pretrain", "linear_lr", "inf"),
        ("bce_pretrain", "linear_lr", "-1"),
        ("bce_pretrain", "linear_lr", ""),
        ("bce_pretrain", "epochs", "0"),
        ("bce_pretrain", "epochs", "1.5"),
        ("bce_pretrain", "batch_size", "0"),
        ("bce_pretrain", "d_model", "12"),
        ("bce_pretrain", "dropout", "1"),
        ("bce_pretrain", "devices", "-1"),
        ("bce_pretrain", "seed", "-1"),
        ("bce_pretrain", "polarity", "2"),
        ("bce_pretrain", "monitor", "accuracy"),
        ("bce_pretrain", "monitor", "proxy_f1"),
        ("bce_pretrain", "pos_weight", "inf"),
        ("bce_pretrain", "lr", "1e-3"),
        ("nnpu_train", "scenario", "other"),
        ("nnpu_train", "override", "maybe"),
        ("nnpu_train", "init_from", "somewhere"),
        ("estimate_prior", "polarity", "2"),
        ("estimate_prior", "min_labelled", "0"),
        ("estimate_prior", "estimator", "e9"),
        ("dataset_stats", "polarity", "2"),
        ("simulate", "n_train", "0"),
        ("simulate", "c_pos", "nan"),
        ("main", "scenarios", "other"),
        ("predict", "model", "a/b"),
        ("predict", "fetch_metadata", "maybe"),
    ],
)
def test_bad_parameter(workplace, phase, parameter, value):
    refused(workplace, phase, parameter, value, **{parameter: value})
    assert not workplace.runs()  # nothing was started


@pytest.mark.parametrize("phase", ["main", "nnpu_train"])
def test_bad_list_of_polarities(workplace, phase):
    refused(workplace, phase, "polarit", "7", polarities="negative,7")
    assert not workplace.runs()


@pytest.mark.parametrize("phase", ["main", "simulate", "ingest", "dataset_stats", "predict"])
def test_unknown_parameter(workplace, phase):
    refused(workplace, phase, "unknown", "nope", nope=1)
    assert not workplace.runs()


def test_too_few_labelled_rows_for_a_prior(workplace, simulated):
    table = simulated / "test_1" / "test_data"
    refused(workplace, "estimate_prior", table, "min_labelled=1000", min_labelled=1000)


def test_config_that_is_missing(workplace):
    refused(workplace, "bce_pretrain", "config", "nope.yaml", config="nope.yaml")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("training: {epochs: 0}", "epochs"),
        ("training: {epochs: many}", "epochs"),
        ("training: {epoch: 3}", "epoch"),
        ("trainning: {epochs: 3}", "trainning"),
        ("training: 3", "training"),
        ("- training", "sections"),
        ("training: {", "not YAML"),
    ],
)
def test_bad_config(workplace, text, word):
    recipe = workplace.folder / "recipe.yaml"
    recipe.write_text(text)
    refused(workplace, "bce_pretrain", word, config=recipe)


def test_unusable_out_folder(workplace, tmp_path):
    out = tmp_path / "taken"
    out.write_text("a file")
    refused(workplace, "bce_pretrain", "out: ", out, out=out)


def test_unknown_model(workplace):
    refused(workplace, "predict", "model", "0" * 32, model="0" * 32)


def test_run_of_the_runner_ends_failed(workplace):
    """`mlflow run` has made a run before the script starts: it must not stay RUNNING."""
    run = workplace.client.create_run("0")
    workplace.environment = {"MLFLOW_RUN_ID": run.info.run_id, "MLFLOW_EXPERIMENT_ID": "0"}
    for parameters in ({"encoder_lr": "nan"}, {"data": "/nope/x"}, {"config": "nope.yaml"}):
        workplace.client.update_run(run.info.run_id, status="RUNNING")
        refused(workplace, "bce_pretrain", next(iter(parameters.values())), **parameters)
        (found,) = workplace.runs()
        assert found.info.run_id == run.info.run_id
        assert found.data.tags["exit.status"] == "FAILED"


def test_published_variants_load(workplace, given, sound):
    """Settings as a fixed-size list, and columns beyond the contract: the same training."""
    fixed = with_column(
        sound, SETTINGS, sound.column(SETTINGS).to_pylist(), pa.list_(pa.float32(), 22)
    )
    wider = fixed.append_column("rt", pa.array(np.arange(sound.num_rows, dtype=np.float64)))
    losses = []
    for data in (workplace.data, given(wider)):
        done = workplace.phase("bce_pretrain", data=data, epochs=1)
        assert done.code == 0, done.err
        losses.append(workplace.run("bce_pretrain").data.metrics["train_loss"])
    assert losses[0] == losses[1]


# --- a path to the table itself ------------------------------------------------------------------


def test_training_table_itself_finds_the_tables_beside_it(workplace, simulated):
    done = workplace.phase("bce_pretrain", data=simulated / "train_data", epochs=1)
    assert done.code == 0, done.err
    inputs = workplace.run("bce_pretrain").inputs.dataset_inputs
    assert {entry.dataset.name for entry in inputs} == {"train_data", "validation_data"}
    done = workplace.phase("estimate_prior", data=simulated / "train_data")
    assert done.code == 0, done.err


def test_validation_on_the_training_rows_is_refused(workplace, simulated):
    """A lone table under a name of its own must not serve as its own validation table."""
    alone = workplace.folder / "alone"
    shutil.copytree(simulated / "train_data", alone)
    refused(workplace, "bce_pretrain", alone, "training table", data=alone)
    refused(workplace, "bce_pretrain", alone, "training table", data=simulated, data_val=alone)


def test_test_set_of_training_rows_is_refused(workplace, simulated):
    alone = workplace.folder / "alone" / "test_data"
    shutil.copytree(simulated / "train_data", alone)
    refused(workplace, "estimate_prior", alone, "training table", data=simulated, test_1=alone)
