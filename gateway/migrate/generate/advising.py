"""Advice for each task of a project, from the handler that would be generated for it."""

from __future__ import annotations

from gateway.migrate.advice import Advice, Reason, safety_of
from gateway.migrate.generate.module import HandlerModule, handler_module
from gateway.migrate.scan import Reading
from gateway.migrate.task_finder import TaskSource

__all__ = ["SIGNATURES", "advise"]

SIGNATURES = frozenset({"s", "si", "signature", "chunks", "map", "starmap"})
"""Call sites that make a task part of something instead of sending it."""


def advise(reading: Reading) -> list[Advice]:
    """Advice for each task."""
    members = {site.task for site in reading.scan.call_sites if site.kind in SIGNATURES}
    return [_advice(source, handler_module(source, reading.project, "handler"), reading, canvas=members) for source in reading.sources]


def _advice(source: TaskSource, module: HandlerModule, reading: Reading, *, canvas: set[str | None]) -> Advice:
    safety, why = safety_of(module.touches)
    task = source.task
    return Advice(
        task=task.name,
        file=task.file,
        line=task.line,
        safety=safety.value,
        safety_reason=why,
        difficulty=module.difficulty,
        reasons=[Reason(decision.line, decision.text, decision.blocks) for decision in module.decisions],
        touches=module.touches,
        callers=[site for site in reading.scan.call_sites if site.task == task.name],
        canvas=task.name in canvas,
        schedules=[entry for entry in reading.scan.schedules if entry.task == task.name],
        notes=module.notes,
    )
