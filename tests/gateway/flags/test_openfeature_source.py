"""Modes and percentages from an OpenFeature provider: the one in memory, and flagd's file format."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from dualrun.contracts import Mode, Safety
from dualrun.errors import ConfigurationError
from gateway.core.flags import Flag
from gateway.flags import MemoryFlagStore
from gateway.flags.openfeature_source import OpenFeatureFlags, load_provider
from tests.support.eventually import becomes
from tests.support.gateway_client import client_of
from tests.support.gateway_parts import TASK, memory_gateway

FILE = """version: 1
flags:
  cart.merge: {mode: legacy, safety: pure, cohort_path: kwargs.cart_id}
  "order.*": {mode: legacy, safety: sandboxed}
  auth.login: {mode: legacy}
"""
CART = Flag(task="cart.merge", safety=Safety.PURE, cohort_path="kwargs.cart_id")


class Vendor(InMemoryProvider):
    """The provider in memory, with flags one can set while it runs, and absence."""

    def __init__(self) -> None:
        super().__init__({})
        self.away = False

    def set(self, name: str, value: Mapping[str, object]) -> None:
        self._flags[name] = InMemoryFlag("on", {"on": dict(value)})
        self.emit_provider_configuration_changed(ProviderEventDetails())

    def remove(self, name: str) -> None:
        del self._flags[name]
        self.emit_provider_configuration_changed(ProviderEventDetails())

    def resolve_object_details(  # type: ignore[override]  # the library's own type is looser
        self, flag_key: str, default_value: object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[object]:
        if self.away:
            raise GeneralError("the vendor is away")
        return super().resolve_object_details(flag_key, default_value, evaluation_context)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


@asynccontextmanager
async def following(provider: AbstractProvider, store: MemoryFlagStore, file: Path | None, **options: object) -> AsyncIterator[None]:
    source = OpenFeatureFlags(
        provider,
        store,
        file=file,
        tasks=lambda: ["cart.merge", "order.confirm"],
        **{"poll_s": 0.02, **options},  # type: ignore[arg-type]
    )
    await source.start()
    try:
        yield
    finally:
        await source.stop()


async def flag_in_force(store: MemoryFlagStore, task: str) -> Flag | None:
    return store.snapshot.flag_for(task)


async def version_of(store: MemoryFlagStore) -> int:
    return store.snapshot.version


async def test_mode_and_percentages_come_from_the_provider_and_the_rest_from_the_file(file: Path) -> None:
    vendor, store = Vendor(), MemoryFlagStore()
    vendor.set("dualrun.cart.merge", {"mode": "canary", "events_percent": 5, "shadow_percent": 100})
    vendor.set("dualrun.order.confirm", {"mode": "shadow", "shadow_percent": 0.5})
    async with following(vendor, store, file, prefix="dualrun."):
        await becomes(partial(version_of, store), 1)
    expected = Flag(
        task="cart.merge", mode=Mode.CANARY, events_share=5_000, shadow_share=100_000, safety=Safety.PURE, cohort_path="kwargs.cart_id"
    )
    assert store.snapshot.flags["cart.merge"] == expected
    assert store.snapshot.flags["order.confirm"] == Flag(task="order.confirm", mode=Mode.SHADOW, shadow_share=500, safety=Safety.SANDBOXED)
    assert store.snapshot.flags["auth.login"] == Flag(task="auth.login")
    assert (store.snapshot.source, store.snapshot.author) == ("openfeature", "In-Memory Provider")


async def test_a_change_at_the_provider_is_a_version_and_asking_again_is_none(file: Path) -> None:
    vendor, store = Vendor(), MemoryFlagStore()
    # Asked again only when told of a change.
    async with following(vendor, store, file, poll_s=60.0):
        await becomes(partial(version_of, store), 1)
        vendor.set("cart.merge", {"mode": "events"})
        await becomes(partial(version_of, store), 2)
        assert store.snapshot.flags["cart.merge"].mode is Mode.EVENTS
        vendor.set("somebody.elses", {"mode": "events"})
        vendor.remove("cart.merge")
        await becomes(partial(flag_in_force, store, "cart.merge"), CART)
    assert store.snapshot.version == 3


async def test_while_the_provider_is_away_what_was_known_last_stays_in_force_also_after_a_restart(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vendor, store = Vendor(), MemoryFlagStore()
    vendor.set("cart.merge", {"mode": "events"})
    async with following(vendor, store, file):
        await becomes(partial(version_of, store), 1)
        vendor.away = True
        file.write_text(FILE.replace("auth.login: {mode: legacy}", "auth.login: {mode: events}"), encoding="utf-8")
        await becomes(partial(version_of, store), 2)
        assert store.snapshot.flags["cart.merge"].mode is Mode.EVENTS
    file.write_text(f"{FILE}  new.task: {{mode: events}}\n", encoding="utf-8")
    async with following(vendor, store, file):
        await becomes(partial(version_of, store), 3)
    assert [store.snapshot.flags[task].mode for task in ("cart.merge", "new.task")] == [Mode.EVENTS, Mode.EVENTS]
    assert sum(record.levelno == logging.ERROR and "cart.merge" in str(vars(record)) for record in caplog.records) <= 4


@pytest.mark.parametrize(
    "value",
    [
        {"mode": "canry"},
        {"events_percent": 5},
        {"mode": "canary", "events_percent": 101},
        {"mode": "canary", "events_percent": "5"},
        {"mode": "events", "salt": "x"},
    ],
)
async def test_an_answer_that_makes_no_sense_changes_nothing_and_is_said(
    file: Path, value: Mapping[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    vendor, store = Vendor(), MemoryFlagStore()
    vendor.set("cart.merge", {"mode": "canary", "events_percent": 1})
    async with following(vendor, store, file):
        await becomes(partial(version_of, store), 1)
        vendor.set("cart.merge", value)
        vendor.set("order.confirm", {"mode": "events"})
        await becomes(partial(version_of, store), 2)
    assert store.snapshot.flags["cart.merge"].events_share == 1_000
    assert "openfeature_flag_refused" in caplog.text


async def test_a_shadow_the_safety_class_forbids_is_refused(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    vendor, store = Vendor(), MemoryFlagStore()
    vendor.set("auth.login", {"mode": "shadow", "shadow_percent": 5})
    vendor.set("cart.merge", {"mode": "events"})
    async with following(vendor, store, file):
        await becomes(partial(version_of, store), 1)
    assert store.snapshot.flags["auth.login"] == Flag(task="auth.login")
    assert "openfeature_flag_refused" in caplog.text


async def test_a_gateway_that_hears_late_does_not_undo_what_another_has_heard(file: Path) -> None:
    late, store, looks = Vendor(), MemoryFlagStore(), iter(range(1_000))
    late.set("cart.merge", {"mode": "canary", "events_percent": 1})
    source = OpenFeatureFlags(late, store, file=file, tasks=lambda: [f"look.{next(looks)}"], poll_s=0.01)
    await source.start()
    await becomes(partial(version_of, store), 1)
    heard = {**store.snapshot.flags, "cart.merge": Flag(task="cart.merge", mode=Mode.EVENTS), "new.task": Flag(task="new.task")}
    await store.replace(heard, expected_version=1, author="another gateway", reason="", source="openfeature")
    late.set("auth.login", {"mode": "events"})
    await becomes(partial(version_of, store), 3)
    await source.stop()
    assert store.snapshot.flags == {**heard, "auth.login": Flag(task="auth.login", mode=Mode.EVENTS)}
    assert next(looks) > 2


async def test_flagds_file_format_is_read_through_its_provider(file: Path, tmp_path: Path) -> None:
    flags = {"cart.merge": {"state": "ENABLED", "variants": {"five": {"mode": "canary", "events_percent": 5}}, "defaultVariant": "five"}}
    source = tmp_path / "flagd.json"
    source.write_text(json.dumps({"flags": flags}), encoding="utf-8")
    store = MemoryFlagStore()
    async with following(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(source)), store, file):
        await becomes(partial(share_of_cart, store), 5_000)


async def share_of_cart(store: MemoryFlagStore) -> int | None:
    flag = store.snapshot.flags.get("cart.merge")
    return None if flag is None else flag.events_share


async def test_every_change_by_the_api_is_refused_and_says_where_to_make_it() -> None:
    async with memory_gateway(flags_mode="openfeature", openfeature_provider="proj.flags:provider") as gateway:
        moved = {TASK: Flag(task=TASK, mode=Mode.EVENTS)}
        await gateway.flags.replace(moved, expected_version=None, author="vendor", reason="", source="openfeature")
        async with client_of(gateway) as client:
            answer = await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
            rollback = await client.post("/v1/flags/rollback", json={})
    assert (answer.status_code, answer.json()["code"]) == (rollback.status_code, rollback.json()["code"])
    assert (answer.status_code, answer.json()["code"]) == (409, "flags_by_openfeature")
    assert "proj.flags:provider" in answer.json()["detail"]


def test_a_provider_is_named_by_module_and_name_or_made_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "vendor_flags.py").write_text(
        "from openfeature.provider.in_memory_provider import InMemoryProvider\nmade = InMemoryProvider({})\n"
        "def make():\n    return made\nnothing = 7\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_provider("vendor_flags:made") is load_provider("vendor_flags:make")
    for name in ("vendor_flags", "vendor_flags:other", "no_such_module:made", "vendor_flags:nothing", ":"):
        with pytest.raises(ConfigurationError, match="DUALRUN_OPENFEATURE_PROVIDER"):
            load_provider(name)
