"""release.yml, started for a tag as `release bump --push` starts it: not by the push, which starts nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import aws as cloud
from tests import live_sigstore as live
from tests.live_sigstore import LiveSigstore
from tests.real.test_release_workflow import DONE, IDENTITY, in_ecr, is_signed, of_the_bot, release_of
from tests.real.workflows.act import ACTOR
from tests.real.workflows.releases import PUBLISHER, TAG, ReleaseTown, release_town

pytestmark = pytest.mark.real

aws, moto, ecr_registry = cloud.aws, cloud.moto, cloud.ecr_registry
live_sigstore, sigstore_of_session = live.live_sigstore, live.sigstore_of_session


@pytest.fixture
def town(tmp_path: Path, live_sigstore: LiveSigstore, ecr_registry: str, moto: str, aws: str) -> Iterator[ReleaseTown]:
    with release_town(tmp_path / "town", live_sigstore, ecr_registry, moto, aws) as made:
        yield made


def test_a_run_that_was_dispatched_for_the_tag_releases_as_its_push_does(town: ReleaseTown) -> None:
    town.tagged(of_the_bot(town, *town.targets))

    run = town.release_run(event="workflow_dispatch")

    assert run.results == DONE
    assert run.jobs["publish"].outputs["publish.tag"] == TAG
    assert in_ecr(town)[TAG] == town.digests["v1.3.1"]
    assert is_signed(town, town.targets[1], ACTOR, PUBLISHER, IDENTITY)
    assert not release_of(town).draft
