"""Django: `save()` writes every column of a row, so those that are as they were read are left out of its effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.capture.sql_write import unchanged
from dualrun.effects.execution import current_execution

__all__ = ["patch"]

_LOADED = "_dualrun_loaded"
_UNREAD = object()


def patch(library: ModuleType) -> None:
    """Put the capture into where a model is read from a row, and where it is written to one."""
    model = library.Model
    model.from_db = classmethod(_reading(model.from_db.__func__))
    model.refresh_from_db = _refreshing(model.refresh_from_db)
    model._do_update = _updating(model._do_update)  # noqa: SLF001 - the one place that knows the values and the row


def _reading(from_db: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(from_db)
    def reading(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in Django
        instance = from_db(cls, *args, **kwargs)
        if current_execution() is not None:
            _remember(instance)
        return instance

    return reading


def _refreshing(refresh: Callable[..., None]) -> Callable[..., None]:
    @wraps(refresh)
    def refreshing(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in Django
        known = _loaded(self)
        if current_execution() is None or not known:
            refresh(self, *args, **kwargs)
            return
        # Which fields are read anew is Django's to say: those it sets.
        before = dict(vars(self))
        refresh(self, *args, **kwargs)
        read = {name: value for name, value in vars(self).items() if name in known and value is not before.get(name, _UNREAD)}
        setattr(self._state, _LOADED, {**known, **read})

    return refreshing


def _updating(update: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(update)
    def updating(self: Any, base_qs: Any, using: Any, pk_val: Any, values: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401
        known = _loaded(self)
        if current_execution() is None or not known:
            return update(self, base_qs, using, pk_val, values, *args, **kwargs)
        same = [field.column for field, _, value in values if field.attname in known and _equal(known[field.attname], value)]
        token = unchanged.set(frozenset(same))
        try:
            updated = update(self, base_qs, using, pk_val, values, *args, **kwargs)
        finally:
            unchanged.reset(token)
        setattr(self._state, _LOADED, {**known, **{field.attname: value for field, _, value in values}})
        return updated

    return updating


def _remember(instance: Any) -> None:  # noqa: ANN401
    values = vars(instance)
    loaded = {field.attname: values[field.attname] for field in instance._meta.concrete_fields if field.attname in values}  # noqa: SLF001
    setattr(instance._state, _LOADED, loaded)  # noqa: SLF001


def _loaded(instance: Any) -> Mapping[str, object]:  # noqa: ANN401
    loaded: Mapping[str, object] = getattr(instance._state, _LOADED, {})  # noqa: SLF001
    return loaded


def _equal(one: object, other: object) -> bool:
    """Containers may have been changed in place: the one that was read is then the one that is written."""
    return type(one) is type(other) and one == other and not isinstance(one, list | dict | set)
