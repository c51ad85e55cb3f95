"""No webhook leads into one's own network unless that is allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import httpx
import pytest

from gateway.notices.webhook_target import TargetRefused, check_url, resolve

PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "[::1]", "[::]", "[fe80::1]", "[fc00::7]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.8]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "255.255.255.255",
        "localhost", "2130706433", "0x7f.1",
    ],
)  # fmt: skip
async def test_an_address_of_this_network_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(TargetRefused):
        await resolve(httpx.URL(f"http://{host}/hook"), ())


async def test_a_network_that_is_allowed_is_no_longer_refused_and_others_are() -> None:
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    assert (await resolve(httpx.URL("http://127.0.0.1:8/x"), allowed)).url.host == "127.0.0.1"
    with pytest.raises(TargetRefused, match="DUALRUN_WEBHOOKS_ALLOW"):
        await resolve(httpx.URL("http://10.0.0.8/x"), allowed)


async def test_what_is_connected_to_is_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"hooks.example": [PUBLIC], "both.example": [PUBLIC, "10.0.0.8"]}

    async def look_up(self: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[host]]

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", look_up)
    target = await resolve(httpx.URL("https://hooks.example:8443/in?x=1"), ())
    assert (str(target.url), target.host_header, target.server_name) == (
        f"https://{PUBLIC}:8443/in?x=1",
        "hooks.example:8443",
        "hooks.example",
    )
    with pytest.raises(TargetRefused, match=r"10\.0\.0\.8"):
        await resolve(httpx.URL("https://both.example/in"), ())


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "hooks.example/x", "https:///x", "https://ann:pw@a.example/", "https://a.example/#x", "http://[::"]
)
def test_what_is_no_address_for_a_webhook_is_refused_when_it_is_read(url: str) -> None:
    with pytest.raises(ValueError, match=r"should be|may hold|is no"):
        check_url(url)
