"""Servers from Debian's packages, where root may install them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.services.found import Found, NotFound, Service
from tools.services.private import start_installed

__all__ = ["install_and_start", "install_package"]

POLICY = Path("/usr/sbin/policy-rc.d")
INSTALL_TIMEOUT_S = 900


def install_and_start(service: Service) -> Found | NotFound:
    """apt-get install the server, then start it as any installed one; the package stays."""
    print(f"{service.name}: installing the package {service.debian_package}", flush=True)
    return install_package(service.debian_package) or start_installed(service)


def install_package(package: str) -> NotFound | None:
    """apt-get install it, starting nothing. None where that went well."""
    if os.geteuid() != 0:
        return NotFound("not root, so nothing can be installed")
    if shutil.which("apt-get") is None:
        return NotFound("there is no apt-get")
    with _no_start_on_install():
        for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", package]):
            done = _apt_get(arguments)
            if done.returncode != 0:
                return NotFound(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()[-400:]}")
    return None


def _apt_get(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", *arguments]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False, env=env)  # noqa: S603
    except subprocess.TimeoutExpired as exc:
        return subprocess.CompletedProcess(command, returncode=124, stdout="", stderr=str(exc))


@contextmanager
def _no_start_on_install() -> Iterator[None]:
    """Debian starts a server as it is installed, on its standard port and for good; policy-rc.d is how to say no."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
