"""What reads like Celery's and is not, and what is Celery's and does not read like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.migrate import scan_path
from gateway.migrate.finding import Scan

HEAD = """
from celery import Celery, signature
app = Celery("proj")

@app.task(name="shop.pay")
def pay(order): ...

@app.task(name="shop.mail")
def mail(order): ...
"""


def _scan(folder: Path, source: str, **more: str) -> Scan:
    (folder / "proj.py").write_text(HEAD + source, encoding="utf-8")
    for name, text in more.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return scan_path(folder)


@pytest.mark.parametrize(
    "source",
    [
        "from multiprocessing import Pool\nwith Pool(4) as p:\n    p.apply_async(print, (1,))",
        "from multiprocessing.pool import ThreadPool\ndef f():\n    crew = ThreadPool(2)\n    crew.apply_async(print)",
        "import multiprocessing as m\nclass C:\n    def __init__(self): self.it = m.Pool()\n    def go(self): self.it.apply_async(print)",
        "def f(timer): timer.delay(3)",
        "def f(workers): workers.apply_async(print)",
    ],
)
def test_a_pool_of_processes_dispatches_no_task(tmp_path: Path, source: str) -> None:
    assert _scan(tmp_path, source).call_sites == []


@pytest.mark.parametrize(
    ("source", "kind", "task", "options"),
    [
        ("pay.apply_async((1,), **{'queue': 'slow', 'countdown': 3})", "apply_async", "shop.pay", {"queue": "slow", "countdown": 3}),
        ("def f(opts): pay.apply_async((1,), queue='q', **opts)", "apply_async", "shop.pay", {"queue": "q", "**": "opts"}),
        ("app.signature('shop.mail').apply_async(queue='q')", "apply_async", "shop.mail", {"queue": "q"}),
        ("def f():\n    a = pay.s(1)\n    b = mail.s()\n    (a | b)()", "|", None, {}),
    ],
)
def test_a_dispatch_says_what_and_how(tmp_path: Path, source: str, kind: str, task: str | None, options: dict[str, object]) -> None:
    sites = [site for site in _scan(tmp_path, source).call_sites if site.kind == kind]
    assert [(site.task, site.options) for site in sites] == [(task, options)]


def test_tasks_by_class_of_an_applications_own_task_class_are_found(tmp_path: Path) -> None:
    source = """
class Base(app.Task):
    abstract = True

class Export(app.Task):
    name = "shop.export"
    def run(self, day): ...

class Import(Base):
    name = "shop.import"
    def run(self, day): ...

app.register_task(Export())
app.register_task(Import())
"""
    assert {task.name for task in _scan(tmp_path, source).tasks} == {"shop.pay", "shop.mail", "shop.export", "shop.import"}


def test_a_comment_about_names_makes_none_uncertain(tmp_path: Path) -> None:
    tasks = _scan(tmp_path, "# there is no def gen_task_name here\n@app.task\ndef plain(): ...").tasks
    assert all(task.name_certain for task in tasks)
    own = "class Own(Celery):\n    def gen_task_name(self, name, module): return name\n"
    assert not all(task.name_certain for task in _scan(tmp_path, own + "@app.task\ndef plain(): ...").tasks)


def test_a_router_and_a_dictionary_of_routes_are_no_pair(tmp_path: Path) -> None:
    routes = _scan(tmp_path, 'app.conf.task_routes = ("proj.Router", {"shop.*": {"queue": "shop"}})').routes
    assert ("shop.*", {"queue": "shop"}) in [(route.task, route.route) for route in routes]
    assert [route.route for route in routes if route.task is None] == ["proj.Router"]
    routes = _scan(tmp_path, 'app.conf.task_routes = [("shop.*", {"queue": "a"}), ("mail.*", "b")]').routes
    assert [(route.task, route.route) for route in routes] == [("shop.*", {"queue": "a"}), ("mail.*", "b")]


def test_entries_of_one_task_on_one_line_are_two(tmp_path: Path) -> None:
    source = (
        'app.conf.beat_schedule = {"a": {"task": "shop.pay", "schedule": 60, "args": [1]}, "b": {"task": "shop.pay", "schedule": 60.0, '
        '"args": [2]}}'
    )
    assert [entry.args for entry in _scan(tmp_path, source).schedules] == [[1], [2]]


def test_an_update_of_a_schedule_adds_entries(tmp_path: Path) -> None:
    source = 'app.conf.beat_schedule = {}\napp.conf.beat_schedule.update(nightly={"task": "shop.mail", "schedule": 60})'
    assert [(entry.task, entry.when) for entry in _scan(tmp_path, source).schedules] == [("shop.mail", 60)]


def test_fixtures_of_installed_packages_are_nobodys_schedules(tmp_path: Path) -> None:
    row = '[{"model": "django_celery_beat.periodictask", "pk": 1, "fields": {"task": "NAME"}}]'
    (tmp_path / ".venv").mkdir()
    scan = _scan(
        tmp_path,
        "",
        **{
            "shop__fixtures__beat.json": row.replace("NAME", "shop.pay"),
            ".venv__lib__fixtures__beat.json": row.replace("NAME", "foreign.task"),
            "env__site-packages__fixtures__beat.json": row.replace("NAME", "foreign.task"),
        },
    )
    assert [entry.task for entry in scan.schedules] == ["shop.pay"]


WRAPPER = """
def job(q="default", retries=3, **more):
    def decorate(function):
        return app.task(queue=q, max_retries=retries, **more)(function)
    return decorate
"""


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("@job()", {"queue": "default", "max_retries": 3}),
        ("@job(q='slow', retries=9)", {"queue": "slow", "max_retries": 9}),
        ("@job('slow')", {"queue": "slow", "max_retries": 3}),
        ("@job('slow', 9, acks_late=True)", {"queue": "slow", "max_retries": 9, "acks_late": True}),
    ],
)
def test_what_a_projects_own_decorator_is_given_becomes_the_options_it_makes_of_it(
    tmp_path: Path, written: str, options: dict[str, object]
) -> None:
    (task,) = [task for task in _scan(tmp_path, f"{WRAPPER}{written}\ndef made(x): ...").tasks if task.symbol == "made"]
    assert task.options == options


def test_a_parameter_without_a_default_is_passed_on_as_well(tmp_path: Path) -> None:
    source = "def of(queue_name):\n    return app.task(queue=queue_name)\n@of('slow')\ndef made(x): ..."
    (task,) = [task for task in _scan(tmp_path, source).tasks if task.symbol == "made"]
    assert task.options == {"queue": "slow"}
