"""Say whether everything a gateway stands on is there and fits together."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from importlib.metadata import version

from dualrun.broker import Broker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.broker.redirect_topology import REDIRECT_TOPOLOGY
from dualrun.contracts import Side
from dualrun.contracts.topology import service_queue, shadow_queue
from dualrun.errors import BrokerError, ConfigurationError
from gateway.core.installation import Installation, PartFacts, clock_finding, installation_of, part_finding, worker_findings
from gateway.core.ports import Catalogue, FlagStore
from gateway.core.readiness import Finding, Level

__all__ = ["ExamineInstallation", "FactsOf", "services_in"]

FactsOf = Callable[[], Awaitable[PartFacts | None]]
_OURS = (RECORDS_TOPOLOGY, REDIRECT_TOPOLOGY)


class ExamineInstallation:
    """Asks every part once; a part that is away is a finding, never an error."""

    def __init__(
        self,
        *,
        probes: Mapping[str, Callable[[], Awaitable[str | None]]],
        facts: Mapping[str, FactsOf],
        broker: Broker,
        catalogue: Catalogue,
        flags: FlagStore,
        now: Callable[[], datetime],
    ) -> None:
        self._probes = probes
        self._facts = facts
        self._broker = broker
        self._catalogue = catalogue
        self._flags = flags
        self._now = now

    async def __call__(self) -> Installation:
        """Nothing is changed by it: queues are declared as they were at the start, which says whether they still are so."""
        findings = [part_finding(name, await probe()) for name, probe in self._probes.items()]
        versions = {"dualrun": version("dualrun-gateway"), "Python": platform.python_version(), "Celery": version("celery")}
        for name, facts_of in self._facts.items():
            before = self._now()
            facts = await facts_of()
            if facts is None:
                continue
            versions[name] = facts.version
            if facts.clock is not None:
                findings.append(clock_finding(name, facts.clock - (before + (self._now() - before) / 2)))
        findings += [await self._queue_arguments(), *[await self._service_queues(service) for service in services_in(self._catalogue)]]
        findings += worker_findings(
            self._catalogue.workers(), self._flags.snapshot, self._catalogue.names(), is_current=self._catalogue.current
        )
        return installation_of(self._now(), versions, findings)

    async def _queue_arguments(self) -> Finding:
        what = "queue arguments"
        try:
            for topology in _OURS:
                await self._broker.declare(topology)
        except ConfigurationError as exc:
            do = "empty that queue, delete it, and restart a gateway: it is declared again as it should be"
            return Finding(what=what, level=Level.BLOCKED, seen=str(exc), do=do)
        except BrokerError as exc:
            return Finding(what=what, level=Level.WATCH, seen=f"not known: {exc}")
        return Finding(what=what, level=Level.FINE, seen="as this release declares them")

    async def _service_queues(self, service: str) -> Finding:
        what = f"queues of {service}"
        try:
            depths = {name: await self._broker.depth(name) for name in (service_queue(service), shadow_queue(service))}
        except BrokerError as exc:
            return Finding(what=what, level=Level.WATCH, seen=f"not known: {exc}")
        missing = [name for name, depth in depths.items() if depth is None]
        if missing:
            return Finding(
                what=what,
                level=Level.BLOCKED,
                seen=f"no {' and no '.join(missing)}",
                do=f"start an event worker of {service}",
            )
        known = {name: depth for name, depth in depths.items() if depth is not None}
        said = ", ".join(f"{name}: {depth.ready} waiting, {depth.consumers} consumers" for name, depth in known.items())
        if not all(depth.consumers for depth in known.values()):
            return Finding(what=what, level=Level.WATCH, seen=said, do=f"start event workers of {service}")
        return Finding(what=what, level=Level.FINE, seen=said)


def services_in(catalogue: Catalogue) -> list[str]:
    """Every service that has announced event handlers."""
    served = (catalogue.served_by(task).get(Side.EVENTS) for task in catalogue.names())
    return sorted({task.service for task in served if task is not None and task.service})
