"""A handler's signature as the model of its payload."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from dualrun.contracts import JsonObject, Parameter, typed_json
from dualrun.errors import ConfigurationError, DualrunError
from event_handlers.context import Context
from event_handlers.dependencies import Dependency, needs_of
from event_handlers.payload_schema import schema_of

__all__ = ["InvalidPayload", "PayloadModel", "model_of"]

_WHOLE = "payload"
_UNCHANGING = (type(None), bool, int, float, str, bytes, datetime, date, time, Decimal, UUID)


class InvalidPayload(DualrunError):
    """A payload is not what its handler takes; the text says where (a path from `$`) and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadModel:
    """What a handler takes, and how a payload becomes its arguments."""

    parameters: tuple[Parameter, ...]
    schema: JsonObject
    type: type
    fields: frozenset[str]
    """Keys a payload may have."""
    context_name: str | None
    """The parameter the context is injected into."""
    is_whole: bool
    """True where one parameter takes the payload as a whole."""
    needs: Mapping[str, Dependency] = field(default_factory=dict)
    """Parameters that are given an opened dependency."""

    def arguments_of(self, payload: JsonObject) -> dict[str, object]:
        """Keyword arguments for the handler. Raises `InvalidPayload`."""
        if not payload.keys() <= self.fields:
            unknown = sorted(payload.keys() - self.fields)
            raise InvalidPayload(f"unknown field{'s'[: len(unknown) > 1]} {', '.join(unknown)}: known are {', '.join(sorted(self.fields))}")
        try:
            model: object = msgspec.convert(typed_json.decode(payload), self.type, strict=True)
        except (msgspec.ValidationError, typed_json.UnreadableValue) as exc:
            raise InvalidPayload(str(exc)) from exc
        except RecursionError as exc:
            raise InvalidPayload("nested too deep") from exc
        if self.is_whole:
            return {_WHOLE: model}
        return {name: getattr(model, name) for name in self.fields}


def model_of(function: Callable[..., object]) -> PayloadModel:
    """The model of a function's parameters.

    Raises `ConfigurationError` naming the parameter that no payload can fill.
    """
    where = f"{function.__module__}.{function.__qualname__}"
    hints = _hints(function, where)
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters:
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise ConfigurationError(f"{where}: parameter {parameter} has no name a payload could give it; name it")
    contexts = [parameter.name for parameter in parameters if _is_context(hints.get(parameter.name))]
    if len(contexts) > 1:
        raise ConfigurationError(f"{where}: {' and '.join(contexts)} are both annotated Context; one is enough")
    needs = needs_of(hints)
    own = [parameter for parameter in parameters if parameter.name not in contexts and parameter.name not in needs]
    context_name = contexts[0] if contexts else None
    if len(own) == 1 and own[0].name == _WHOLE and _is_model(hints.get(_WHOLE)):
        model = _whole_model(hints[_WHOLE], context_name, where)
    else:
        model = _signature_model(function, own, hints, context_name, where)
    return replace(model, needs=needs)


def _hints(function: Callable[..., object], where: str) -> dict[str, Any]:
    # Without the return annotation: nothing is made of it, so it may name what only type checkers import.
    parameters = types.SimpleNamespace(__annotations__={k: v for k, v in function.__annotations__.items() if k != "return"})
    try:
        return get_type_hints(parameters, getattr(inspect.unwrap(function), "__globals__", {}), include_extras=True)
    except NameError as exc:
        raise ConfigurationError(f"{where}: annotation {exc.name!r} is not known at run time; import it outside of TYPE_CHECKING") from exc


def _is_context(annotation: object) -> bool:
    if get_origin(annotation) in {Union, types.UnionType}:
        return Context in get_args(annotation)
    return annotation is Context


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and (issubclass(annotation, msgspec.Struct) or is_dataclass(annotation))


def _whole_model(model: type, context_name: str | None, where: str) -> PayloadModel:
    fields = msgspec.inspect.type_info(model)
    if not isinstance(fields, msgspec.inspect.StructType | msgspec.inspect.DataclassType) or getattr(fields, "array_like", False):
        raise ConfigurationError(f"{where}: {model.__name__} is not an object in JSON")
    return PayloadModel(
        parameters=tuple(Parameter(name=part.encode_name, required=part.required, keyword_only=True) for part in fields.fields),
        schema=_schema(model, where),
        type=model,
        fields=frozenset(part.encode_name for part in fields.fields),
        context_name=context_name,
        is_whole=True,
    )


def _signature_model(
    function: Callable[..., object], own: list[inspect.Parameter], hints: dict[str, Any], context_name: str | None, where: str
) -> PayloadModel:
    fields = [(parameter.name, hints.get(parameter.name, typing.Any), _default(parameter)) for parameter in own]
    try:
        model = msgspec.defstruct(function.__name__, fields, kw_only=True, frozen=True, module=function.__module__)
    except TypeError as exc:
        raise ConfigurationError(f"{where}: {exc}") from exc
    return PayloadModel(
        parameters=tuple(
            Parameter(
                name=parameter.name, required=parameter.default is parameter.empty, keyword_only=parameter.kind is parameter.KEYWORD_ONLY
            )
            for parameter in own
        ),
        schema=_schema(model, where),
        type=model,
        fields=frozenset(parameter.name for parameter in own),
        context_name=context_name,
        is_whole=False,
    )


def _default(parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - the default of any annotation
    if parameter.default is parameter.empty:
        return msgspec.NODEFAULT
    if type(parameter.default) in _UNCHANGING:
        return parameter.default
    # The very object, as in a direct call.
    return msgspec.field(default_factory=lambda: parameter.default)


def _schema(model: type, where: str) -> JsonObject:
    try:
        return schema_of(model)
    except TypeError as exc:
        raise ConfigurationError(f"{where}: no payload can be described for it: {exc}") from exc
