"""The truth of the fixture application, held against what Celery itself registers."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dualrun.contracts import JsonValue

APP = Path(__file__).parents[2] / "fixtures" / "migrate_app"
NOT_IMPORTABLE = ("shop/newer.py", "shop/reports/old.py")
"""Syntax newer than the oldest Python the tests run on; an import that Celery no longer has."""

# In a process of its own: shared tasks leak into every application of a process.
ASK_CELERY = """
import importlib, inspect, json, sys
modules, options = json.loads(sys.argv[1])
for name in modules:
    importlib.import_module(name)
from celery import Celery
from shop.billing.tasks import enclosing
from shop.celery import app as shop
from shop.factory import special, worker
from workshop.app import app as workshop
enclosing()
found = {}
for app in (shop, special, worker, workshop):
    app.finalize()
    for name, task in app.tasks.items():
        if name.startswith("celery."):
            continue
        task = task() if inspect.isclass(task) else task
        # Of the wrapper that autoretry puts around it, and of a bound method, what stands inside.
        run = getattr(task, "_orig_run", task.run)
        parameters = list(inspect.signature(run).parameters.values())
        found[name] = {
            "options": {option: getattr(task, option, None) for option in options},
            "parameters": [
                [str(given.replace(annotation=given.empty, default=given.empty)), given.default is not given.empty] for given in parameters
            ],
            "bound": inspect.ismethod(run) and run.__self__ is task,
            "is_async": inspect.iscoroutinefunction(inspect.unwrap(run)),
            "base": type(task).__mro__[1].__name__,
        }
def nothing():
    pass
bare = Celery("bare", set_as_current=False).task(nothing)
defaults = {option: getattr(bare, option, None) for option in options}
print(json.dumps({"tasks": found, "defaults": defaults}, default=lambda given: given.__name__))
"""


# What Celery reads elsewhere than in an attribute of that name.
OF_THE_DECORATOR = ("bind", "base")
INHERITED = {"shop.reports.tasks.nightly": {"max_retries": 9}}
"""What a task has of its `base=`; the truth holds what stands at the task."""


@pytest.fixture(scope="module")
def truth() -> dict[str, dict[str, JsonValue]]:
    found: list[dict[str, JsonValue]] = json.loads((APP / "truth.json").read_text(encoding="utf-8"))["tasks"]
    return {str(task["name"]): task for task in found if task["file"] not in NOT_IMPORTABLE}


@pytest.fixture(scope="module")
def celery(truth: dict[str, dict[str, JsonValue]]) -> dict[str, dict[str, dict[str, JsonValue]]]:
    modules = sorted({str(task["file"]).removesuffix(".py").replace("/", ".") for task in truth.values()})
    options = sorted({option for task in truth.values() for option in dict(task["options"])} - set(OF_THE_DECORATOR))  # type: ignore[arg-type]
    ran = subprocess.run(
        [sys.executable, "-c", ASK_CELERY, json.dumps([modules, options])],
        env={"PYTHONPATH": str(APP / "source")},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, dict[str, dict[str, JsonValue]]] = json.loads(ran.stdout)
    return found


def as_celery_has_it(value: JsonValue) -> JsonValue:
    """Classes by name: the truth has them as source text."""
    return value.strip("()[],").split(", ") if isinstance(value, str) and value[:1] in ("(", "[") else value


def parameters_of(written: ast.arguments) -> list[list[object]]:
    """Name, and whether it has a default, of each."""
    positional: list[ast.expr | None] = [None] * (len(written.args) - len(written.defaults)) + list(written.defaults)
    pairs = [*zip(written.args, positional, strict=True), *zip(written.kwonlyargs, written.kw_defaults, strict=True)]
    stars = [f"*{written.vararg.arg}"] if written.vararg else []
    return [
        *([argument.arg, default is not None] for argument, default in pairs[: len(written.args)]),
        *([star, False] for star in stars),
        *([argument.arg, default is not None] for argument, default in pairs[len(written.args) :]),
        *([[f"**{written.kwarg.arg}", False]] if written.kwarg else []),
    ]


def test_celery_registers_the_names_of_the_truth(
    truth: dict[str, dict[str, JsonValue]], celery: dict[str, dict[str, dict[str, JsonValue]]]
) -> None:
    made_in_a_loop = {name for name, task in truth.items() if task["symbol"] == "regional"}
    assert set(celery["tasks"]) == set(truth) - made_in_a_loop | {"billing.eu", "billing.us"}


def test_celery_has_the_options_of_the_truth_and_no_others(
    truth: dict[str, dict[str, JsonValue]], celery: dict[str, dict[str, dict[str, JsonValue]]]
) -> None:
    for name, task in truth.items():
        registered = celery["tasks"].get(name)
        if registered is None:
            continue
        options = task["options"]
        assert isinstance(options, dict)
        expected = celery["defaults"] | {option: as_celery_has_it(value) for option, value in options.items()} | INHERITED.get(name, {})
        assert registered["options"] == {option: value for option, value in expected.items() if option not in OF_THE_DECORATOR}, name
        if "base" in options:
            assert registered["base"] == options["base"]


def test_celery_runs_functions_with_the_parameters_of_the_truth(
    truth: dict[str, dict[str, JsonValue]], celery: dict[str, dict[str, dict[str, JsonValue]]]
) -> None:
    for name, registered in celery["tasks"].items():
        task = truth.get(name)
        if task is None:
            continue
        written = ast.parse(f"def task({task['parameters']}): ...").body[0]
        assert isinstance(written, ast.FunctionDef)
        assert registered["parameters"] == parameters_of(written.args), name
        assert registered["is_async"] == task["is_async"], name
        options = task["options"]
        assert isinstance(options, dict)
        assert registered["bound"] == (bool(options.get("bind")) or task["decorator"] == "app.register_task"), name
