"""The report for a build: JUnit's XML, a suite a task, a failed case a difference group."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from gateway.core.report import DifferenceGroup, ShadowReport
from gateway.report.samples import sides_of
from gateway.report.standing import Standing
from gateway.report.summary import TaskSummary, summarise
from gateway.report.words import DIFFERENCES, counted, visible

__all__ = ["render_junit"]


def render_junit(report: ShadowReport) -> str:
    """Each task has the case `evidence`, skipped while it is on hold, and one more for each group no rule hides."""
    root = Element("testsuites", name="shadow report")
    for task in summarise(report).tasks:
        _suite(root, task)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, task: TaskSummary) -> None:
    name = visible(task.report.task)
    held = task.advice.standing is Standing.HOLD
    suite = SubElement(
        root, "testsuite", name=name, tests=str(1 + len(task.groups)), failures=str(len(task.groups)), errors="0", skipped=str(int(held))
    )
    evidence = SubElement(suite, "testcase", classname=name, name="evidence")
    if held:
        SubElement(evidence, "skipped", message=task.advice.text)
    SubElement(evidence, "system-out").text = visible(f"{task.headline} {task.bound}")
    for group in task.groups:
        _case(suite, name, group, task.report.compared)


def _case(suite: Element, task: str, group: DifferenceGroup, compared: int) -> None:
    case = SubElement(suite, "testcase", classname=task, name=visible(f"{group.aspect} {group.kind} {group.path}"))
    said = f"{DIFFERENCES[group.kind]}: {group.path} in {counted(group.count)} of {counted(compared)}; group {group.fingerprint}"
    failure = SubElement(case, "failure", type=str(group.aspect), message=visible(said))
    shown = []
    for sample in group.samples[:1]:
        authority, shadow = sides_of(group.kind, sample.authority, sample.shadow)
        shown = [f"submission {sample.submission_id}", f"authority: {authority}", f"shadow: {shadow}"]
    failure.text = visible("\n".join(shown))
