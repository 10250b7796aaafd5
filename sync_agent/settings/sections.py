"""Every setting there is: its section, key, type, bounds, default and description.

One pydantic model a section, all frozen, all refusing keys they do not know. A description here is
the only place where a setting is explained: ``config init``, ``docs/configuration.md`` and
``config show`` are written from it. Where a value may come from, and in which order, is
``settings_layers``'s matter; what must be set depends on the command and is asked for with
``settings.required``.

A path is absolute once loaded. A secret is a ``SecretStr`` and shows itself only to the code that
asks for its value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from sync_agent.settings.shipped import shipped_default, shipped_models

Seconds = Annotated[float, Field(gt=0, le=86_400)]
PerSecond = Annotated[float, Field(gt=0, le=100_000)]


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


def checked_url(url: str | None) -> str | None:
    """Return an address without a slash at its end.

    Raises:
        ValueError: it is no http address, or carries a user name or a password.
    """
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be an address such as https://HOST or http://127.0.0.1:PORT")
    if parts.username or parts.password:
        raise ValueError("it must not carry a user name or a password")
    return url.rstrip("/")


class AdtSettings(Section):
    """Where the twins live."""

    url: str | None = None
    """Address of the Azure Digital Twins instance, `https://NAME.api.REGION.digitaltwins.azure.net`,
    or of a stub on this machine, `http://127.0.0.1:PORT`."""

    auth: Literal["default", "managed-identity", "token", "none"] = "default"
    """How to sign in: `default` (environment, workload identity, managed identity, Azure CLI, in
    that order), `managed-identity`, `token` (a fixed token, for a stub), `none` (a stub on this
    machine)."""

    token: SecretStr | None = None
    """The token for `auth = "token"`."""

    @field_validator("url")
    @classmethod
    def _has_a_scheme_and_a_host(cls, url: str | None) -> str | None:
        return checked_url(url)

    @model_validator(mode="after")
    def _token_goes_with_its_auth(self) -> AdtSettings:
        if self.auth == "token" and self.token is None:
            raise ValueError('auth is "token", but adt.token is not set')
        if self.auth != "token" and self.token is not None:
            raise ValueError(f'adt.token is set, but auth is "{self.auth}": set auth = "token"')
        return self


class EventHubSettings(Section):
    """Where telemetry comes from."""

    connection_string: SecretStr | None = None
    """Connection string of the namespace or of the hub, if not signing in by `namespace`."""

    namespace: str | None = None
    """Fully qualified namespace, `NAME.servicebus.windows.net`, signed in to as `auth` says."""

    auth: Literal["default", "managed-identity"] = "default"
    """How to sign in to `namespace`."""

    name: str | None = None
    """Name of the hub; not needed when the connection string names it (`EntityPath`)."""

    consumer_group: str = "$Default"
    """Consumer group to read as; give each agent its own."""

    prefetch: Annotated[int, Field(ge=1, le=10_000)] = 3000
    """Events fetched ahead per partition."""

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> EventHubSettings:
        if self.connection_string is not None and self.namespace is not None:
            raise ValueError("connection_string and namespace are both set: keep one of them")
        return self


class StateSettings(Section):
    """What the agent remembers between runs."""

    path: Path = Path(".sync-agent/state.db")
    """File of positions, health windows and dead letters; its folder is created when missing."""

    journal: Path | None = None
    """File of what was changed in the twins and what was there before, shared by all commands; by
    default `journal.db` beside `path`."""

    @property
    def journal_path(self) -> Path:
        """Return where the journal is."""
        return self.journal or self.path.with_name("journal.db")


class ModelsSettings(Section):
    """The DTDL models."""

    path: Path = Field(
        default_factory=shipped_models, json_schema_extra={"default": "the shipped telecom models"}
    )
    """Folder of DTDL models."""


class SourceSettings(Section):
    """One of several inventories, `[[inventory.sources]]`; the first named has the say."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Its name in plans and messages: 1 to 32 of a-z, 0-9 and -."""

    kind: Literal["files", "netbox", "tmf639", "teiv", "adt"]
    """What it is: a folder of `files` (CSV, NDJSON, GraphML, GeoJSON), a `netbox`, a TM Forum
    resource inventory (`tmf639`), O-RAN topology events (`teiv`), or another twin instance
    (`adt`)."""

    mapping: Path | None = None
    """File that maps its records; `netbox`, `tmf639` and `teiv` have a shipped one."""

    path: Path | None = None
    """Folder of its files; of its event files for `teiv` and, beside `url`, for `tmf639`."""

    url: str | None = None
    """Address of its service: NetBox without `/api`, TMF639 with its base path, a twin instance."""

    auth: Literal["none", "token", "basic", "default", "managed-identity"] = "none"
    """How to sign in to `url`: `none`, `token`, `basic` (`user` and a password as the token), or
    `default` and `managed-identity` for a twin instance."""

    user: str | None = None
    """The user for `auth = "basic"`."""

    token: SecretStr | None = None
    """The token or password; better kept in `token_file`."""

    token_file: Path | None = None
    """File whose text is the token or password; read anew for every pass."""

    connection_string: SecretStr | None = None
    """Event hub the events of `teiv` and `tmf639` come through, with its name as `EntityPath`."""

    consumer_group: str = "$Default"
    """Consumer group to read the event hub as; give each agent its own."""

    passed_over_events: Annotated[
        str, Field(pattern=r"^([^:, ]+:[0-9]+( *, *[^:, ]+:[0-9]+)*)?$")
    ] = ""
    """Events of the event hub to pass over, each as `PARTITION:NUMBER`, commas between them: those
    that cannot be used and are known to be no loss. They no longer keep anything from being
    deleted."""

    page_size: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Records to ask for at once; a service may give fewer."""

    records_max: Annotated[int, Field(ge=1, le=10_000_000)] = 2_000_000
    """Most records of one scope; with more of them it counts as not read whole."""

    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30
    """Longest wait for one answer."""

    retry_for_s: Annotated[float, Field(ge=0, le=3600)] = 60
    """Longest time one request is tried again."""

    full_every_s: Annotated[float, Field(ge=0, le=604_800)] = 3600
    """Seconds after which everything is read again, and not only what changed."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return checked_url(url)

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> SourceSettings:
        if self.kind in ("netbox", "adt") and self.url is None:
            raise ValueError(f'kind "{self.kind}" needs url')
        if self.kind == "tmf639" and self.url is None and self.path is None:
            raise ValueError('kind "tmf639" needs url, path or both')
        if self.kind == "files" and self.path is None:
            raise ValueError('kind "files" needs path')
        if self.kind == "teiv" and (self.path is None) == (self.connection_string is None):
            raise ValueError('kind "teiv" needs either path or connection_string')
        if self.passed_over_events and self.connection_string is None:
            raise ValueError("passed_over_events goes with connection_string")
        if self.kind in ("files", "adt") and self.mapping is None:
            raise ValueError(f'kind "{self.kind}" needs mapping')
        if self.auth in ("token", "basic") and self.token is None and self.token_file is None:
            raise ValueError(f'auth is "{self.auth}", but neither token nor token_file is set')
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both set: keep one of them")
        if self.auth == "basic" and self.user is None:
            raise ValueError('auth is "basic", but user is not set')
        return self


class InventorySettings(Section):
    """From records to twins."""

    source: Path | None = None
    """Folder of inventory files; without it and `sources` the inventory loop stays off."""

    mapping: Path | None = None
    """File that maps records of `source` to twins and relationships."""

    sources: tuple[SourceSettings, ...] = ()
    """Several inventories instead of `source`, each a table `[[inventory.sources]]`; as text (in a
    variable or flag) a JSON list."""

    owner: Annotated[str | None, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")] = None
    """Who manages the twins, instead of the `owner` each mapping names: needed where those of
    several sources differ, as those of the shipped mappings do."""

    interval_s: Seconds = 300
    """Seconds between two passes over the inventory."""

    full_every_s: Annotated[float, Field(ge=0, le=604_800)] = 3600
    """Seconds after which a pass of the agent reads all twins and relationships again, and not
    only what changed; relationships alone four times as often."""

    apply: bool = True
    """Whether the agent writes what a pass finds; `false` only logs what it would write."""

    max_delete_count: Annotated[int, Field(ge=0)] = 50
    """A pass that would delete more twins and relationships than this is refused whole."""

    max_delete_percent: Annotated[float, Field(ge=0, le=100)] = 10
    """A pass that would delete a larger share of what it manages than this is refused whole."""

    derive_dependencies: bool = False
    """Whether typed relationships of the inventory also become `dependsOn`, by
    `dependency_rules`."""

    dependency_rules: Path = Field(
        default_factory=lambda: shipped_default("dependencies.toml"),
        json_schema_extra={"default": "the shipped rules"},
    )
    """File of rules by which relationships imply `dependsOn`."""

    @property
    def configured(self) -> bool:
        """Tell whether there is an inventory at all."""
        return self.source is not None or bool(self.sources)

    @model_validator(mode="after")
    def _has_its_sources_once(self) -> InventorySettings:
        if self.source is not None and self.sources:
            raise ValueError("source and sources are both set: keep one of them")
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("two of the sources have the same name")
        return self


class TelemetrySettings(Section):
    """From events to properties."""

    bindings: Path = Field(
        default_factory=lambda: shipped_default("bindings.toml"),
        json_schema_extra={"default": "the shipped bindings"},
    )
    """File that binds metrics to properties."""

    batch_max_wait_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Longest wait for a batch of events to fill."""

    batch_max_events: Annotated[int, Field(ge=1, le=10_000)] = 3000
    """Most events of one partition handled together."""


class HealthSettings(Section):
    """From readings to scores."""

    profiles: Path = Field(
        default_factory=lambda: shipped_default("health.toml"),
        json_schema_extra={"default": "the shipped profiles"},
    )
    """File of health profiles: KPIs, limits, weights and windows per model."""

    interval_s: Seconds = 1.0
    """Seconds between two rounds of writing health to the twins."""

    idle_close_s: Annotated[float, Field(ge=1, le=86_400)] = 90
    """A health period still open is closed after this long without newer telemetry."""


class FlagSettings(Section):
    """From queries to flags."""

    queries: Path = Field(
        default_factory=lambda: shipped_default("flags.toml"),
        json_schema_extra={"default": "the shipped queries"},
    )
    """File of named ADT queries; a twin is flagged while its row is in the result."""

    interval_s: Seconds = 10
    """Seconds between two rounds of the queries."""


class LimitSettings(Section):
    """Azure Digital Twins' quotas as the agent keeps them; Azure's page has the current ones."""

    twin_ops_per_s: PerSecond = 10
    """Writes a second to one twin, its relationships in either direction included."""

    patches_per_s: PerSecond = 1000
    """Twin patches a second to the instance."""

    create_delete_per_s: PerSecond = 500
    """Twins and relationships created or deleted a second."""

    queries_per_s: PerSecond = 500
    """Query calls a second."""

    query_units_per_s: PerSecond = 4000
    """Query units a second; what a query costs is known when its answer is there."""

    reads_per_s: PerSecond = 1000
    """Twins and relationships read by id a second."""

    model_ops_per_s: PerSecond = 100
    """Requests about models a second."""

    telemetry_weight: Annotated[float, Field(gt=0, le=100)] = 3
    """Turns that telemetry and health get for each one of the inventory where both wait."""

    requests_in_flight: Annotated[int, Field(ge=1, le=500)] = 64
    """Requests under way at once; the service takes at most 500 for one twin."""

    retry_for_s: Annotated[float, Field(ge=0, le=3600)] = 60
    """Longest time one request is tried again before it counts as failed."""


class LogSettings(Section):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least serious events to write."""

    format: Literal["text", "json"] = "text"
    """`text` for people, `json` for collectors."""
