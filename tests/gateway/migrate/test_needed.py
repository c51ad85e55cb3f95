"""A handler reads the very variables its task reads."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.support.generated import APP, generated_from

SOURCE = f"""
{APP}
count = 1
made = None
def bump():
    global count, made, late
    count += 1
    made = late = "made"

@app.task(name="reads")
def reads():
    def inner(): return made
    return count, inner()

@app.task(name="late")
def reads_late(): return late

@app.task(name="shadows")
def shadows(count): return count

@app.task(name="both")
def both(x):
    def inner(count): return count
    return inner(x), count
"""


def test_a_variable_that_another_function_rebinds_is_read_where_it_is(tmp_path: Path) -> None:
    with generated_from(tmp_path, {"proj.py": SOURCE}) as generated:
        assert generated.decisions("reads") == generated.decisions("late") == []
        assert generated.run("reads") == (1, None)
        importlib.import_module("proj").bump()
        assert generated.run("reads") == (2, "made")
        assert generated.run("late") == "made"


def test_a_parameter_of_that_name_is_the_parameter(tmp_path: Path) -> None:
    with generated_from(tmp_path, {"proj.py": SOURCE}) as generated:
        assert generated.decisions("shadows") == []
        assert generated.run("shadows", 7) == 7


def test_a_variable_that_a_block_hides_is_left_to_a_person(tmp_path: Path) -> None:
    with generated_from(tmp_path, {"proj.py": SOURCE}) as generated:
        (decision,) = generated.decisions("both")
        assert decision.startswith("another function rebinds count")
        assert generated.run("both", 7) == (7, 1)
