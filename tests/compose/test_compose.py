"""`docker-compose.yml`, its images and its environment file agree with one another and with the code."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.settings import Settings
from tests.support.compose import (
    COMPOSE_FILE,
    ENV_EXAMPLE,
    Service,
    dotenv,
    drawn_secrets,
    interpolate,
    raw_document,
    services,
    variables_of,
)
from tests.support.processes import REPOSITORY
from tools.env_file import fill

DOCKERFILE = REPOSITORY / "docker" / "Dockerfile"
PASSWORDS = drawn_secrets()
SERVICES = services(PASSWORDS)
OURS = {name: service for name, service in SERVICES.items() if service.built_from}


def documented_variables() -> dict[str, str]:
    return dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))


by_name = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
of_ours = pytest.mark.parametrize("service", OURS.values(), ids=OURS)


@pytest.mark.parametrize("path", [COMPOSE_FILE, REPOSITORY / "tools" / "services" / "compose.yaml"], ids=lambda path: path.name)
def test_the_file_is_what_the_compose_specification_allows(path: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run([checker, "--builtin-schema", "vendor.compose-spec", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_whole_stack_is_there() -> None:
    assert {"rabbitmq", "redis", "postgres", "flower", "jaeger", "prometheus", "grafana"} == SERVICES.keys() - OURS.keys()
    assert {"gateway", "comparator", "worker", "beat", "event-worker", "shop"} == OURS.keys()


@by_name
def test_every_service_has_a_health_check(service: Service) -> None:
    assert service.healthcheck
    assert service.healthcheck[0] in {"CMD", "CMD-SHELL"}


@by_name
def test_nothing_is_published_beyond_loopback(service: Service) -> None:
    assert [port for port in service.ports if not port.startswith("127.0.0.1:")] == []


@by_name
def test_images_are_pinned_to_a_version(service: Service) -> None:
    if service.built_from is None:
        assert re.search(r":v?\d+\.\d+", service.image) or re.search(r":\d+-alpine$", service.image)


@pytest.mark.parametrize("missing", PASSWORDS)
def test_nothing_starts_without_its_password(missing: str) -> None:
    with pytest.raises(KeyError, match=rf"{missing}: set it in \.env"):
        services({name: value for name, value in PASSWORDS.items() if name != missing})


def test_no_password_stands_in_the_repository() -> None:
    text = COMPOSE_FILE.read_text()
    written_out = [
        line for line in text.splitlines() if re.search(r"(PASS(WORD)?|REDISCLI_AUTH|BASIC_AUTH)\b.*:", line) and "${" not in line
    ]
    assert written_out == []
    assert re.findall(r"://[^:\s]*:(?!\$\{)[^@\s]*@", text) == []
    assert set(dotenv(ENV_EXAMPLE).keys()) >= PASSWORDS.keys()
    assert {dotenv(ENV_EXAMPLE)[name] for name in PASSWORDS} == {""}


def test_every_variable_is_in_the_example_of_the_environment_file() -> None:
    text = COMPOSE_FILE.read_text()
    set_for_processes = {name for service in OURS.values() for name in service.environment if name.startswith(("DUALRUN_", "SHOP_"))}
    assert (variables_of(text) | set_for_processes) - documented_variables().keys() == set()


def test_every_variable_the_code_reads_is_in_the_example() -> None:
    packages = ("dualrun", "gateway", "legacy_celery", "event_handlers", "examples")
    sources = [source.read_text() for package in packages for source in (REPOSITORY / package).rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"\b(?:DUALRUN|SHOP)_[A-Z_]*[A-Z]\b", text)}
    assert len(read) > 10
    assert read - documented_variables().keys() == set()


def test_every_setting_of_the_gateway_is_in_the_example_with_its_default() -> None:
    documented = documented_variables()
    for name, setting in Settings.model_fields.items():
        assert f"DUALRUN_{name.upper()}" in documented
        if isinstance(setting.default, int | float):
            assert float(documented[f"DUALRUN_{name.upper()}"]) == setting.default


def test_an_environment_file_made_from_the_example_starts_everything(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(fill(ENV_EXAMPLE.read_text()))
    given = dotenv(env_file)
    assert services(given).keys() == SERVICES.keys()
    profiles = {profile for service in SERVICES.values() for profile in service.profiles}
    assert set(given["COMPOSE_PROFILES"].split(",")) == profiles


def test_the_events_side_can_be_stopped_by_itself() -> None:
    assert [name for name, service in SERVICES.items() if "events" in service.profiles] == ["event-worker"]
    needs = {name: body.get("depends_on", {}) for name, body in yaml.safe_load(COMPOSE_FILE.read_text())["services"].items()}
    assert [name for name, needed in needs.items() if "event-worker" in needed] == []


def test_what_must_survive_is_on_named_volumes() -> None:
    named = raw_document()["volumes"]
    assert isinstance(named, dict)
    kept = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.volumes if not volume.startswith("./")}
    assert kept == named.keys()
    assert {name for name in OURS if not any(volume.endswith(":/var/lib/dualrun") for volume in OURS[name].volumes)} == {
        "shop",
        "event-worker",
    }


def test_mounted_files_exist() -> None:
    mounted = [volume.partition(":")[0] for service in SERVICES.values() for volume in service.volumes if volume.startswith("./")]
    assert [path for path in mounted if not (REPOSITORY / path).exists()] == []


@of_ours
def test_the_image_is_one_that_the_dockerfile_builds(service: Service) -> None:
    targets = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert service.built_from in targets


def runnable(module: str) -> str:
    """What `python -m` runs: of a package, its `__main__`."""
    found = importlib.util.find_spec(module)
    return f"{module}.__main__" if found is not None and found.submodule_search_locations else module


@of_ours
def test_commands_name_programs_and_modules_that_exist(service: Service) -> None:
    program, *arguments = service.command
    assert shutil.which(program, path=str(Path(sys.executable).parent))
    modules = [runnable(value) if option == "-m" else value for option, value in itertools.pairwise(arguments) if option in {"-m", "-A"}]
    modules += [service.environment[name] for name in ("CELERY_WORKER_INCLUDE", "DUALRUN_HANDLERS") if name in service.environment]
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
    assert [module for module in modules if module.startswith("gateway") and service.built_from != "gateway"] == []


def test_what_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    ignored_but = {line.removeprefix("!") for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), re.MULTILINE) for word in line.split()[:-1]]
    assert [source for source in sources if not (REPOSITORY / source).exists()] == []
    assert {source.partition("/")[0] for source in sources} == ignored_but


def test_variables_are_filled_in_as_compose_does() -> None:
    assert interpolate("${A} ${B:-b} ${A:-b} $$C", {"A": "a"}) == "a b a $C"
