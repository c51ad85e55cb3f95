"""`/healthz`, `/readyz`, `/metrics` and `/v1/catalogue`: for those who keep the process running."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter, Request, Response

from dualrun.contracts import Side
from gateway.api.services import Probe, services_of

__all__ = ["Readiness", "router"]

router = APIRouter(tags=["operations"])
_encode = msgspec.json.Encoder().encode
_PROBE_TIMEOUT_S = 2.0


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process can take submissions, and what is wrong with each part that does not work."""

    ready: bool
    parts: dict[str, str]


@router.get("/healthz", response_class=Response)
async def healthz() -> Response:
    """The process answers."""
    return Response(b'{"alive":true}', media_type="application/json")


@router.get("/readyz", response_class=Response)
async def readyz(request: Request) -> Response:
    """200 when the broker takes messages; other parts may be away without stopping authority work."""
    probes = services_of(request).probes
    answers = await asyncio.gather(*(_ask(probe) for probe in probes.values()))
    parts = {name: answer or "ok" for name, answer in zip(probes, answers, strict=True)}
    ready = parts.get("broker", "ok") == "ok"
    return Response(_encode(Readiness(ready=ready, parts=parts)), status_code=200 if ready else 503, media_type="application/json")


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    return Response(services_of(request).metrics.expose(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/catalogue", response_class=Response)
async def catalogue(request: Request) -> Response:
    """Every task any worker has announced: per side its parameters and how many live workers serve it."""
    known = services_of(request).catalogue
    tasks = {
        name: {
            side.value: {
                "parameters": served.parameters,
                "schema": served.schema,
                "live_workers": known.live_workers(Side(side), name),
            }
            for side, served in sorted(known.served_by(name).items())
        }
        for name in sorted(known.names())
    }
    return Response(_encode({"tasks": tasks}), media_type="application/json")


async def _ask(probe: Probe) -> str | None:
    try:
        return await asyncio.wait_for(probe(), _PROBE_TIMEOUT_S)
    except TimeoutError:
        return f"no answer within {_PROBE_TIMEOUT_S} s"
