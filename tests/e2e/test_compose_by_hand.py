"""The processes of docker-compose.yml, with its commands, its environment and its health checks, but no containers."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.compose import Service, drawn_secrets, services
from tests.support.processes import REPOSITORY, Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(240)]

PORTS = ("8080", "8081", "8025", "9101")
START_ORDER = ("shop", "worker", "event-worker", "beat", "comparator", "gateway")
SERVES_HTTP = {"gateway", "shop"}
HEALTHY_TIMEOUT_S = 60.0
HEALTHCHECK_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands for containers, volumes and their network on this machine."""

    addresses: Mapping[str, str]
    folder: Path

    def settled(self, service: Service) -> Service:
        """The service with every name of the container world replaced by what is here."""
        volume = self.folder / service.name
        volume.mkdir(exist_ok=True)
        places = {**self.addresses, "/var/lib/dualrun": str(volume), "/etc/dualrun": str(REPOSITORY / "config")}
        pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(there)}(?!\w)" for there in sorted(places, key=len, reverse=True)))

        def here(text: str) -> str:
            return pattern.sub(lambda found: places[found[0]], text)

        return replace(
            service,
            command=tuple(map(here, service.command)),
            healthcheck=tuple(map(here, service.healthcheck)),
            environment={name: here(value) for name, value in service.environment.items()},
        )


@pytest.fixture
def surroundings(amqp_url: str, redis_url: str, postgres_url: str, tmp_path: Path) -> Surroundings:
    """Local servers for those of the stack, free ports for its ports."""
    ports = {port: str(free_port()) for port in PORTS}
    addresses = {
        "amqp://dualrun:secret@rabbitmq:5672/": amqp_url,
        "redis://:secret@redis:6379/0": redis_url,
        "redis://:secret@redis:6379/1": redis_url,
        "postgresql://dualrun:secret@postgres:5432/dualrun": postgres_url,
        "http://shop:8081": f"http://127.0.0.1:{ports['8081']}",
        "http://gateway:8080": f"http://127.0.0.1:{ports['8080']}",
        **ports,
    }
    return Surroundings(addresses, tmp_path)


@pytest.fixture
def stack(surroundings: Surroundings, redis_prefix: str) -> Iterator[dict[str, tuple[Service, Process]]]:
    """Our processes, started in the order their `depends_on` asks for, each healthy before the next."""
    variables = drawn_secrets() | {"DUALRUN_REDIS_PREFIX": redis_prefix, "SHOP_SMTP_HOST": "127.0.0.1"}
    described = services(variables)
    with ExitStack() as running:
        started: dict[str, tuple[Service, Process]] = {}
        for name in START_ORDER:
            service = surroundings.settled(described[name])
            program = Path(sys.executable).with_name(service.command[0])
            process = running.enter_context(Process(name, [str(program), *service.command[1:]], env=service.environment))
            process.wait_until(partial(is_healthy, service), "healthy answer", timeout_s=HEALTHY_TIMEOUT_S)
            started[name] = service, process
        yield started


def is_healthy(service: Service) -> bool:
    """Run the service's own health check."""
    kind, *command = service.healthcheck
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOSTNAME": socket.gethostname(), **service.environment}
    words = ["sh", "-c", command[0]] if kind == "CMD-SHELL" else command
    done = subprocess.run(words, cwd=REPOSITORY, env=env, capture_output=True, timeout=HEALTHCHECK_TIMEOUT_S)
    return done.returncode == 0


def test_the_stack_gets_healthy_works_and_stops(stack: dict[str, tuple[Service, Process]], surroundings: Surroundings) -> None:
    gateway = f"http://127.0.0.1:{surroundings.addresses['8080']}"
    assert httpx.post(f"{gateway}/v1/tasks", json={"task": "learning.add", "args": [2, 3]}).status_code == 401
    with httpx.Client(headers={"Authorization": f"Bearer {drawn_secrets()['DUALRUN_ADMIN_TOKEN']}"}) as caller:
        _works(caller, gateway, stack)
    for name, (_, process) in reversed(stack.items()):
        process.terminate()
        # uvicorn raises the signal again once it has shut down in order.
        wanted = -signal.SIGTERM if name in SERVES_HTTP else 0
        assert process.wait(timeout_s=30) == wanted, f"{name}: {process.output[-2000:]}"
        assert name not in SERVES_HTTP or "Application shutdown complete" in process.output


def _works(caller: httpx.Client, gateway: str, stack: dict[str, tuple[Service, Process]]) -> None:
    accepted = caller.post(f"{gateway}/v1/tasks", json={"task": "learning.add", "args": [2, 3]})
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["decision"]["shadow"] == "events"

    task = f"{gateway}/v1/tasks/{accepted.json()['id']}"
    result = caller.get(f"{task}/result", params={"wait_s": 20}, timeout=30)
    assert result.status_code == 200, result.text
    assert result.json()["outcome"]["value"] == 5

    comparator = stack["comparator"][1]
    comparator.wait_until(lambda: caller.get(task).json().get("comparison") is not None, "comparison", timeout_s=20)
    assert caller.get(task).json()["comparison"]["verdict"] == "equal"
