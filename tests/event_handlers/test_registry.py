from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from dualrun.contracts import Event
from dualrun.contracts.topology import EVENTS_EXCHANGE
from dualrun.errors import ConfigurationError
from event_handlers import EventHandler, collect_handlers, handler
from event_handlers.definition import handler_of


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package `shopping`, importable during the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    root = tmp_path / "shopping"
    root.mkdir()
    (root / "__init__.py").write_text("")
    yield root
    for name in [name for name in sys.modules if name.split(".")[0] == "shopping"]:
        del sys.modules[name]


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from event_handlers import EventHandler, handler\n" + dedent(text))


ADD = """
    @handler("cart.add")
    async def add(x: int) -> int:
        return x
"""


def test_functions_of_all_submodules_are_found(package: Path) -> None:
    write(package, "cart.py", ADD)
    write(package, "deep/__init__.py", "")
    write(package, "deep/order.py", ADD.replace("cart.add", "order.add"))
    assert collect_handlers("shopping").tasks == ("cart.add", "order.add")


def test_classes_are_made_and_instances_taken_as_they_are(package: Path) -> None:
    write(
        package,
        "reports.py",
        """
        class Daily(EventHandler):
            event_types = frozenset({"reports.daily", "reports.weekly"})
            async def handle(self, event): ...

        class Mailed(EventHandler):
            def __init__(self, to):
                self.to = to
            @property
            def event_types(self):
                return {"reports.mailed." + self.to}
            async def handle(self, event): ...

        a, b = Mailed("a"), Mailed("b")
        same = a
        """,
    )
    assert collect_handlers("shopping").tasks == ("reports.daily", "reports.mailed.a", "reports.mailed.b", "reports.weekly")


def test_a_handler_imported_elsewhere_in_the_package_counts_once(package: Path) -> None:
    write(package, "cart.py", ADD)
    write(package, "other.py", "from shopping.cart import add")
    assert len(collect_handlers("shopping")) == 1


def test_where_there_is_all_only_what_it_names_is_taken_from_elsewhere(package: Path) -> None:
    write(package, "a.py", ADD + ADD.replace("add", "drop"))
    write(package, "b.py", "from shopping.a import add, drop\n__all__ = ['drop']")
    assert collect_handlers("shopping.b").tasks == ("cart.drop",)


def test_two_handlers_of_one_type_are_refused_naming_both(package: Path) -> None:
    write(package, "a.py", ADD)
    write(package, "b.py", ADD)
    with pytest.raises(ConfigurationError, match=r"shopping\.a:add and shopping\.b:add"):
        collect_handlers("shopping")


def test_a_decorator_above_handler_is_refused(package: Path) -> None:
    write(
        package,
        "a.py",
        """
        import functools

        def loud(function):
            @functools.wraps(function)
            async def wrapper(*args, **kwargs):
                return await function(*args, **kwargs)
            return wrapper

        @loud
        @handler("cart.add")
        async def add(x: int) -> int: ...
        """,
    )
    with pytest.raises(ConfigurationError, match="put @handler above"):
        collect_handlers("shopping")


def test_a_class_that_cannot_be_made_is_refused_by_name(package: Path) -> None:
    write(
        package,
        "a.py",
        """
        class Needy(EventHandler):
            event_types = frozenset({"a"})
            def __init__(self, what): ...
            async def handle(self, event): ...
        """,
    )
    with pytest.raises(ConfigurationError, match="Needy"):
        collect_handlers("shopping")


@pytest.mark.parametrize("name", ["shopping", "shopping.none", "nowhere.at_all"])
def test_a_module_that_is_not_there_or_holds_nothing_is_refused_by_name(package: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        collect_handlers(name)


def test_a_module_missing_inside_the_users_code_is_told_as_it_is(package: Path) -> None:
    write(package, "a.py", "import not_installed_anywhere")
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        collect_handlers("shopping")


@pytest.mark.parametrize("name", ["", "cart.*", "#", "x" * 256])
def test_a_name_that_is_no_event_type_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no event type"):

        @handler(name)
        async def add(x: int) -> int:
            return x


async def test_a_decorated_function_can_be_called_directly() -> None:
    @handler("cart.add")
    async def add(x: int, y: int = 2) -> int:
        return x + y

    assert await add(1) == 3
    assert isinstance(add, types.FunctionType)


def test_what_is_announced_says_where_to_publish_and_what() -> None:
    @handler("cart.add", max_attempts=3)
    async def add(x: int, *, y: int = 2) -> int:
        return x + y

    found = handler_of(add)
    assert found is not None
    served = found.served()
    assert (served.exchange, served.routing_key) == (EVENTS_EXCHANGE, "cart.add")
    assert served.parameters is not None
    assert [(p.name, p.required, p.keyword_only) for p in served.parameters] == [("x", True, False), ("y", False, True)]
    assert found.policy.max_attempts == 3


def test_nothing_else_is_a_handler() -> None:
    assert [handler_of(thing) for thing in (1, functools.partial(print), EventHandler, Event)] == [None] * 4
