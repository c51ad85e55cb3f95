"""Source newer than the interpreter that scans it says the same afterwards, on the same lines."""

from __future__ import annotations

import ast

import pytest

from gateway.migrate import Source, scan_sources
from gateway.migrate.newer_syntax import lowered

NEWER = [
    pytest.param("type X[T] = list[T]\n", id="PEP 695 alias"),
    pytest.param("def f[T: int = str](x: T) -> T: ...\n", id="PEP 695 and 696 function"),
    pytest.param("class A[\n    T, *Ts, **P\n]: pass\n", id="PEP 695 class over lines"),
    pytest.param("try:\n    pass\nexcept A, B.c:\n    pass\n", id="PEP 758"),
    pytest.param("try:\n    pass\nexcept* A, B:\n    pass\n", id="PEP 758 with star"),
    pytest.param('x = f"{a["b"]}"\n', id="PEP 701 quotes"),
    pytest.param('x = f"{\n    a  # why\n}"\ny = 1\n', id="PEP 701 comment"),
    pytest.param('x = t"hello {name}"\n', id="PEP 750"),
    pytest.param("lazy import x\n", id="PEP 810"),
    pytest.param("foo(async=True).async\n", id="async as a name, Python 3.6"),
]


@pytest.mark.parametrize("text", NEWER)
def test_newer_syntax_is_read_and_keeps_its_lines(text: str) -> None:
    plainer = lowered(text)
    assert plainer is not None
    ast.parse(plainer)
    assert plainer.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('f"{a["b"]}-{"\\n".join(c)}"', "v-p\nq"),
        ('f"{f"{f"{1 + n}"}"} {{z}}"', "8 {z}"),
        ('f"{n!r:>{w["a"]}}|{n=}"', "     7|n=7"),
        ('f"{a["b"]:{"x"}>{4}}"', "xxxv"),
        ('f"{n:=5}{a["b"]}"', "    7v"),
        ('rf"\\d{a["b"]}"', "\\dv"),
        ('f"{(lambda x: x["b"])(a)}{n != a["b"]}"', "vTrue"),
    ],
)
def test_a_newer_f_string_has_the_same_value(text: str, value: str) -> None:
    plainer = lowered(text)
    assert plainer is not None
    assert eval(plainer, {"a": {"b": "v"}, "c": ["p", "q"], "n": 7, "w": {"a": 6}}) == value


def test_what_is_no_newer_syntax_is_left_alone() -> None:
    assert lowered("type = 3\ntype(x)\nasync def f(): pass\nx = f'{a!r:>{w}}'\nexcept_ = (a, b)\n") is None


def test_a_task_in_newer_syntax_is_found_where_it_stands() -> None:
    text = 'from celery import shared_task\ntype Key = int\n\n\n@shared_task(name="newer")\ndef work[T](key: Key): return f"{x["y"]}"\n'
    (task,) = scan_sources([Source("work.py", text, ("work",), 0, True)]).tasks
    assert (task.name, task.line, [parameter.name for parameter in task.parameters]) == ("newer", 6, ["key"])
