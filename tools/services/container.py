"""Servers in containers, where a Docker engine answers."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

from tools.services import probe
from tools.services.found import Found, NotFound, Service

__all__ = ["start_container"]

HOST = "127.0.0.1"
COMPOSE_FILE = Path(__file__).with_name("compose.yaml")
UP_TIMEOUT_S = 600


def start_container(service: Service) -> Found | NotFound:
    """Start one server of `compose.yaml` under a project name of its own; `NotFound` without an engine or the compose plugin."""
    docker = shutil.which("docker")
    if docker is None:
        return NotFound("docker is not installed")
    if _run([docker, "info"], timeout_s=20).returncode != 0:
        return NotFound("no Docker engine answers")
    if _run([docker, "compose", "version"], timeout_s=20).returncode != 0:
        return NotFound("the docker compose plugin is not installed")
    key = service.name.lower()
    compose = [docker, "compose", "-f", str(COMPOSE_FILE), "-p", f"dualrun-test-{key}-{uuid.uuid4().hex[:8]}"]

    def down() -> None:
        _run([*compose, "down", "--volumes"], timeout_s=120)

    up = _run([*compose, "up", "--detach", "--wait", key], timeout_s=UP_TIMEOUT_S)
    if up.returncode != 0:
        down()
        return NotFound(f"docker compose up failed: {up.stderr.strip()[-400:]}")
    env = _addresses(service, compose)
    return Found(env, f"started in a container ({', '.join(env.values())})", down)


def _addresses(service: Service, compose: list[str]) -> dict[str, str]:
    key = service.name.lower()

    def published(port: int) -> int:
        answer = _run([*compose, "port", key, str(port)], timeout_s=20)
        return int(answer.stdout.strip().rpartition(":")[2])

    port = published(service.default_port)
    if service.name == "RabbitMQ":
        management = f"http://{HOST}:{published(15672)}"
        probe.management_login(management)
        return {service.url_variable: f"amqp://guest:guest@{HOST}:{port}/", "DUALRUN_TEST_AMQP_MANAGEMENT_URL": management}
    if service.name == "Redis":
        return {service.url_variable: f"redis://{HOST}:{port}/0"}
    return {service.url_variable: f"postgresql+asyncpg://postgres@{HOST}:{port}/postgres"}


def _run(command: list[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as exc:
        return subprocess.CompletedProcess(command, returncode=124, stdout="", stderr=str(exc))
