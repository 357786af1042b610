"""The real schemas of six releases, compared pair by pair for realistic configs and for drawn ones.

They lie in the folder `shared` next to the checkout, where there is one.
"""

from __future__ import annotations

import random
import re
import time
from functools import cache
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bot.core.gateway_config.config_text import parse_config
from bot.core.gateway_config.differences import Difference, differences
from bot.core.gateway_config.nodes import Schema
from bot.core.gateway_config.schema import mismatches, parse_schema
from bot.core.gateway_config.values import Json
from tests.real.drawn import drawn

pytestmark = pytest.mark.real

_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "upstream" / "schema"
VERSIONS = ("1.0.0", "1.1.0", "1.2.1", "1.3.1", "1.4.0", "1.4.1")
SECRET = "sk-0123456789"  # noqa: S105 - stands for one
BINDS_DEPRECATED = Difference(
    "binds", "deprecated", "Deprecated; usage of `gateways` and `routes` is recommended instead", breaks=False
)

FAILOVER = """
config:
  readinessAddr: 0.0.0.0:15021
  statsAddr: 0.0.0.0:15020
  logging: {level: info}
  tracing: {otlpEndpoint: "http://otel:4317"}
  connectionMinTerminationDeadline: 5s
  connectionTerminationDeadline: 30s
binds:
- port: 8787
  listeners:
  - name: default
    protocol: HTTP
    routes:
    - name: chat
      matches:
      - path: {pathPrefix: /v1}
      policies:
        cors: {allowOrigins: ["*"], allowHeaders: ["*"], allowMethods: [GET, POST]}
        timeout: {requestTimeout: 120s}
        retry: {attempts: 2, codes: [429, 503]}
        apiKey: {mode: strict, keys: [{key: SECRET, metadata: {team: a}}]}
      backends:
      - ai:
          groups:
          - providers:
            - name: bedrock
              provider: {bedrock: {region: us-east-1, model: anthropic.claude}}
              policies: {backendAuth: {aws: {}}}
          - providers:
            - name: anthropic
              provider: {anthropic: {model: claude}}
""".replace("SECRET", SECRET)
PROXY = """
binds:
- port: 8787
  listeners:
  - routes:
    - policies:
        requestHeaderModifier: {add: {x-team: a}}
        urlRewrite: {path: {prefix: /}}
      backends:
      - {host: "localhost:8080", weight: 1}
      - mcp: {targets: [{name: tools, stdio: {cmd: npx, args: [-y, tools]}}]}
"""
MODELS = """
llm:
  port: 8787
  models:
  - {name: "*", provider: anthropic, params: {apiKey: SECRET, model: claude}}
""".replace("SECRET", SECRET)


@cache
def _schema(version: str) -> Schema:
    file = _FOLDER / f"config-v{version}.json"
    if not file.is_file():
        pytest.skip(f"{file.name} is not next to the checkout")
    return parse_schema(file.read_bytes())


def _route(policies: str = "{}", backend: str = "{host: 'localhost:80'}") -> Json:
    route = f"{{policies: {policies}, backends: [{backend}]}}"
    return parse_config(f"binds: [{{port: 8787, listeners: [{{routes: [{route}]}}]}}]")


def _provider(provider: str, policies: str = "{}") -> Json:
    return _route(backend=f"{{ai: {{name: a, provider: {provider}, policies: {policies}}}}}")


def _breaks(old: str, new: str, config: Json) -> list[tuple[str, str]]:
    prefix = "binds[].listeners[].routes[]."
    found = differences(_schema(old), _schema(new), config)
    return [(one.kind, one.path.removeprefix(prefix)) for one in found if one.breaks]


def test_the_report_for_a_failover_is_short_and_right() -> None:
    config = parse_config(FAILOVER)

    actual = {(old, new): differences(_schema(old), _schema(new), config) for old, new in pairwise(VERSIONS)}

    assert actual.pop(("1.3.1", "1.4.0")) == (BINDS_DEPRECATED,)
    assert set(actual.values()) == {()}
    assert differences(_schema("1.3.1"), _schema("1.4.1"), config) == (BINDS_DEPRECATED,)


@pytest.mark.parametrize(
    ("old", "new", "config", "expected"),
    [
        ("1.1.0", "1.2.1", _provider("{azureOpenAI: {host: a}}"), ("renamed", "backends[].ai.provider.azureOpenAI")),
        (
            "1.1.0",
            "1.2.1",
            _route("{extAuthz: {host: 'a:1', policies: {requestRedirect: {authority: {full: x}}}}}"),
            ("removed", "policies.extAuthz.policies.requestRedirect"),
        ),
        (
            "1.1.0",
            "1.2.1",
            _provider("{anthropic: {}}", f"{{backendAuth: {{key: {SECRET}}}}}"),
            ("type", "backends[].ai.policies.backendAuth.key"),
        ),
        ("1.3.1", "1.4.1", _provider("{gemini: {mdel: x}}"), ("refused", "backends[].ai.provider.gemini.mdel")),
        ("1.3.1", "1.4.1", _provider("{bedrock: {region: x, y: 1}}"), ("refused", "backends[].ai.provider.bedrock.y")),
        (
            "1.3.1",
            "1.2.1",
            _provider("{custom: {formats: [{type: completions}]}}"),
            ("removed", "backends[].ai.provider.custom"),
        ),
        (
            "1.3.1",
            "1.2.1",
            _provider("{bedrock: {region: x}}", "{backendAuth: {aws: {assumeRole: {roleArn: x}}}}"),
            ("removed", "backends[].ai.policies.backendAuth.aws.assumeRole"),
        ),
        ("1.3.1", "1.2.1", {"config": {"database": {"url": SECRET}}}, ("removed", "config.database")),
        ("1.4.1", "1.3.1", {"gateways": {"a": {"port": 8787}}}, ("removed", "gateways")),
        ("1.4.1", "1.3.1", _route("{delay: {duration: 1s}}"), ("removed", "policies.delay")),
        (
            "1.4.1",
            "1.3.1",
            _route(f"{{apiKey: {{keys: [{{keyHash: 'sha256:{'0' * 64}'}}]}}}}"),
            ("required", "policies.apiKey.keys[]"),
        ),
    ],
)
def test_a_real_change_is_found(old: str, new: str, config: Json, expected: tuple[str, str]) -> None:
    assert mismatches(_schema(old), config) == ()
    assert expected in _breaks(old, new, config)
    assert _breaks(new, old, config) == []


def test_the_field_that_takes_another_ones_place_is_named() -> None:
    config = _provider("{azureOpenAI: {host: a}}")
    (found,) = differences(_schema("1.1.0"), _schema("1.2.1"), config)
    (misfit,) = mismatches(_schema("1.2.1"), config)

    assert found.text == "is gone; `azure` is new there and may take its place"
    assert misfit.path == "binds[0].listeners[0].routes[0].backends[0].ai.provider.azureOpenAI"
    assert "unknown field; here can be `openAI`, `gemini`, `vertex`, `anthropic`, `bedrock`, `azure`" in misfit.message


@pytest.mark.parametrize("text", [FAILOVER, PROXY, MODELS], ids=["failover", "proxy", "models"])
def test_a_realistic_config_fits_every_release_and_nothing_breaks(text: str) -> None:
    config = parse_config(text)

    for old, new in permutations(VERSIONS, 2):
        found = differences(_schema(old), _schema(new), config)

        assert mismatches(_schema(new), config) == ()
        assert not any(one.breaks for one in found), found
        assert len(found) <= 4, found
        assert SECRET not in str(found)


@pytest.mark.parametrize("seed", range(60))
def test_what_breaks_is_what_does_not_fit_and_what_does_not_fit_any_more_is_told(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a config to try
    origin = VERSIONS[seed % len(VERSIONS)]
    config = drawn(_schema(origin).document, chance, wrong=0.01 * (seed % 3))
    misfits = {version: mismatches(_schema(version), config) for version in VERSIONS}

    for version, found in misfits.items():
        assert jsonschema.Draft202012Validator(_schema(version).document).is_valid(config) == (not found)
    for old, new in permutations(VERSIONS, 2):
        changes = differences(_schema(old), _schema(new), config)
        places = [re.sub(r"\[\d+\]", "[]", misfit.path) for misfit in misfits[new]]
        unfounded = [one for one in changes if one.breaks and one.path not in places]
        explained = any(one.breaks for one in changes) or bool(misfits[old]) or not misfits[new]

        assert unfounded == []
        assert explained, misfits[new]


def test_a_pair_is_compared_in_no_time() -> None:
    config: Any = parse_config(FAILOVER)
    config["binds"][0]["listeners"][0]["routes"] *= 10
    pairs = [(_schema(old), _schema(new)) for old, new in pairwise(VERSIONS)]

    started = time.process_time()
    for old, new in pairs:
        differences(old, new, config)

    assert (time.process_time() - started) / len(pairs) < 0.5
