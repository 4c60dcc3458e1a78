"""A registered model as the project keeps it: names, versions, copies, aliases, audit."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.errors import BadInput, TrackingFailure
from priorwise.tracking.audit import (
    AuditEntry,
    champion_on_record,
    next_line,
    past_champions,
    read_trail,
)
from priorwise.tracking.model_page import LINKED
from priorwise.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    REASON_CHARS,
    TEXT_CHARS,
    Registry,
    check_name,
)


@pytest.fixture
def client(store_client, monkeypatch):
    # the store asks the process-wide address when a version is made of a logged model
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_client.tracking_uri)
    return store_client


@pytest.fixture
def registry(client, request):
    return Registry(client, f"model of {request.node.originalname}")


@pytest.fixture
def logged(client, runs):
    """Makes logged models; gives the model's id and that of the run."""

    def make():
        run_id = runs.run("select_threshold", {})
        model = client.create_logged_model(runs.experiment_id, "model", source_run_id=run_id)
        client.finalize_logged_model(model.model_id, "READY")
        return model.model_id, run_id

    return make


@pytest.mark.parametrize("name", ["priorwise-spectra", "a", "dev.x_1+b", "two words", "x" * 200])
def test_good_names(name):
    assert check_name("name", name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "a:b", "a@b", "'", 'a"b', "a\nb", " a", "a ", ".", "..", "x" * 201, "a%b",
     "models:/a", "a;b", "$(b)", "a\n"],
)  # fmt: skip
def test_bad_names_are_refused_in_one_line(name):
    with pytest.raises(BadInput, match="^name: ") as refused:
        check_name("name", name)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["a.lock", "a.lock.0123", "a.lock.clock-1"])
def test_the_name_of_a_lock_is_no_model(name):
    with pytest.raises(BadInput, match="is the name of a promotion's lock"):
        check_name("name", name)


def test_nothing_there(registry):
    assert not registry.exists()
    assert registry.versions() == [] and registry.aliases() == {} and registry.trail() == []
    assert registry.champion() == ""
    assert registry.version("1") is None


def test_one_version_per_model(registry, logged):
    (first, run), (second, _) = logged(), logged()
    made = registry.register(first, run, {"rule": "keep"}, "what it is")
    assert (made.version, made.run_id, made.status) == ("1", run, "READY")
    assert made.source == f"models:/{first}"
    assert registry.register(second, run, {}).version == "2"
    again = registry.register(first, run, {"rule": "percentile"})
    assert again.version == "1"
    assert [v.version for v in registry.versions()] == ["2", "1"]
    found = registry.version("1")
    assert found == registry.versions()[1] == replace(again, description="what it is")
    assert found.tags == {"model.id": first, "rule": "percentile"}
    assert found.model_id == first and found.address == f"models:/{registry.name}/1"


def test_many_versions_are_all_listed(registry, logged, client, monkeypatch):
    search = client.search_model_versions
    monkeypatch.setattr(
        client, "search_model_versions", lambda text, page_token: search(text, 2, None, page_token)
    )
    for _ in range(5):
        registry.register(*logged(), {})
    assert [v.version for v in registry.versions()] == ["5", "4", "3", "2", "1"]


def test_tags_that_do_not_change_are_not_written(registry, logged, client, monkeypatch):
    made = registry.register(*logged(), {"a": "1", "b": "2"})
    written = []
    monkeypatch.setattr(client, "set_model_version_tag", lambda *a: written.append(a[2:]))
    monkeypatch.setattr(client, "delete_model_version_tag", lambda *a: written.append(a[2:]))
    tagged = registry.tag(made, {"a": "1", "b": "", "c": "3", "d": ""})
    assert written == [("b",), ("c", "3")]
    assert tagged.tags == {"model.id": made.model_id, "a": "1", "c": "3"}


def test_long_and_secret_texts_are_cut_and_scrubbed(registry, logged):
    secret = "s3://user:geheim@host/bucket"
    made = registry.register(
        *logged(), {"long": "x" * 9000, "uri": secret}, f"{secret} " + "y" * 9000
    )
    found = registry.version(made.version)
    assert found.tags["long"] == "x" * 5000
    assert len(found.description) == 5000
    assert "geheim" not in str(vars(found))


def test_copy_carries_tags_and_description(client, registry, logged):
    dev = Registry(client, f"{registry.name} dev")
    model_id, run = logged()
    made = dev.register(model_id, run, {"rule": "keep", "recall": "0.9"}, "the card")
    dev.tag(made, {"decision": "forced", "gate.load": "passed", "previous_champion": "7",
                   "promoted.at": "then", "promote_run": "r", "decided.at": "then"})  # fmt: skip
    dev.set_alias(CHAMPION, made.version)
    copied = registry.copy_in(dev.version("1"))
    found = registry.version(copied.version)
    assert found.tags == copied.tags == {
        "model.id": model_id, "rule": "keep", "recall": "0.9", "copied.from": made.address,
    }  # fmt: skip
    assert found.description == "the card"
    assert (found.run_id, found.source) == (run, made.address)
    assert registry.aliases() == {}
    assert registry.copy_in(dev.version("1")).version == copied.version, "copied once"


def test_crown(registry, logged):
    first, second = (registry.register(*logged(), {}) for _ in range(2))
    registry.set_alias(CHALLENGER, second.version)
    registry.crown(first.version, "")
    assert registry.aliases() == {CHAMPION: "1", CHALLENGER: "2"}
    registry.crown(second.version, "1")
    assert registry.aliases() == {CHAMPION: "2"}, "no challenger any more: it has won"
    assert registry.champion() == "2"


def test_crown_looks_whether_it_was_kept(registry, logged, client, monkeypatch):
    first, second = (registry.register(*logged(), {}) for _ in range(2))
    registry.crown(first.version, "")
    monkeypatch.setattr(client, "set_registered_model_alias", lambda *arguments: None)
    with pytest.raises(TrackingFailure, match="is version 1 just after it was set to version 2"):
        registry.crown(second.version, "1")


def test_a_champion_set_without_the_lock_is_not_overwritten(registry, logged):
    first, second = (registry.register(*logged(), {}) for _ in range(2))
    with pytest.raises(TrackingFailure, match="is gone by now, and was version 1 a moment ago"):
        registry.crown(second.version, "1")
    registry.set_alias(CHAMPION, first.version)
    with pytest.raises(TrackingFailure, match="is version 1 by now, and was none a moment ago"):
        registry.crown(second.version, "")
    assert registry.champion() == "1"


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "x", "", "-1", "²"])
def test_no_version_has_such_a_number(registry, logged, number):
    registry.register(*logged(), {})
    assert registry.version(number) is None


@pytest.mark.parametrize("spoilt", ["no JSON", '{"a": 1}', "[" * 5000])
def test_a_models_page_that_somebody_spoilt(client, registry, logged, spoilt):
    model_id, run = logged()
    client.set_logged_model_tags(model_id, {LINKED: spoilt})
    made = registry.register(model_id, run, {})
    link = {"name": registry.name, "version": made.version}
    assert json.loads(client.get_logged_model(model_id).tags[LINKED]) == [link]


def test_a_models_page_names_a_version_once_even_if_it_was_cut_off(client, registry, logged):
    model_id, run = logged()
    registry.register(model_id, run, {})
    client.delete_logged_model_tag(model_id, LINKED)
    for _ in range(2):
        registry.register(model_id, run, {})
    assert len(json.loads(client.get_logged_model(model_id).tags[LINKED])) == 1


def test_a_deleted_champion_is_none(registry, logged, client):
    made = registry.register(*logged(), {})
    registry.crown(made.version, "")
    client.delete_model_version(registry.name, made.version)
    assert registry.champion() == ""
    assert registry.version(made.version) is None
    assert registry.register(*logged(), {}).version == "2", "numbers are not used again"


def test_the_audit_only_grows(registry, logged):
    registry.register(*logged(), {})
    entries = [AuditEntry("promote", str(n), "", str(n), "passed", "r", "now") for n in range(12)]
    for number, entry in enumerate(entries):
        registry.append(entry)
        assert registry.trail() == entries[: number + 1]
    tags = registry.client.get_registered_model(registry.name).tags
    assert sorted(tags) == [f"audit.{n:03d}" for n in range(1, 13)]


# --- the trail alone ----------------------------------------------------------------------------


def promoted(version, before=""):
    return AuditEntry("promote", version, before, version, "passed")


def rolled(to, before):
    return AuditEntry("rollback", to, before, to)


def refused(version, champion=""):
    return AuditEntry("promote", version, champion, champion, "refused")


def found(after, before):
    return AuditEntry("found", after, before, after)


ONE_TWO_THREE = [promoted("1"), promoted("2", "1"), promoted("3", "2")]


@pytest.mark.parametrize(
    ("trail", "line"),
    [
        ([], []),
        ([refused("1")], []),
        (ONE_TWO_THREE, ["1", "2", "3"]),
        ([*ONE_TWO_THREE, refused("4", "3")], ["1", "2", "3"]),
        ([*ONE_TWO_THREE, rolled("2", "3")], ["1", "2"]),
        ([*ONE_TWO_THREE, rolled("2", "3"), rolled("1", "2")], ["1"]),
        ([*ONE_TWO_THREE, rolled("1", "3")], ["1"]),
        ([*ONE_TWO_THREE, rolled("2", "3"), promoted("3", "2")], ["1", "2", "3"]),
        ([*ONE_TWO_THREE, promoted("1", "3")], ["1", "2", "3", "1"]),
        ([*ONE_TWO_THREE, promoted("1", "3"), rolled("3", "1")], ["1", "2", "3"]),
        ([*ONE_TWO_THREE, found("", "3")], ["1", "2"]),
        ([*ONE_TWO_THREE, found("", "3"), promoted("4")], ["1", "2", "4"]),
        ([*ONE_TWO_THREE, found("", "3"), rolled("2", "")], ["1", "2"]),
        ([*ONE_TWO_THREE, found("1", "3")], ["1", "2", "3", "1"]),
        ([*ONE_TWO_THREE, found("", "3"), refused("4")], ["1", "2"]),
        ([*ONE_TWO_THREE, found("", "3"), found("2", "")], ["1", "2"]),
        ([found("7", ""), promoted("8", "7")], ["7", "8"]),
        ([promoted("1"), AuditEntry("unreadable", "", "", ""), promoted("2", "1")], ["1", "2"]),
    ],
)
def test_past_champions(trail, line):
    assert past_champions(trail) == line
    assert champion_on_record(trail) == (line[-1] if trail and trail[-1].after else "")


@given(st.lists(st.integers(1, 4), max_size=12))
def test_rollbacks_undo_promotions_one_by_one(versions):
    trail, now = [], ""
    for version in map(str, versions):
        if version != now:
            trail.append(promoted(version, now))
            now = version
    line = past_champions(trail)
    while len(line) > 1:
        trail.append(rolled(line[-2], line[-1]))
        assert past_champions(trail) == line[:-1]
        line = line[:-1]


def test_lines_spoilt_by_hand_do_not_stop_the_audit():
    tags = {"audit.001": "no JSON", "audit.002": "[1]", "audit.003": '{"after": 5, "x": 1}',
            "audit.004": "[" * 5000, "audit.x": "{}", "audit.": "{}", "audit.²": "{}",
            "other": "{}"}  # fmt: skip
    trail = read_trail(tags)
    assert [entry.action for entry in trail] == ["unreadable", "unreadable", "", "unreadable"]
    assert (trail[0].reason, trail[2].after) == ("no JSON", "5")
    assert next_line(tags, trail[0])[0] == "audit.005"


@pytest.mark.parametrize("text", ["\u65e5" * 9000, '"' * 9000, "a" * 9000])
def test_a_line_fits_into_a_tag_whatever_its_script(text):
    entry = AuditEntry("promote", "1", "", "1", "forced", "f" * 32, "now", text[:REASON_CHARS])
    key, line = next_line({}, entry)
    assert len(line) <= TEXT_CHARS
    assert read_trail({key: line}) == [entry]


def test_lines_are_in_order_beyond_a_thousand():
    tags = {}
    for number in range(1, 1003):
        key, text = next_line(tags, promoted(str(number)))
        assert key not in tags
        tags[key] = text
    assert [entry.version for entry in read_trail(tags)] == [str(n) for n in range(1, 1003)]
