"""One re-tag as a whole process, as `release publish` does it: python retag_once.py HOST/PATH@DIGEST HOST/PATH."""

from __future__ import annotations

import sys

from bot.adapters.connections import Connections
from bot.adapters.http import Http
from bot.adapters.registry.content import Contents
from bot.adapters.registry.pushing import Target
from bot.clock import SystemClock
from bot.core.distribution import Login
from bot.core.reference import parse_reference, parse_repository
from bot.flows.retag import copy_image, read_image


def main(source: str, target: str) -> None:
    reference = parse_reference(source)
    assert reference.digest is not None
    clock = SystemClock()
    connections = Connections({})
    http = Http(connections, clock, print, 600)

    def nobody(_: str) -> Login | None:
        return None

    there = Contents(connections, http, reference.repository, nobody)
    here = Target(connections, http, parse_repository(target), nobody)
    index, manifests = read_image(there, reference.digest)
    print(copy_image(there, here, index, manifests, lambda _: None))


if __name__ == "__main__":
    main(*sys.argv[1:])
