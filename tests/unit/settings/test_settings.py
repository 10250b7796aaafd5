from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import sync_agent
from sync_agent.errors import SettingsError
from sync_agent.settings.layers import FILE_BYTES_MAX
from sync_agent.settings.settings import Settings, load_settings, required, sections

SECRET = "s3cr3t-v4lue"


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def refusal(
    path: Path | None = None,
    flags: Mapping[str, str] = MappingProxyType({}),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, flags, environ)
    assert caught.value.remedy
    return f"{caught.value.message} | {caught.value.remedy}"


def test_nothing_given_means_every_default() -> None:
    loaded = load_settings(None, {}, {})

    assert loaded.settings.inventory.max_delete_count == 50
    assert loaded.settings.event_hub.consumer_group == "$Default"
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}


def test_a_number_that_has_no_default_can_be_set_in_the_file(toml: Path) -> None:
    counts = ("max_change_count", "kind_max_delete_count", "kind_max_change_count")
    toml.write_text("[guards]\n" + "".join(f"{key} = 7\n" for key in counts))
    guards = load_settings(toml, {}, {}).settings.guards
    assert [getattr(guards, key) for key in counts] == [7, 7, 7]
    toml.write_text('[guards]\nmax_change_count = "7"\n')
    assert "must be a whole number" in refusal(toml)


def test_a_later_layer_wins_and_its_name_is_kept(toml: Path) -> None:
    toml.write_text('[limits]\nqueries_per_s = 1\npatches_per_s = 1\n[log]\nlevel = "error"\n')
    environ = {"SYNC_AGENT__LIMITS__QUERIES_PER_S": "2", "SYNC_AGENT__LIMITS__PATCHES_PER_S": "2"}

    loaded = load_settings(toml, {"limits.patches_per_s": "3"}, environ)

    assert loaded.settings.log.level == "error"
    assert loaded.settings.limits.queries_per_s == 2
    assert loaded.settings.limits.patches_per_s == 3
    assert str(loaded.origins["log.level"]) == f"file: {toml}:log.level"
    assert (
        str(loaded.origins["limits.queries_per_s"])
        == "environment: SYNC_AGENT__LIMITS__QUERIES_PER_S"
    )
    assert str(loaded.origins["limits.patches_per_s"]) == "flag: --set limits.patches_per_s"


def test_a_path_in_the_file_starts_from_the_files_folder_elsewhere_from_the_working_folder(
    toml: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    toml.write_text('[inventory]\nsource = "csv"\n')

    settings = load_settings(toml, {"inventory.mapping": "m.toml"}, {}).settings

    assert settings.inventory.source == tmp_path / "csv"
    assert settings.inventory.mapping == elsewhere / "m.toml"
    assert settings.state.path == elsewhere / ".sync-agent/state.db"


def test_the_shipped_models_are_the_default_and_are_there() -> None:
    path = load_settings(None, {}, {}).settings.models.path

    assert path.is_absolute()
    assert path.is_dir()


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("[adtt]\n", "[adtt]", "adt"),
        ('[adt]\nulr = "x"\n', "adt.ulr", "url"),
        ("[adt\n", "not valid TOML", "Mend"),
        ("adt = 3\n", "adt is a section", "[adt]"),
        ('[limits]\nqueries_per_s = "9"\n', "queries_per_s must be a number", "but it is text"),
        ("[inventory]\napply = 1\n", "apply must be true or false", "but it is a number"),
        ("[event_hub]\nprefetch = true\n", "prefetch must be a whole number", "true or false"),
        ("[event_hub]\nprefetch = 1.5\n", "prefetch must be a whole number", "a number"),
        ('[adt]\nurl = ""\n', "url must be text that is not empty", "empty"),
        ("[event_hub]\nprefetch = 0\n", "event_hub.prefetch", "greater than or equal to 1"),
        ("[log]\nlevel = 2020-01-01\n", "log.level must be text", "a date or time"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_file_and_key(
    toml: Path, text: str, place: str, hint: str
) -> None:
    toml.write_text(text)

    said = refusal(toml)

    assert str(toml) in said
    assert place in said
    assert hint in said


def test_a_missing_file_is_named_with_the_command_that_writes_one(toml: Path) -> None:
    assert f"config init --path {toml}" in refusal(toml)


def test_a_folder_or_a_file_that_is_not_text_is_refused_as_a_file(
    toml: Path, tmp_path: Path
) -> None:
    toml.write_bytes(b"\xff\xfe\x00")

    assert "not valid TOML" in refusal(toml)
    assert "cannot be read" in refusal(tmp_path)


def test_a_file_beyond_the_bound_is_refused_unread(toml: Path) -> None:
    toml.write_text("#" * (FILE_BYTES_MAX + 1))

    assert "larger than" in refusal(toml)


def test_an_unknown_variable_with_our_prefix_is_an_error_with_the_nearest_name() -> None:
    said = refusal(environ={"SYNC_AGENT__ADT__ULR": "x"})

    assert "SYNC_AGENT__ADT__ULR" in said
    assert "Did you mean SYNC_AGENT__ADT__URL?" in said


def test_an_empty_variable_counts_as_not_set_and_others_are_not_ours() -> None:
    environ = {"SYNC_AGENT__ADT__URL": "", "SYNC_AGENT_CONFIG": "x", "HOME": "/"}

    assert load_settings(None, {}, environ).settings.adt.url is None


@pytest.mark.parametrize("name", ["adt", "adt.ulr", "url", "adt.url.x", ""])
def test_an_unknown_flag_is_an_error(name: str) -> None:
    assert f"--set {name}" in refusal(flags={name: "x"})


def test_an_empty_flag_is_an_error() -> None:
    assert "has no value" in refusal(flags={"adt.url": ""})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("inventory.apply", "perhaps"),
        ("limits.retry_for_s", "-1"),
        ("limits.queries_per_s", "nan"),
        ("limits.queries_per_s", "inf"),
        ("inventory.max_delete_percent", "101"),
        ("event_hub.prefetch", "many"),
        ("log.format", "xml"),
        ("adt.auth", "basic"),
        ("adt.url", "adt.example.test"),
        ("adt.url", "ftp://adt.example.test"),
        ("adt.url", "https://user:pass@adt.example.test"),
        ("import_job.container", "https://box.example.test"),
        ("import_job.container", "https://box.example.test/loads?sig=x"),
        ("import_job.auth", "password"),
    ],
)
def test_a_value_out_of_range_is_refused_under_the_flags_name(key: str, text: str) -> None:
    assert f"--set {key}" in refusal(flags={key: text})


@pytest.mark.parametrize(
    "environ",
    [
        {"SYNC_AGENT__ADT__TOKEN": SECRET},
        {
            "SYNC_AGENT__EVENT_HUB__CONNECTION_STRING": f"Endpoint={SECRET}",
            "SYNC_AGENT__EVENT_HUB__NAMESPACE": "n",
        },
        {"SYNC_AGENT__ADT__URL": f"https://u:{SECRET}@h"},
        {"SYNC_AGENT__IMPORT_JOB__SECRET": SECRET},
        {"SYNC_AGENT__IMPORT_JOB__CONTAINER": f"https://h/box?sig={SECRET}"},
    ],
)
def test_settings_that_contradict_each_other_are_refused_without_showing_a_secret(
    environ: dict[str, str],
) -> None:
    said = refusal(environ=environ)

    assert SECRET not in said


def test_a_secret_shows_itself_in_no_text_of_the_settings() -> None:
    environ = {
        "SYNC_AGENT__ADT__TOKEN": SECRET,
        "SYNC_AGENT__ADT__AUTH": "token",
        "SYNC_AGENT__EVENT_HUB__CONNECTION_STRING": SECRET,
    }

    settings = load_settings(None, {}, environ).settings

    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.adt.token is not None
    assert settings.adt.token.get_secret_value() == SECRET


def test_settings_cannot_be_changed_once_loaded() -> None:
    settings = load_settings(None, {}, {}).settings

    with pytest.raises(ValueError, match="frozen"):
        settings.adt.url = "http://127.0.0.1:1"


def test_a_trailing_slash_of_the_address_is_dropped() -> None:
    loaded = load_settings(None, {"adt.url": "http://127.0.0.1:7/"}, {})

    assert loaded.settings.adt.url == "http://127.0.0.1:7"


def test_a_required_setting_that_is_missing_says_the_three_ways_to_set_it() -> None:
    with pytest.raises(SettingsError, match=r"adt\.url is not set") as caught:
        required(None, "adt.url")

    assert "SYNC_AGENT__ADT__URL" in caught.value.remedy
    assert "--set adt.url=" in caught.value.remedy
    assert required("x", "adt.url") == "x"


def test_every_section_of_the_settings_is_a_section() -> None:
    assert list(sections()) == list(Settings.model_fields)


def test_every_setting_is_read_by_something() -> None:
    package = Path(sync_agent.__file__).parent
    code = "".join(
        path.read_text() for path in package.rglob("*.py") if not path.name.startswith("settings")
    )

    keys = [f"{s}.{key}" for s, section in sections().items() for key in section.model_fields]
    unread = [key for key in keys if f".{key.partition('.')[2]}" not in code]
    assert unread == []


SOURCES = """
[[inventory.sources]]
name = "dcim"
kind = "netbox"
url = "https://netbox.example/"
auth = "token"
token = "s3cret"

[[inventory.sources]]
name = "gis"
kind = "files"
path = "gis"
mapping = "gis.toml"
"""


def sources_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sync-agent.toml"
    path.write_text(text)
    return path


def test_several_sources_are_tables_with_paths_from_the_files_folder(tmp_path: Path) -> None:
    settings = load_settings(sources_file(tmp_path, SOURCES), {}, {}).settings
    dcim, gis = settings.inventory.sources
    assert dcim.url == "https://netbox.example"
    assert gis.path == tmp_path / "gis"
    assert gis.mapping == tmp_path / "gis.toml"
    assert settings.inventory.configured
    assert "s3cret" not in repr(settings)


def test_sources_may_come_as_json_from_the_environment() -> None:
    text = '[{"name": "a", "kind": "adt", "url": "http://127.0.0.1:1", "mapping": "m.toml"}]'
    settings = load_settings(None, {}, {"SYNC_AGENT__INVENTORY__SOURCES": text}).settings
    (source,) = settings.inventory.sources
    assert source.mapping == Path.cwd() / "m.toml"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name =", "naam ="), "inventory.sources[1].naam is not a known key"),
        (('"gis"\nkind', '"dcim"\nkind'), "two of the sources have the same name"),
        (('kind = "netbox"', 'kind = "netbix"'), "inventory.sources[1].kind"),
        (('token = "s3cret"', ""), "neither token nor token_file is set"),
        (('path = "gis"', ""), 'kind "files" needs path'),
        (
            ('path = "gis"', 'path = "gis"\npassed_over_events = "0:1, 1:27"'),
            "passed_over_events goes with connection_string",
        ),
        (
            ('path = "gis"', 'path = "gis"\npassed_over_events = "0:1, 7"'),
            "inventory.sources[2].passed_over_events: ",
        ),
        (("[[inventory.sources]]", "[inventory.sources]"), "must be a list of tables"),
        (('path = "gis"', "path = 7"), "inventory.sources[2].path must be text"),
        (("https://netbox", "https://me:pw@netbox"), "must not carry a user name"),
    ],
)
def test_a_mistake_in_a_source_names_its_number_and_key(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    text = SOURCES
    if change[0] == "[[inventory.sources]]":
        text = text.partition('\n[[inventory.sources]]\nname = "gis"')[0]
    path = sources_file(tmp_path, text.replace(*change, 1))
    with pytest.raises(SettingsError) as raised:
        load_settings(path, {}, {})
    assert said in raised.value.message
    assert "s3cret" not in raised.value.message
