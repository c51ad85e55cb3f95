"""`/v1/breakers`."""

from __future__ import annotations

import httpx

from tests.support.gateway_parts import MemoryGateway


async def test_every_circuit_is_told_with_its_service_and_how_long_it_is_open(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    assert (await client.get("/v1/breakers")).json() == {"breakers": []}
    await gateway.breakers.failed("bank", 1, 30.0)
    await gateway.breakers.look("mail", 5, 30.0)
    bank, mail = (await client.get("/v1/breakers", params={"service": "shop"})).json()["breakers"]
    assert (bank["service"], bank["name"], bank["state"], bank["failures"], bank["failures_max"]) == ("shop", "bank", "open", 1, 1)
    assert 29.0 < bank["open_s"] <= 30.0
    assert (mail["name"], mail["state"], mail["open_s"], mail["opened_at"]) == ("mail", "closed", None, None)
    assert (await client.get("/v1/breakers", params={"service": "depot"})).json() == {"breakers": []}


async def test_a_service_of_no_possible_name_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/breakers", params={"service": "no such name"})).status_code == 422
