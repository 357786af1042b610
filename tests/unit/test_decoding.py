from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bot.core.decoding import convert, decode

ROUNDS = 150
"""Of decoding without a lock, 13 of 20 interpreters died in the first round, 20 of 20 within as many."""

PROGRAM = """
import sys
from threading import Barrier, Thread

import msgspec

from bot.core.decoding import convert, decode

DOCUMENT = {"third": [{"second": 2}]}


def kind_of(number):
    names = ("first", "second", "third", "fourth", "fifth", "sixth")
    numbers = [(name, int | None, None) for name in names]
    parts = [msgspec.defstruct(f"Part{number}{name}", numbers) for name in names]
    lists = [(name, list[part] | None, None) for name, part in zip(names, parts)]
    return msgspec.defstruct(f"Whole{number}", lists)


def first_seen_by_all_at_once(ask, kind):
    start, read = Barrier(4), []

    def go():
        start.wait()
        read.append(ask(kind).third[0].second)

    threads = [Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [2] * 4, read


ask = {
    "decode": lambda kind: decode(msgspec.json.encode(DOCUMENT), kind),
    "convert": lambda kind: convert(DOCUMENT, kind),
}[sys.argv[1]]
sys.setswitchinterval(1e-6)
for number in range(int(sys.argv[2])):
    first_seen_by_all_at_once(ask, kind_of(number))
"""


class Part(msgspec.Struct, frozen=True):
    size: int
    name: str = ""


def in_a_fresh_interpreter(how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, how, str(ROUNDS)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("how", ["decode", "convert"])
def test_threads_that_meet_a_type_for_the_first_time_at_once_all_read_it(how: str) -> None:
    done = in_a_fresh_interpreter(how)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_list_and_a_struct_within_another_are_read_by_their_own_kind() -> None:
    text = '[{"size": 3}, {"size": 4, "name": "a", "more": 1}]'

    assert decode(text, list[Part]) == decode(msgspec.Raw(text.encode()), list[Part]) == [Part(3), Part(4, "a")]
    assert convert([{"size": 3}], tuple[Part, ...]) == (Part(3),)
    assert decode('{"a": [1]}', object) == {"a": [1]}


WRONG = ['{"size": "3"}', '{"size": 3', "null", "[]", '{"size": 3} {}', '{"size": 3, "name": "\\ud800"}']


@pytest.mark.parametrize("text", WRONG)
def test_what_is_of_another_kind_is_refused_each_time(text: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match=r"."):
            decode(text, Part)
        with pytest.raises(msgspec.ValidationError):
            convert(text, Part)
