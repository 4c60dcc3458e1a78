"""Ways to spoil a sound file: a list of operations, so that hypothesis can shorten it."""

import json
import random
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

#: bytes that mean something to one of the formats
TOKENS = tuple(
    token if isinstance(token, bytes) else token.encode()
    for token in (
        *("", "\0", "\n", "\r\n", "\r", "\t", " ", ",", ";", ":", "=", "#", ">", "<", "/>", '"'),
        *("-1", "0", "1e309", "-1e309", "nan", "inf", "-inf", "1e-320", "0x10", "1_000", "٣", "²"),
        *("9" * 20, "9" * 400, "9" * 5000, "2147483648", "9223372036854775808", "1.5", "true"),
        *("null", "None", "[]", "{}", "[" * 200, "{" * 200, "(" * 200, ")" * 200, "(((", "]]]"),
        *("<!DOCTYPE a>", "<a>", "</a>", "&lt;", "&x;", "<![CDATA[", "]]>", "<?x", "<!--", "-->"),
        *("!!python/name:os.system", "*a", "&a", "- ", "? ", "|", "%YAML 9.9", "---", "..."),
        *("BEGIN IONS", "END IONS", "PEPMASS=", "Num Peaks: 9999999999", "Name:", "#Name:", "é"),
        *(b"\xff\xfe", b"\xef\xbb\xbf", b"\x80\x81", b"\x1f\x8b", b"PK\x03\x04", b"\x7f" * 64),
    )
)
KINDS = ("cut", "drop", "flip", "set", "token", "swap", "repeat", "copy", "number", "zero")
AMOUNTS = (1, 2, 4, 8, 64, 1000)


@dataclass(frozen=True)
class Operation:
    """One change: what, where (a share of the length), how much, and which token."""

    kind: str
    place: float
    amount: int
    token: int


def random_operations(rng: random.Random, most: int = 4) -> list[Operation]:
    return [
        Operation(rng.choice(KINDS), rng.random(), rng.choice(AMOUNTS), rng.randrange(1 << 16))
        for _ in range(min(rng.randint(1, most), rng.randint(1, most)))
    ]


def spoilt(data: bytes, operations: Sequence[Operation]) -> bytes:
    """The bytes after all operations, at most eight times as many."""
    most = 8 * len(data) + 100_000
    for operation in operations:
        data = _one(data, operation)[:most]
    return data


def _one(data: bytes, op: Operation) -> bytes:
    at = int(op.place * len(data))
    end = min(at + op.amount, len(data))
    token = TOKENS[op.token % len(TOKENS)]
    if op.kind == "cut":
        return data[:at]
    if op.kind == "drop":
        return data[:at] + data[end:]
    if op.kind == "flip" and data:
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ (1 << (op.token % 8))]) + data[at + 1 :]
    if op.kind == "set":
        return data[:at] + bytes([op.token % 256]) * (end - at) + data[end:]
    if op.kind == "token":
        return data[:at] + token + data[at + op.amount % 3 :]
    if op.kind == "swap":
        other = op.token % (len(data) + 1)
        low, high = sorted((at, other))
        return data[:low] + data[high:] + data[low:high]
    if op.kind == "repeat":
        return data[:end] + data[at:end] * (op.token % 50) + data[end:]
    if op.kind == "copy":
        start = op.token % (len(data) + 1)
        return data[:at] + data[start : start + op.amount] + data[at:]
    if op.kind == "number":
        return _other_number(data, at, token)
    return data[:at] + bytes(end - at) + data[end:]


def _other_number(data: bytes, at: int, token: bytes) -> bytes:
    """The next number behind a place becomes the token."""
    found = re.compile(rb"-?\d+(\.\d+)?").search(data, at)
    return data if found is None else data[: found.start()] + token + data[found.end() :]


#: values that JSON can hold and no request should
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**400, 2**63, -(2**63), 1e308, -1e308, 5e-324),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "1", "nan", "é" * 100, "a\0b"),
    "x" * 10_000,
    *([], {}, [None], [[]], [[1, 2], [3]], [1, "a"], {"a": 1}, [[1.0] * 3000], ["A" * 600], [{}]),
)  # fmt: skip


def spoilt_json(content: Any, operations: Sequence[Operation]) -> str:
    """A request in which values are replaced, dropped, doubled, renamed or nested."""
    content = json.loads(json.dumps(content))
    for op in operations:
        places = list(_places(content))
        if not places:
            break
        parent, key = places[int(op.place * len(places))]
        nasty = deepcopy(NASTY[op.token % len(NASTY)])  # a later operation may change it
        if op.kind in ("cut", "drop"):
            del parent[key]
        elif op.kind in ("repeat", "copy") and isinstance(parent, list):
            parent.extend([parent[key]] * min(op.amount, 64))
        elif op.kind == "swap" and isinstance(parent, dict):
            parent[str(nasty)[:50]] = parent.pop(key)
        elif op.kind == "zero":
            for _ in range(min(op.amount, 300)):
                parent[key] = [parent[key]]
        else:
            parent[key] = nasty
    return json.dumps(content)


def _places(content: Any) -> Any:
    keys = (
        content
        if isinstance(content, dict)
        else range(len(content))
        if isinstance(content, list)
        else ()
    )
    for key in list(keys):
        yield content, key
        yield from _places(content[key])
