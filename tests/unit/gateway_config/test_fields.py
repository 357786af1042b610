from __future__ import annotations

import time

import pytest

from bot.core.gateway_config.config_text import parse_config
from bot.core.gateway_config.fields import fields_named, used_fields

CONFIG = """
config:
  readinessAddr: 0.0.0.0:15021
  logging: {level: info}
binds:
- port: 8787
  listeners:
  - name: default
    routes:
    - policies: {apiKey: {keys: []}, timeout: 3s}
      backends:
      - host: one:80
      - ai:
          groups:
          - providers:
            - name: a
              provider: {bedrock: {region: us-east-1, guardrail_id: x}}
            - name: b
              provider: {openAI: {}}
"""
USED = used_fields(parse_config(CONFIG))
BACKEND = "binds[].listeners[].routes[].backends[]"


def test_a_field_is_named_by_its_path_once_for_all_items() -> None:
    assert (
        *("config", "config.readinessAddr", "config.logging", "config.logging.level"),
        *("binds", "binds[].port", "binds[].listeners", "binds[].listeners[].name"),
        "binds[].listeners[].routes",
        *(f"binds[].listeners[].routes[].{end}" for end in ("policies", "policies.apiKey", "policies.apiKey.keys")),
        *("binds[].listeners[].routes[].policies.timeout", "binds[].listeners[].routes[].backends"),
        *(f"{BACKEND}.{end}" for end in ("host", "ai", "ai.groups", "ai.groups[].providers")),
        *(f"{BACKEND}.ai.groups[].providers[].{end}" for end in ("name", "provider", "provider.bedrock")),
        *(f"{BACKEND}.ai.groups[].providers[].provider.{end}" for end in ("bedrock.region", "bedrock.guardrail_id")),
        f"{BACKEND}.ai.groups[].providers[].provider.openAI",
    ) == USED


def test_keys_of_strangers_are_shown_without_what_nobody_sees() -> None:
    assert used_fields({"a\u202e\n`b": {"z" * 500: 1}}) == ("a 'b", f"a 'b.{'z' * 59}…")


@pytest.mark.parametrize(
    ("note", "names"),
    [
        # ordinary words in prose are no names of fields
        ("* fix: keep the host header when routes share a listener name by @port in #12", ()),
        ("* feat(policies): timeout for all backends, logging by level, config reload", ()),
        ("* bedrock: the region is read from the environment", ()),
        ("The port, the listeners and their routes.", ()),
        # words that nobody writes like that
        ("* readinessAddr now takes a port", ("readinessAddr",)),
        ("* rename guardrail_id, ReadinessAddr and readinessAddress", ("guardrail_id",)),
        ("* OpenAI: streaming; and API keys", ()),
        ("* the openAI provider", ("openAI",)),
        # code spans
        ("* `binds` is deprecated, use `gateways`", ("binds",)),
        ('* set `port: 8787` or `"host"`, or ``timeout``', ("port", "timeout", "host")),
        ("* run `agentgateway --config file` on the host", ()),
        ("* `port:8787`, `not a port`, `host/name`", ()),
        ("* see `policies.delay` and `config.tracing`", ()),
        ("* see `policies.apiKey.mode`", ("policies", "apiKey")),
        ("* an unclosed `port and ```host``", ()),
        # paths
        ("* binds[].listeners[0].protocol is checked", ("binds", "listeners")),
        ("* logging.level works, in config.yaml and host.name", ("logging", "level")),
        ("* see https://docs.example.com/readinessAddr/config.logging?a=`port`", ()),
        # what an example shows is no news
        ("```yaml\nbinds:\n- port: 1\n  `host`: config.logging\n```\n`timeout`", ("timeout",)),
        ("~~~\n```\n`port`\n~~~\n`host`", ("host",)),
        ("```yaml\nconfig: {readinessAddr: x}\n```", ("readinessAddr",)),
        ("```inline``` and `port`", ("port",)),
        ("", ()),
    ],
)
def test_notes_name_a_field_where_no_other_reading_is_likely(note: str, names: tuple[str, ...]) -> None:
    actual = fields_named(note, USED)

    assert names == actual


def test_generated_notes_of_a_release_name_only_what_they_speak_of() -> None:
    notes = """## What's Changed
* build(deps): bump the host of the config in /controller by @dependabot[bot] in https://github.com/acme/app/pull/1
* llm: allow the provider name in routes by @dev in https://github.com/acme/app/pull/2
* api keys: deprecate `apiKey` for plain policies by @dev in https://github.com/acme/app/pull/3
* ui: show listeners and backends by @dev in https://github.com/acme/app/pull/4

**Full Changelog**: https://github.com/acme/app/compare/v1.4.0...v1.4.1
"""

    assert fields_named(notes, USED) == ("apiKey",)


@pytest.mark.parametrize("storm", ["`", "`a", "a.", "a_", "```\n", "x[0].y[1]", "http://", "~~~ `", "` ", '`"a"'])
def test_storms_of_marks_are_read_in_time(storm: str) -> None:
    started = time.process_time()
    fields_named(storm * 300_000, USED)

    assert time.process_time() - started < 2
