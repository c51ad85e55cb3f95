"""What generated source adds hides no name the task uses, imports or takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.generated import APP, generated_from

LIBRARY = """
class Context(dict): pass
class Retry:
    def __init__(self, total): self.total = total
class DoNotRetry(Exception): pass
def handler(x): return ("library", x)
def send_mail(x): return ("mailed", x)
def no_type_check(x): return ("checked", x)
"""


@pytest.mark.parametrize(
    ("source", "args", "value"),
    [
        (
            "def _sync(x):\n    open('/dev/null').close()\n    return ('helped', x)\n@app.task(name='t')\ndef sync(x): return _sync(x)",
            (1,),
            ("helped", 1),
        ),
        (
            """
from celery import Task
from library import send_mail
class SendMail(Task):
    name = 't'
    def run(self, x): return send_mail(x)
app.register_task(SendMail())""",
            (1,),
            ("mailed", 1),
        ),
        ("from library import Context\n@app.task(name='t')\ndef f(x): return Context(x=x)", (1,), {"x": 1}),
        ("from library import Retry\n@app.task(name='t')\ndef f(x): return Retry(total=x).total", (3,), 3),
        ("from library import handler\n@app.task(name='t')\ndef f(x): return handler(x)", (1,), ("library", 1)),
        (
            """
from library import handler, no_type_check
@app.task(name='t')
def f(x):
    open('/dev/null').close()
    return handler(no_type_check(x))""",
            (1,),
            ("library", ("checked", 1)),
        ),
        (
            "import library as asyncio\n@app.task(name='t')\ndef f(x):\n    open('/dev/null').close()\n    return asyncio.handler(x)",
            (1,),
            ("library", 1),
        ),
        ("from os import open\n@app.task(name='t')\ndef f(x): return open is not None and open.__module__", (1,), "posix"),
        ("@app.task(name='t')\ndef list(x): return [x]", (1,), [1]),
        ("@app.task(name='t')\ndef f(asyncio, handler):\n    open('/dev/null').close()\n    return asyncio, handler", (1, 2), (1, 2)),
    ],
)
def test_a_name_of_the_tasks_own_means_what_it_meant(tmp_path: Path, source: str, args: tuple[object, ...], value: object) -> None:
    with generated_from(tmp_path, {"proj.py": APP + source, "library.py": LIBRARY}) as generated:
        assert generated.decisions("t") == []
        assert generated.run("t", *args) == value


def test_a_parameter_called_as_the_context_is_stays_the_tasks(tmp_path: Path) -> None:
    source = "@app.task(name='t', bind=True)\ndef f(self, ctx, Context=None): return ctx, self.request.retries"
    with generated_from(tmp_path, {"proj.py": APP + source}) as generated:
        assert "async def f(ctx: Any, Context: Any = None, *, event_ctx: EventContext)" in generated.text("t")
        generated.imported("t")


@pytest.mark.parametrize(
    ("imports", "annotation", "use"),
    [
        ("from datetime import datetime", "datetime", "datetime.max"),
        ("from datetime import datetime as at_time, date", "at_time", "at_time.max, date.max"),
        ("import datetime", "datetime.datetime", "datetime.datetime.max"),
        ("import datetime as dt", "dt.date", "dt.date.max"),
        ("from decimal import Decimal as decimal", "decimal", "decimal('1')"),
        ("from uuid import UUID\nimport uuid", "UUID", "UUID(int=1), uuid.uuid4"),
        ("from datetime import time, datetime as uuid", "time", "uuid.max, time.max"),
    ],
)
def test_a_type_is_annotated_whichever_way_the_task_imports_it(tmp_path: Path, imports: str, annotation: str, use: str) -> None:
    source = f"{imports}\n@app.task(name='t')\ndef f(at: {annotation}, other: '{annotation}' = None):\n    {use}\n    return at"
    with generated_from(tmp_path, {"proj.py": APP + source}) as generated:
        assert generated.decisions("t") == []
        assert generated.run("t", 1) == 1


def test_what_only_type_checkers_import_is_not_imported_at_run_time(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from datetime import datetime\n    from nowhere import Thing\n"
        f"{APP}@app.task(name='t')\ndef f(at: datetime):\n    def inner(x: Thing): return x\n    return inner(at)"
    )
    with generated_from(tmp_path, {"proj.py": source}) as generated:
        assert "(at: datetime.datetime)" in generated.text("t")
        assert "if TYPE_CHECKING:\n    from nowhere import Thing" in generated.text("t")
        assert generated.run("t", 1) == 1


def test_an_option_of_another_module_takes_its_names_from_there(tmp_path: Path) -> None:
    making = f"{APP}from library import DoNotRetry as Broken\ndef task(**o): return app.task(autoretry_for=(Broken,), max_retries=1, **o)\n"
    source = "from making import task\nBroken = 5\n@task(name='t')\ndef f(): return Broken"
    with generated_from(tmp_path, {"proj.py": source, "making.py": making, "library.py": LIBRARY}) as generated:
        assert "retry_on=(option_Broken,)" in generated.text("t")
        assert generated.run("t") == 5


def test_a_name_the_source_does_not_bind_is_left_to_a_person(tmp_path: Path) -> None:
    source = "def making(k):\n    @app.task(name='t', autoretry_for=(k,))\n    def f(x=k): return x, k, nowhere\n    return f\nmaking(4)"
    with generated_from(tmp_path, {"proj.py": APP + source}) as generated:
        assert generated.module("t").difficulty == "blocked"
        assert {decision.partition(" ")[0] for decision in generated.decisions("t")} == {"k", "nowhere"}
        to_decide = generated.plan.files["MIGRATION.md"].partition("## To decide")[2]
        assert "k is bound where the task is defined" in to_decide
        with pytest.raises(NotImplementedError, match="nowhere is bound"):
            generated.run("t")


def test_the_task_object_comes_from_where_it_is_made(tmp_path: Path) -> None:
    source = (
        "class Kept:\n    @staticmethod\n    @app.task(name='static', bind=True)\n    def kept(self): return self.app is not None\n"
        "def making():\n    @app.task(name='inner')\n    def inner(): return inner.name\n"
    )
    with generated_from(tmp_path, {"proj.py": APP + source}) as generated:
        assert generated.run("static") is True
        assert generated.decisions("inner") == ["the Celery task object is made in a function, and only there"]
