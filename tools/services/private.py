"""Installed servers, started for one test run on ports and in folders of their own: nothing of the machine's own servers is touched."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from tools.services import probe
from tools.services.found import Found, NotFound, Service

__all__ = ["RabbitNode", "start_installed", "start_rabbitmq_node"]

HOST = "127.0.0.1"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.1


def start_installed(service: Service) -> Found | NotFound:
    """Start the installed server. `NotFound` when it is not installed or does not come up, with the end of its log."""
    return {"RabbitMQ": _rabbitmq, "Redis": _redis, "PostgreSQL": _postgres}[service.name]()


@dataclass(slots=True)
class _Home:
    """The folder and the processes of one private server."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None, account: pwd.struct_passwd | None = None) -> None:
        """Start in a session of its own, so that Ctrl-C at the terminal reaches the tests first and the server last."""
        user, group = (account.pw_uid, account.pw_gid) if account else (None, None)
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(  # noqa: S603
                    command,
                    env={**os.environ, **(env or {})},
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=user,
                    group=group,
                    extra_groups=[] if account else None,
                )
            )

    def wait(self, check: Callable[[], None]) -> str | None:
        """None once `check` goes through, else why it never did."""
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while (reason := probe.why_not(check)) is not None:
            ended = next((process for process in self.processes if process.poll() is not None), None)
            if ended is not None or time.monotonic() > give_up_at:
                tail = self.log.read_text(errors="replace")[-800:].strip()
                return f"did not come up ({reason})\n{tail}"
            time.sleep(POLL_S)
        return None

    def stop(self) -> None:
        """End every process, gently first, and remove the folder."""
        for process in reversed(self.processes):
            _end(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        break


def _home(name: str) -> _Home:
    folder = Path(tempfile.mkdtemp(prefix=f"dualrun-test-{name}-"))
    folder.chmod(0o755)
    return _Home(folder)


def _free_ports(count: int) -> list[int]:
    holders = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def _finish(home: _Home, check: Callable[[], None], env: Mapping[str, str], program: str, port: int) -> Found | NotFound:
    reason = home.wait(check)
    if reason is not None:
        home.stop()
        return NotFound(f"{program} {reason}")
    return Found(env, f"started {program} on private port {port}, data in {home.folder}", home.stop)


# --- Redis ---


def _redis() -> Found | NotFound:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        return NotFound("redis-server is not installed")
    (port,) = _free_ports(1)
    home = _home("redis")
    home.start([program, "--port", str(port), "--bind", HOST, "--dir", str(home.folder), "--save", "", "--appendonly", "no"])
    env = {"DUALRUN_TEST_REDIS_URL": f"redis://{HOST}:{port}/0"}
    return _finish(home, lambda: probe.redis_ping(HOST, port), env, program, port)


# --- PostgreSQL ---


def _postgres() -> Found | NotFound:
    binaries = _postgres_binaries()
    if binaries is None:
        return NotFound("no PostgreSQL server (initdb, postgres) is installed")
    account = _unprivileged_account()
    home = _home("postgresql")
    data = home.folder / "data"
    data.mkdir()
    if account is not None:
        os.chown(data, account.pw_uid, account.pw_gid)
    home.start([str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], account=account)
    if home.processes.pop().wait(START_TIMEOUT_S) != 0:
        tail = home.log.read_text(errors="replace")[-800:].strip()
        home.stop()
        return NotFound(f"initdb failed\n{tail}")
    (port,) = _free_ports(1)
    settings = {"listen_addresses": HOST, "port": str(port), "unix_socket_directories": "", "fsync": "off", "max_connections": "200"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    home.start([str(binaries / "postgres"), "-D", str(data), *options], account=account)
    env = {"DUALRUN_TEST_POSTGRES_URL": f"postgresql+asyncpg://postgres@{HOST}:{port}/postgres"}
    return _finish(home, lambda: probe.postgres_login(HOST, port), env, str(binaries / "postgres"), port)


def _postgres_binaries() -> Path | None:
    patterns = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
    folders = [Path(folder) for pattern in patterns for folder in sorted(glob(pattern), reverse=True)]  # noqa: PTH207 - absolute patterns
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).parent)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _unprivileged_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; anybody else runs it as themselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


# --- RabbitMQ ---


@dataclass(slots=True)
class RabbitNode:
    """A RabbitMQ node with a home of its own."""

    home: _Home
    program: Path
    env: Mapping[str, str]
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"amqp://guest:guest@{HOST}:{self.port}/"

    @property
    def ctl(self) -> str:
        """The command line of a rabbitmqctl that speaks to it."""
        node = {name: self.env[name] for name in ("HOME", "RABBITMQ_NODENAME", "RABBITMQ_CONF_ENV_FILE", "ERL_EPMD_PORT")}
        return shlex.join(["env", *(f"{name}={value}" for name, value in node.items()), str(self.program.with_name("rabbitmqctl"))])

    def start(self) -> str | None:
        """Start it, or start it again on the data it left; None once it answers, else why it never did."""
        self.home.start([str(self.program)], self.env)
        return self.home.wait(lambda: probe.amqp_login(HOST, self.port))

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine would end it."""
        process = self.home.processes.pop()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_TIMEOUT_S)


def start_rabbitmq_node() -> RabbitNode | NotFound:
    """A node of one's own; `node.home.stop()` ends it and removes its data. `NotFound` where it is not installed or does not come up."""
    program = _rabbitmq_server()
    if program is None:
        return NotFound("rabbitmq-server is not installed")
    home = _home("rabbitmq")
    port, distribution_port, epmd_port = _free_ports(3)
    epmd = shutil.which("epmd")
    if epmd is not None:
        # Ours, so that it ends with the node; an epmd that the node starts outlives it.
        home.start([epmd, "-port", str(epmd_port), "-address", HOST])
    node = RabbitNode(home, program, _rabbitmq_env(home.folder, port, distribution_port, epmd_port), port)
    reason = node.start()
    if reason is not None:
        home.stop()
        return NotFound(f"{program} {reason}")
    return node


def _rabbitmq() -> Found | NotFound:
    node = start_rabbitmq_node()
    if isinstance(node, NotFound):
        return node
    exported = {"DUALRUN_TEST_AMQP_URL": node.url, "DUALRUN_TEST_RABBITMQCTL": node.ctl}
    return Found(exported, f"started {node.program} on private port {node.port}, data in {node.home.folder}", node.home.stop)


def _rabbitmq_server() -> Path | None:
    """The server's own script. Debian's /usr/sbin wrapper insists on root or rabbitmq; the script behind it does not."""
    patterns = ("/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin", "/opt/homebrew/sbin", "/usr/local/sbin")
    folders = [folder for pattern in patterns for folder in sorted(glob(pattern), reverse=True)]  # noqa: PTH207 - absolute patterns
    on_path = shutil.which("rabbitmq-server")
    if on_path and on_path != "/usr/sbin/rabbitmq-server":
        folders.append(str(Path(on_path).parent))
    return next((Path(folder, "rabbitmq-server") for folder in folders if Path(folder, "rabbitmq-server").exists()), None)


def _rabbitmq_env(folder: Path, port: int, distribution_port: int, epmd_port: int) -> dict[str, str]:
    (folder / "rabbitmq-env.conf").touch()
    (folder / "rabbitmq.conf").write_text("loopback_users.guest = true\nlog.console.level = warning\n")
    (folder / "enabled_plugins").write_text("[].\n")
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"dualrun{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": HOST,
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        # One scheduler that sleeps when idle: the tests need the cores more.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
    }
