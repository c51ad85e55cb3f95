"""Generated handlers are run beside the Celery tasks they were made of, and nothing differs."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from weakref import WeakSet

import django
import django.db
import pytest
from celery import Celery, _state
from celery.signals import task_prerun
from django.conf import settings
from msgspec.structs import replace
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from dualrun.contracts import Outcome, Role, Side
from event_handlers import collect_handlers
from examples.shop.server import RunningShop
from examples.shop.traffic import Request, submissions
from gateway.comparison import compare_outcomes
from gateway.core.comparison import Verdict
from gateway.flags.document import parse_flags
from gateway.migrate import read_path
from gateway.migrate.generate.plan import Plan, plan_files
from gateway.migrate.generate.writing import write_files
from gateway.rules.document import parse_rules
from tests.support.event_side import event_side
from tests.support.generated import APP, generated_from
from tests.support.outcomes import legacy_outcome, outcome_of
from tests.support.shop import legacy_app

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")

FIXTURE = Path(__file__).parents[2] / "fixtures" / "migrate_app" / "source"
SHOP = Path(__file__).parents[3] / "legacy_celery"
PLAIN, AGAIN = "workshop.jobs.plain.", "workshop.jobs.again."

REQUESTS = [
    Request(PLAIN + "add", (1,)),
    Request(PLAIN + "add", (1, 2)),
    Request(PLAIN + "scale", (3,)),
    Request(PLAIN + "scale", (3,), {"by": 1.5}),
    Request("workshop.slow", ("hello",), {"mark": "?"}),
    Request(PLAIN + "net", ("11.90",)),
    Request(PLAIN + "parse", ('{"a": [1]}',)),
    Request(PLAIN + "parse", ("{",)),
    Request(PLAIN + "poem"),
    Request(PLAIN + "poem", ("Ann",)),
    Request(PLAIN + "sort", ([3, 1, 2], True)),
    Request(PLAIN + "pick", ("second",)),
    Request(PLAIN + "pick"),
    Request(PLAIN + "twice", ("ab",)),
    Request(PLAIN + "guarded", (1,)),
    Request(PLAIN + "where"),
    Request(PLAIN + "fails", ("broken",)),
    Request(PLAIN + "fails", ("other",)),
    Request(PLAIN + "own_name"),
    Request(PLAIN + "count_up"),
    Request(PLAIN + "imports", (21,)),
    Request(PLAIN + "nothing", (1,)),
    Request(PLAIN + "shape", ([{"a": 1}, {"a": 2, "b": 3}],)),
    Request("workshop.one_line", ([1, None],)),
    Request("workshop.kept"),
    Request(AGAIN + "until", (2,)),
    Request(AGAIN + "until", (4,)),
    Request(AGAIN + "caught", ("7",)),
    Request(AGAIN + "caught", ("seven",)),
    Request(AGAIN + "forgotten", ("seven",)),
    Request(AGAIN + "automatic", ("broken",)),
    Request(AGAIN + "automatic", ("fine",)),
    Request(AGAIN + "refused", ("refused",)),
    Request(AGAIN + "refused", ("broken",)),
    Request(AGAIN + "backing_off"),
    Request(AGAIN + "patiently", (-1, "note")),
    Request(AGAIN + "patiently", (1,)),
    Request(AGAIN + "backoff_without_effect", (1.5,)),
]


BILLING, REGISTERING = "shop.billing.tasks.", "shop.registering."
SHOP_REQUESTS = [
    Request(BILLING + "charge", (1,)),
    Request(BILLING + "ping"),
    Request(BILLING + "invoice", (7,)),
    Request("billing.alias"),
    Request(BILLING + "conditional"),
    Request(BILLING + "plain", (1,), {"b": 5}),
    Request("billing.plain", (1,)),
    Request("shop.factory.made", (3,)),
    Request("shop.import", ("a.csv",), {"dry": True}),
    Request(REGISTERING + "First"),
    Request(REGISTERING + "Second"),
    Request(REGISTERING + "no_bind", (1, 2)),
    Request("shop.reports.tasks.method", (1,)),
    Request("space.jobs.work.spaced", (1, 2), {"c": 3}),
    Request(BILLING + "close_day"),
    Request(BILLING + "refund", (5,)),
    Request("billing.nested", (1,)),
]
NO_LONGER_A_TASK = "shop.reports.old.tick"
"""Made by `periodic_task`, which Celery 5 does not have: there is nothing to compare it with."""


@pytest.fixture(scope="module")
def importable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that modules are imported from, beside the fixture's own; both are forgotten afterwards."""
    folder, known = tmp_path_factory.mktemp("generated"), set(sys.modules)
    # A shared task turns up in every application that is final already, and in every one that becomes so afterwards.
    legacy_app().finalize()
    finalizers, apps = set(_state._on_app_finalizers), _state._apps
    _state._apps = WeakSet()
    sys.path[:0] = [str(folder), str(FIXTURE)]
    yield folder
    del sys.path[:2]
    _state._apps = apps
    _state._on_app_finalizers.intersection_update(finalizers)
    for name in set(sys.modules) - known:
        if name.partition(".")[0] in ("shop", "space", "workshop", "made_of_workshop", "made_of_shop", "made_of_billing", "made_of_all"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def everything() -> Plan:
    return plan_files(read_path(FIXTURE), source="fixture")


@pytest.fixture(scope="module")
def workshop() -> Plan:
    return plan_files(read_path(FIXTURE / "workshop"), source="workshop", task="workshop.*")


@pytest.fixture(scope="module")
def handlers(importable: Path, workshop: Plan) -> str:
    write_files(importable / "made_of_workshop", workshop.files)
    return "made_of_workshop.handlers"


@pytest.fixture(scope="module")
def celery_app(importable: Path) -> Celery:
    for module in ("plain", "again"):
        importlib.import_module(f"workshop.jobs.{module}")
    app: Celery = importlib.import_module("workshop.app").app
    app.finalize()
    return app


def legacy(app: Celery, request: Request) -> Outcome:
    """What Celery does, with its attempts counted."""
    attempts: list[object] = []

    def count(**_: object) -> None:
        attempts.append(None)

    task_prerun.connect(count, weak=False)
    try:
        outcome = outcome_of(
            request,
            side=Side.LEGACY,
            role=Role.AUTHORITY,
            run=lambda: app.tasks[request.task].apply(request.args, request.kwargs).get(disable_sync_subtasks=False),
        )
    finally:
        task_prerun.disconnect(count)
    return replace(outcome, attempts=len(attempts))


def in_place(shadow: Outcome) -> Outcome:
    """The outcome without what a Celery task that is applied in place does not have: spans, and waits between attempts."""
    return replace(shadow, spans=(), retry_delays_s=())


async def test_generated_handlers_do_what_their_tasks_do(handlers: str, celery_app: Celery) -> None:
    """Value, error, effects and attempts, for every task that needs no decision."""
    async with event_side(handlers) as side:
        shadows = await asyncio.gather(*(side.outcome(request, Role.SHADOW) for request in REQUESTS))
    for request, shadow in zip(REQUESTS, shadows, strict=True):
        authority = legacy(celery_app, request)
        verdict, differences = compare_outcomes(authority, in_place(shadow), given=list(request.args))
        assert (verdict, differences) == (Verdict.EQUAL, ()), (request, authority, shadow)


def test_a_global_stays_the_one_variable_of_the_tasks_module(workshop: Plan, handlers: str, celery_app: Celery) -> None:
    text = workshop.files["handlers/workshop_jobs_plain_count_up.py"]
    assert "celery_module.counted += 1" in text
    plain = importlib.import_module("workshop.jobs.plain")
    before = plain.counted
    asyncio.run(importlib.import_module(f"{handlers}.workshop_jobs_plain_count_up").count_up())
    assert plain.counted == before + 1


def test_every_task_that_needs_no_decision_is_compared(workshop: Plan) -> None:
    ready = {module.source.task.name for module in workshop.modules if module.difficulty == "ready"}
    # A date has no plain JSON form to call it with over the eager application; it is looked at below.
    assert ready - {request.task for request in REQUESTS} == {PLAIN + "tomorrow"}
    decisions = {module.source.task.name: module.decisions for module in workshop.modules if module.decisions}
    assert set(decisions) == {AGAIN + "passed_on"}
    assert "Celery raised here, into the `try` around it" in decisions[AGAIN + "passed_on"][0].text


@pytest.fixture
def django_database(tmp_path: Path) -> Iterator[None]:
    """Django with one database, a file of SQLite."""
    if not settings.configured:
        settings.configure(DATABASES={}, USE_TZ=True, INSTALLED_APPS=[])
        django.setup()
    wanted = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "database")}
    django.db.connections.databases["default"] = django.db.connections.configure_settings({"default": wanted})["default"]
    yield
    del django.db.connections.databases["default"]


@pytest.mark.usefixtures("django_database")
async def test_handlers_of_every_way_to_make_a_task_do_what_it_does(importable: Path, everything: Plan) -> None:
    ready = [
        module
        for module in everything.modules
        if module.difficulty == "ready"
        and not module.source.task.file.startswith("workshop/")
        and module.source.task.name != NO_LONGER_A_TASK
    ]
    assert {module.source.task.name for module in ready} == {request.task for request in SHOP_REQUESTS}
    names = ["__init__.py", "handlers/__init__.py", *(f"handlers/{module.name}.py" for module in ready)]
    write_files(importable / "made_of_billing", {name: everything.files[name] for name in names})
    for module in ready:
        importlib.import_module(module.source.task.file.removesuffix(".py").replace("/", "."))
    apps = [
        importlib.import_module("shop.celery").app,
        *(getattr(importlib.import_module("shop.factory"), n) for n in ("worker", "special")),
    ]
    # The function around a nested task registers it, and sends it.
    apps[0].conf.task_always_eager = True
    importlib.import_module("shop.billing.tasks").enclosing()
    apps[0].conf.task_always_eager = False
    async with event_side("made_of_billing.handlers") as side:
        shadows = await asyncio.gather(*(side.outcome(request, Role.SHADOW) for request in SHOP_REQUESTS))
    for request, shadow in zip(SHOP_REQUESTS, shadows, strict=True):
        app = next(app for app in apps if request.task in app.tasks)
        # As in a worker, without the test's event loop: Django refuses to work under one.
        authority = await asyncio.to_thread(legacy, app, request)
        verdict, differences = compare_outcomes(authority, in_place(shadow), given=list(request.args))
        assert (verdict, differences) == (Verdict.EQUAL, ()), (request, authority, shadow)


async def test_typed_json_comes_in_as_celery_passes_it(handlers: str, celery_app: Celery) -> None:
    request = Request(PLAIN + "tomorrow", ({"__type__": "date", "__value__": "2026-02-28"},))
    async with event_side(handlers) as side:
        shadow = await side.outcome(request, Role.SHADOW)
    assert celery_app.tasks[request.task](date(2026, 2, 28)) == date(2026, 3, 1)
    assert shadow.value == {"__type__": "date", "__value__": "2026-03-01"}


async def test_handlers_of_the_sample_shop_do_what_its_tasks_do(importable: Path, sample_shop: RunningShop) -> None:
    plan = plan_files(read_path(SHOP), source="legacy_celery")
    assert {module.difficulty for module in plan.modules} == {"ready"}
    write_files(importable / "made_of_shop", plan.files)
    traffic = list({request.task: request for request in submissions(100)}.values())
    assert len(traffic) >= 10
    authorities = [await asyncio.to_thread(legacy_outcome, sample_shop, request, Role.AUTHORITY) for request in traffic]
    async with event_side("made_of_shop.handlers") as side:
        shadows = await asyncio.gather(*(side.outcome(request, Role.SHADOW) for request in traffic))
    for request, authority, shadow in zip(traffic, authorities, shadows, strict=True):
        assert compare_outcomes(authority, replace(in_place(shadow), attempts=1)) == (Verdict.EQUAL, ()), request


def test_every_generated_file_compiles_and_passes_the_linter(everything: Plan, tmp_path: Path) -> None:
    assert len(everything.modules) >= 60
    for name, text in everything.files.items():
        if name.endswith(".py"):
            compile(text, name, "exec")
    write_files(tmp_path, everything.files)
    options = ["check", "--isolated", "--no-cache", "--select", "E4,E7,E9,F,I", "--ignore", "E741", "--line-length", "120"]
    found = subprocess.run([find_ruff_bin(), *options, str(tmp_path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_a_worker_imports_every_handler_whatever_is_left_to_decide(importable: Path, everything: Plan) -> None:
    write_files(importable / "made_of_all", everything.files)
    assert {module.difficulty for module in everything.modules} == {"ready", "needs decisions", "blocked"}
    registry = collect_handlers("made_of_all.handlers")
    assert {served.task for served in registry.served()} == {module.source.task.name for module in everything.modules}


def test_a_name_that_is_no_event_type_keeps_no_worker_from_starting(tmp_path: Path) -> None:
    source = f"{APP}@app.task(name='a' * count)\ndef one(): pass\n@app.task(name='{'b' * 300}')\ndef two(): pass\n"
    with generated_from(tmp_path, {"proj.py": source}) as generated:
        assert {module.difficulty for module in generated.plan.modules} == {"blocked"}
        assert len(collect_handlers("made.handlers").served()) == 2
        assert parse_flags(generated.plan.files["flags.yaml"], "flags.yaml") == {}


def test_flags_and_rules_are_what_the_gateway_reads(everything: Plan) -> None:
    flags = parse_flags(everything.files["flags.yaml"], "flags.yaml")
    assert set(flags) == {module.source.task.name for module in everything.modules}
    assert {flag.mode.value for flag in flags.values()} == {"legacy"}
    for name, text in everything.files.items():
        if name.startswith("rules/"):
            parse_rules(text, name)


def test_a_router_that_is_code_is_named_in_the_summary(everything: Plan) -> None:
    assert "- shop/config.py:26: `shop.routing.Router`" in everything.files["MIGRATION.md"]


def test_what_blocks_raises_instead_of_doing_something_else(everything: Plan) -> None:
    (module,) = [module for module in everything.modules if module.source.task.symbol == "computed"]
    assert module.difficulty == "blocked"
    text = everything.files[f"handlers/{module.name}.py"]
    assert "raise NotImplementedError(" in text
    assert "# TODO(migrate): the source does not settle the name" in text


def test_options_that_celery_ignores_are_named_and_do_nothing(everything: Plan) -> None:
    (module,) = [module for module in everything.modules if module.source.task.symbol == "backoff_without_effect"]
    assert set(module.notes) == {
        "retry_backoff: Celery ignores it without autoretry_for",
        "retry_jitter: Celery ignores it without autoretry_for",
        "colour: no option of Celery; it only became an attribute of the task",
    }
    assert "retry" not in everything.files[f"handlers/{module.name}.py"].split("@handler", 1)[1]


def test_a_task_that_waits_for_another_is_left_to_a_person(everything: Plan) -> None:
    (module,) = [module for module in everything.modules if module.source.task.name == "shop.sync"]
    assert module.difficulty == "needs decisions"
    (decision,) = module.decisions
    assert (decision.line, decision.text.partition(",")[0]) == (14, "it waits for another task's result")


def test_waits_of_random_length_are_no_difference(tmp_path: Path) -> None:
    options = "autoretry_for=(OSError,), retry_backoff=True"
    (tmp_path / "jobs.py").write_text(
        f"from celery import shared_task\n@shared_task({options})\ndef random(): ...\n"
        f"@shared_task({options}, retry_jitter=False)\ndef steady(): ...\n"
    )
    files = plan_files(read_path(tmp_path), source="jobs").files
    (rule,) = parse_rules(files["rules/jobs.random.yaml"], "jobs.random.yaml").ignore
    assert rule.covers("/schedule/delays/[*]", date(2026, 1, 1))
    assert parse_rules(files["rules/jobs.steady.yaml"], "jobs.steady.yaml").ignore == ()


def test_parameters_keep_names_order_and_defaults(handlers: str) -> None:
    found = {served.task: served.parameters for served in collect_handlers(handlers).served()}
    scale = found[PLAIN + "scale"]
    assert scale is not None
    assert [(parameter.name, parameter.required, parameter.keyword_only) for parameter in scale] == [
        ("amount", True, False),
        ("by", False, True),
    ]
