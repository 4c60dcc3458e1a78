"""Network folders of RNA models: what was saved comes back, what is damaged is named."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.rna.made import BILINEAR, CONV, network, random_rows

from priorwise.errors import BadInput
from priorwise.learn.network_folder import DESCRIPTION, WEIGHTS, write_model
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.decoding import Decoder
from priorwise.rna.network import architecture
from priorwise.rna.predict import predict
from priorwise.rna.saved_model import load_saved_model, read_description

SAID = {
    "phase": "rna_pretrain",
    "schema": "rna/1",
    "decoder": Decoder("nested", 0.35, True).to_dict(),
    "threshold": 0.42,
    "rule": "given",
    "longest": 62,
    "features": [],
    "training_run": "a" * 32,
    "training_data": "9 sequences",
}


def saved(folder, form=CONV, **said):
    write_model(folder, architecture(**form), network(**form).state_dict(), {**SAID, **said})
    return folder


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "model")


def change(folder, **said):
    path = folder / DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))


def change_architecture(folder, **values):
    known = json.loads((folder / DESCRIPTION).read_text())["architecture"]
    change(folder, architecture={**known, **values})


@pytest.mark.parametrize("form", [CONV, BILINEAR], ids=["conv", "bilinear"])
def test_round_trip(tmp_path, form):
    model = load_saved_model(saved(tmp_path / "model", form))
    wanted, rows = network(**form), random_rows()
    assert not model.network.training
    state = wanted.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in model.network.state_dict().items())
    for one, other in zip(predict(model.network, rows), predict(wanted, rows), strict=True):
        assert np.array_equal(one.pairs, other.pairs)
    assert model.threshold == 0.42 and model.longest == 62 and model.features == ()
    # the model's threshold, not the one that the decoder was made with
    assert model.decoder == Decoder("nested", 0.42, True)
    assert model.description["training_run"] == "a" * 32


def test_what_older_descriptions_do_not_say(folder):
    path = folder / DESCRIPTION
    known = json.loads(path.read_text())
    for name in ("features", "rule", "training_run", "training_data"):
        del known[name]
    path.write_text(json.dumps(known))
    model = load_saved_model(folder)
    assert model.features == () and model.description["training_run"] == ""


def cut_in_half(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def change_weights(folder, **weights):
    state = {**load_file(folder / WEIGHTS), **weights}
    save_file({k: v for k, v in state.items() if v is not None}, folder / WEIGHTS)


DAMAGES = {
    "no folder": shutil.rmtree,
    "no weights": lambda f: (f / WEIGHTS).unlink(),
    "no description": lambda f: (f / DESCRIPTION).unlink(),
    "half the weights": lambda f: cut_in_half(f, WEIGHTS),
    "half the description": lambda f: cut_in_half(f, DESCRIPTION),
    "no JSON object": lambda f: (f / DESCRIPTION).write_text("[1]"),
    "no decoder": lambda f: change(f, decoder=None),
    "unknown decoder": lambda f: change(f, decoder={"method": "magic"}),
    "unknown setting": lambda f: change(f, decoder={"method": "nested", "speed": 1}),
    "threshold beyond 1": lambda f: change(f, threshold=1.5),
    "threshold of nothing": lambda f: change(f, threshold=math.nan),
    "threshold in words": lambda f: change(f, threshold="high"),
    "no architecture": lambda f: change(f, architecture=None),
    "unknown size": lambda f: change_architecture(f, model_size="huge"),
    "another size": lambda f: change_architecture(f, model_size="small"),
    "more blocks": lambda f: change_architecture(f, pair_dilations=[1, 2, 1, 1]),
    "very many blocks": lambda f: change_architecture(f, pair_dilations=[1] * 10**6),
    "blocks in one number": lambda f: change_architecture(f, pair_dilations=3),
    "blocks in words": lambda f: change_architecture(f, pair_dilations="121"),
    "features it was built for": lambda f: change_architecture(f, n_features=2),
    "wider": lambda f: change_architecture(f, pair_channels=16),
    "a negative width": lambda f: change_architecture(f, pair_channels=-1),
    "the other head": lambda f: change_architecture(f, pair_head="bilinear"),
    "unknown argument": lambda f: change_architecture(f, magic=1),
    "features that are not described": lambda f: change_architecture(f, n_features=1),
    "features the network does not take": lambda f: change(f, features=["turner2004"]),
    "features in words": lambda f: change(f, features="turner2004"),
    "longest in words": lambda f: change(f, longest="all"),
    "mixed as by older versions": lambda f: change(f, folding_weight=0.2),
    "mixed in an unknown way": lambda f: change(f, folding_weight=0.2, mixture="half"),
    "a weight less": lambda f: change_weights(f, **{"pairs.out.bias": None}),
    "a weight more": lambda f: change_weights(f, extra=torch.zeros(1)),
    "a weight of nan": lambda f: change_weights(f, **{"pairs.out.bias": torch.tensor([math.nan])}),
    "a weight of another shape": lambda f: change_weights(f, **{"pairs.out.bias": torch.zeros(2)}),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_one_clear_line(folder, name):
    DAMAGES[name](folder)
    with pytest.raises(BadInput) as found:
        load_saved_model(folder)
    assert "\n" not in str(found.value) and len(str(found.value)) < 400


def test_the_description_alone_is_checked_too(folder):
    assert read_description(folder)["threshold"] == 0.42
    change(folder, decoder={"method": "magic"})
    with pytest.raises(BadInput, match="decoder"):
        read_description(folder)


def checkpoint(path, **networks):
    state = {f"{k}.{n}": v for k, net in networks.items() for n, v in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, path)
    return path


def test_the_average_is_kept_where_there_is_one(tmp_path):
    trained, average = network(0, **CONV), network(1, **CONV)
    plain = kept_weights(checkpoint(tmp_path / "plain.ckpt", network=trained))
    both = kept_weights(checkpoint(tmp_path / "both.ckpt", network=trained, average=average))
    for found, wanted in ((plain, trained), (both, average)):
        assert found.keys() == wanted.state_dict().keys()
        assert all(torch.equal(found[k], v) for k, v in wanted.state_dict().items())


def test_a_network_folder_of_a_checkpoint(tmp_path):
    average = network(1, **CONV)
    path = checkpoint(tmp_path / "a.ckpt", network=network(0, **CONV), average=average)
    write_model(tmp_path / "model", architecture(**CONV), kept_weights(path), SAID)
    model = load_saved_model(tmp_path / "model")
    state = average.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in model.network.state_dict().items())
    assert model.description["architecture"]["pair_dilations"] == [1, 2, 1]


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "bad.ckpt"
    if content is None:
        torch.save({"weights": {}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.ckpt: not a readable checkpoint"):
        kept_weights(path)
    with pytest.raises(BadInput, match=r"none\.ckpt: cannot be read \(No such file"):
        kept_weights(tmp_path / "none.ckpt")


def test_a_checkpoint_may_not_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(BadInput, match="holds more than tensors and numbers; refused"):
        kept_weights(tmp_path / "evil.ckpt")
