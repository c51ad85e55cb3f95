"""Arguments as Celery's callers give them, against what a task takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jsonschema_rs

from dualrun.contracts import JsonObject, JsonValue, Parameter, ServedTask
from gateway.core.errors import FieldError, InvalidArguments

__all__ = ["ArgumentChecker", "bind_arguments", "split_arguments"]

_ERRORS_MAX = 20


def bind_arguments(
    parameters: Sequence[Parameter] | None, args: Sequence[JsonValue], kwargs: JsonObject, *, task: str = ""
) -> dict[str, JsonValue]:
    """The arguments by parameter name, as an event's payload.

    Without known parameters only keyword arguments have names. Raises `InvalidArguments` naming everything that does not fit: pointers
    are `/args/<index>` and `/kwargs/<name>`.
    """
    if parameters is None:
        if args:
            raise InvalidArguments(task, [FieldError("/args/0", "the names of its parameters are not known: give arguments by keyword")])
        return dict(kwargs)
    positional = [parameter.name for parameter in parameters if not parameter.keyword_only]
    payload: dict[str, JsonValue] = {**dict(zip(positional, args, strict=False)), **kwargs}
    errors = _misfits(parameters, positional, args, kwargs)
    if errors:
        raise InvalidArguments(task, errors)
    return payload


def split_arguments(
    parameters: Sequence[Parameter] | None, payload: JsonObject, positional: int
) -> tuple[tuple[JsonValue, ...], dict[str, JsonValue]]:
    """The arguments that `bind_arguments` made this payload of, the first so many of them given by position.

    Where the parameters are no longer known, or no longer those, all go by keyword: to the task that is the same.
    """
    names = [parameter.name for parameter in parameters or () if not parameter.keyword_only][:positional]
    if len(names) < positional or any(name not in payload for name in names):
        names = []
    kwargs = {name: value for name, value in payload.items() if name not in names}
    return tuple(payload[name] for name in names), kwargs


def _misfits(parameters: Sequence[Parameter], positional: Sequence[str], args: Sequence[JsonValue], kwargs: JsonObject) -> list[FieldError]:
    given = positional[: len(args)]
    names = {parameter.name for parameter in parameters}
    takes = f"it takes {', '.join(parameter.name for parameter in parameters) or 'no arguments'}"
    return [
        *(FieldError(f"/args/{index}", f"is one positional argument too many: {takes}") for index in range(len(positional), len(args))),
        *(FieldError(_pointer("kwargs", name), f"is no parameter: {takes}") for name in kwargs if name not in names),
        *(
            FieldError(_pointer("kwargs", name), f"is given already, as /args/{index}")
            for index, name in enumerate(given)
            if name in kwargs
        ),
        *(
            FieldError(_pointer("kwargs", parameter.name), "is required")
            for parameter in parameters
            if parameter.required and parameter.name not in given and parameter.name not in kwargs
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Compiled:
    schema: JsonObject
    validator: jsonschema_rs.Validator


class ArgumentChecker:
    """Checks arguments against what a task's handler announced. Each schema is compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[str, _Compiled] = {}

    def check(self, served: ServedTask, args: Sequence[JsonValue], kwargs: JsonObject) -> None:
        """Raises `InvalidArguments` naming the places the caller wrote. A task of unknown signature takes anything."""
        if served.parameters is None and served.schema is None:
            return
        payload = bind_arguments(served.parameters, args, kwargs, task=served.task)
        if served.schema is None:
            return
        validator = self._validator(served.task, served.schema)
        plain = _plain(payload)
        if not validator.is_valid(plain):
            raise InvalidArguments(served.task, _violations(validator, served.schema, plain, _places(served.parameters, args)))

    def _validator(self, task: str, schema: JsonObject) -> jsonschema_rs.Validator:
        compiled = self._compiled.get(task)
        if compiled is None or (compiled.schema is not schema and compiled.schema != schema):
            compiled = self._compiled[task] = _Compiled(schema, jsonschema_rs.validator_for(dict(schema)))
        return compiled.validator


def _places(parameters: Sequence[Parameter] | None, args: Sequence[JsonValue]) -> Mapping[str, str]:
    """Parameter name -> where the caller wrote it, for the positional ones."""
    positional = [parameter.name for parameter in parameters or () if not parameter.keyword_only]
    return {name: f"/args/{index}" for index, name in enumerate(positional[: len(args)])}


def _violations(validator: jsonschema_rs.Validator, schema: JsonObject, payload: JsonValue, places: Mapping[str, str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for violation in validator.iter_errors(payload):
        path = [*map(str, violation.instance_path), *_missing(violation)]
        root = places.get(path[0], _pointer("kwargs", path[0])) if path else "/kwargs"
        errors.append(FieldError(root + _pointer(*path[1:]), _wanted(violation, schema)))
        if len(errors) == _ERRORS_MAX:
            break
    return errors


def _wanted(violation: jsonschema_rs.ValidationError, schema: JsonObject) -> str:
    """What would be right. Of a union the validator only says that nothing in it fits: its types say more."""
    if not isinstance(violation.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        return violation.message
    found: object = schema
    for step in violation.schema_path:
        found = found[step] if isinstance(found, dict | list) else None  # type: ignore[index]
    types = [str(option["type"]) for option in found if isinstance(option, dict) and "type" in option] if isinstance(found, list) else []
    return f"is not of type {' or '.join(types)}" if types else violation.message


def _missing(violation: jsonschema_rs.ValidationError) -> list[str]:
    """The property that should be there: the schema reports its absence at the object around it."""
    return [violation.kind.property] if isinstance(violation.kind, jsonschema_rs.ValidationErrorKind.Required) else []


def _plain(value: JsonValue) -> JsonValue:
    """The value with kombu's typed objects read as what they stand for."""
    if isinstance(value, Mapping):
        if value.keys() == {"__type__", "__value__"}:
            return _untyped(value["__value__"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _untyped(value: JsonValue) -> JsonValue:
    # Of kombu's types only a UUID is not written as the scalar a schema means.
    return value["hex"] if isinstance(value, Mapping) and value.keys() <= {"hex", "version"} and "hex" in value else _plain(value)


def _pointer(*steps: str) -> str:
    return "".join(map(_step, steps))


def _step(name: str) -> str:
    # RFC 6901, 3.
    return "/" + name.replace("~", "~0").replace("/", "~1")
