"""A Redis command in the form both sides share, and what a shadow is answered."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from redis.commands import READ_COMMANDS

from dualrun.contracts import EffectKind, JsonValue
from dualrun.effects.asking import Asked, ask
from dualrun.effects.execution import Execution

__all__ = ["Command", "asked_of", "keep_reply", "key_of", "payload_of", "reads", "reply_of"]

Command: TypeAlias = "tuple[object, ...]"

# Beyond what redis-py itself sends to replicas.
_READS = READ_COMMANDS | {
    *(
        "AUTH",
        "ASKING",
        "COMMAND",
        "ECHO",
        "HELLO",
        "INFO",
        "LASTSAVE",
        "OBJECT",
        "PING",
        "PUBSUB",
        "READONLY",
        "READWRITE",
        "SELECT",
        "TIME",
    ),
    *("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"),
    *("UNWATCH", "WATCH", "XINFO", "XLEN", "XPENDING", "XRANGE", "XREAD", "XREVRANGE", "ZRANK", "ZREVRANK", "ZSCAN", "ZSCORE"),
    *("ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZUNION"),
}
_READ_SUBCOMMANDS = {
    "CLIENT": frozenset({"CACHING", "GETNAME", "GETREDIR", "ID", "INFO", "LIST", "SETINFO", "SETNAME", "TRACKING", "TRACKINGINFO"}),
    "CLUSTER": frozenset({"COUNTKEYSINSLOT", "GETKEYSINSLOT", "INFO", "KEYSLOT", "LINKS", "MYID", "NODES", "REPLICAS", "SHARDS", "SLOTS"}),
    "CONFIG": frozenset({"GET"}),
    "FUNCTION": frozenset({"DUMP", "LIST", "STATS"}),
    "MEMORY": frozenset({"DOCTOR", "MALLOC-STATS", "STATS", "USAGE"}),
    "SCRIPT": frozenset({"EXISTS", "LOAD"}),
}
"""Of commands that read with one word after them and change with another."""
_TTL_AT = {"SETEX": 1.0, "PSETEX": 0.001}
_TTL_OPTIONS = {"EX": 1.0, "PX": 0.001}
_SAME = {"SETEX": "SET", "PSETEX": "SET", "SETNX": "SET", "INCR": "INCRBY", "DECR": "DECRBY"}
_COUNTED_FROM = {"DEL": 1, "UNLINK": 1, "LPUSH": 2, "RPUSH": 2, "SADD": 2, "SREM": 2, "HDEL": 2, "ZREM": 2, "PFADD": 2}
"""Commands whose reply is how many things they name, and from which argument on those stand."""
_PAIRED_FROM = {"HSET": 2, "ZADD": 2}
_NONE_REPLY = frozenset({"GETDEL", "GETEX", "GETSET", "LPOP", "RPOP", "SPOP", "XREADGROUP"})
_ZERO_REPLY = frozenset({"PUBLISH", "SPUBLISH"})


def reads(command: Command) -> bool:
    """True for a command that changes nothing others see. A command not known is taken for a write."""
    name = _name(command)
    return _subcommand(command) in _READ_SUBCOMMANDS[name] if name in _READ_SUBCOMMANDS else name in _READS


def key_of(command: Command) -> str:
    """`SET cart:1`: the command and its key; the ways to set with a time to live are one."""
    name = _name(command)
    key = _plain(command[1]) if len(command) > 1 else ""
    return f"{_SAME.get(name, name)} {key}".rstrip()


def payload_of(command: Command) -> Mapping[str, JsonValue] | None:
    """The value and time to live of a SET, the arguments after the key of anything else."""
    name, rest = _name(command), command[2:]
    if name in _TTL_AT and len(rest) > 1:
        return {"value": _plain(rest[1]), "ttl_s": float(str(_plain(rest[0]))) * _TTL_AT[name]}
    if name == "SETNX" and rest:
        return {"value": _plain(rest[0]), "options": ["NX"]}
    if name == "SET" and rest:
        return _set_payload(rest)
    if name in {"INCR", "DECR"} and not rest:
        return {"arguments": ["1"]}
    return {"arguments": [_plain(argument) for argument in rest]} if rest else None


def asked_of(run: Execution, command: Command) -> Asked:
    """Note the write and say what is to become of it."""
    return ask(run, EffectKind.CACHE, key_of(command), payload_of(command), reads=False)


def keep_reply(asked: Asked, reply: object) -> None:
    """What Redis answered the authority, where JSON can hold it."""
    if isinstance(reply, bytes):
        asked.note.answered({"bytes": base64.b64encode(reply).decode()})
    elif reply is None or isinstance(reply, str | int | float):
        asked.note.answered({"reply": reply})
    else:
        asked.note.unread()


def reply_of(asked: Asked, command: Command) -> object:
    """What a shadow is answered: as the authority was, or as if the key had not been there before."""
    if isinstance(asked.answer, dict):
        if "bytes" in asked.answer:
            return base64.b64decode(str(asked.answer["bytes"]))
        return asked.answer["reply"]
    name = _name(command)
    if name in _COUNTED_FROM:
        return len(command) - _COUNTED_FROM[name]
    if name in _PAIRED_FROM:
        return (len(command) - _PAIRED_FROM[name]) // 2
    if name in _NONE_REPLY:
        return None
    if name in {"INCRBY", "DECRBY"} and len(command) > 2:
        return int(str(_plain(command[2]))) * (-1 if name == "DECRBY" else 1)
    return 0 if name in _ZERO_REPLY else -1 if name == "DECR" else 1 if name == "INCR" else True


def _name(command: Command) -> str:
    return str(_plain(command[0])).upper().partition(" ")[0] if command else ""


def _subcommand(command: Command) -> str:
    """The word after the name, which redis-py gives in one text with it, or as the argument that follows."""
    words = [word for part in command[:2] for word in str(_plain(part)).upper().split(" ")]
    return words[1] if len(words) > 1 else ""


def _set_payload(rest: Sequence[object]) -> Mapping[str, JsonValue]:
    payload: dict[str, JsonValue] = {"value": _plain(rest[0])}
    options: list[JsonValue] = []
    words = iter(rest[1:])
    for word in words:
        option = str(_plain(word)).upper()
        if option in _TTL_OPTIONS:
            payload["ttl_s"] = float(str(_plain(next(words, "0")))) * _TTL_OPTIONS[option]
        else:
            options.append(option)
    return {**payload, "options": options} if options else payload


def _plain(value: object) -> JsonValue:
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    return value if isinstance(value, str) else str(value)
