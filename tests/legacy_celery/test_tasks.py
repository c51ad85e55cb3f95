"""The Celery tasks against the running shop."""

from __future__ import annotations

from typing import Any

import pytest
from celery.schedules import crontab

from examples.shop.server import RunningShop
from legacy_celery.app import SERVICES
from tests.support.shop import legacy_app, run_legacy, trace_of


def writes(sample_shop: RunningShop) -> list[str]:
    return [f"{call.method} {call.path}" for call in sample_shop.state.calls]


def test_every_task_waits_in_the_queue_of_its_service() -> None:
    app = legacy_app()
    tasks = [name for name in app.tasks if not name.startswith("celery.")]
    routes = {name: app.amqp.router.route({}, name) for name in tasks}

    assert len(tasks) == 12
    assert {name: route["queue"].name for name, route in routes.items()} == {name: name.partition(".")[0] for name in tasks}


def test_a_worker_told_no_queues_consumes_them_all() -> None:
    queues = legacy_app().amqp.queues.consume_from

    assert set(queues) == {*SERVICES, "celery"}
    assert all(queue.exchange.name == queue.routing_key == name for name, queue in queues.items())


def test_only_json_is_accepted_and_work_outlives_a_lost_worker() -> None:
    conf = legacy_app().conf

    assert (conf.accept_content, conf.task_serializer, conf.result_serializer) == (["json"], "json", "json")
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost


def test_the_schedule_names_tasks_that_exist() -> None:
    app = legacy_app()
    entries = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}

    assert entries == {"reports.daily_report": crontab(hour=0, minute=0), "auth.cleanup_expired_tokens": crontab(minute=0)}
    assert entries.keys() <= app.tasks.keys()


def test_a_verification_mail_goes_to_the_address_to_be_verified(sample_shop: RunningShop) -> None:
    trace = run_legacy(sample_shop, "auth.send_verification_email", (8, "new@mail.example", "https://shop.example/v/1"))

    [mail] = sample_shop.mail.messages
    assert (mail.sender, mail.recipients, mail.subject) == ("shop@shop.example", ("new@mail.example",), "Please verify your e-mail address")
    assert "Hello Ирина" in mail.body
    assert "https://shop.example/v/1" in mail.body
    assert trace.calls[0]["body"] == {"email": "new@mail.example", "link": "https://shop.example/v/1"}


@pytest.mark.parametrize(("days", "count"), [(0, 20), (7, 13), (19, 1), (20, 0)])
def test_tokens_strictly_older_than_the_limit_are_revoked(sample_shop: RunningShop, days: int, count: int) -> None:
    trace = run_legacy(sample_shop, "auth.cleanup_expired_tokens", kwargs={"days": days})

    assert trace.value == count
    assert len(writes(sample_shop)) == count


def test_merged_carts_hold_every_quantity_sorted_by_product(sample_shop: RunningShop) -> None:
    value: Any = run_legacy(sample_shop, "cart.merge_carts", ("anon-1", "user-1")).value

    products = [item["product_id"] for item in value["items"]]
    assert products == sorted(set(products))
    assert writes(sample_shop) == ["PUT /carts/user-1/merges/anon-1", "DELETE /carts/anon-1"]


def test_a_confirmation_rounds_half_a_cent_up(sample_shop: RunningShop) -> None:
    value: Any = run_legacy(sample_shop, "order.send_order_confirmation", (1, "buyer@mail.example")).value

    [mail] = sample_shop.mail.messages
    assert f"Total: {value['total']} EUR" in mail.body
    assert value["total"] == "117.42"


def test_an_unknown_order_fails_before_anything_is_written(sample_shop: RunningShop) -> None:
    trace = run_legacy(sample_shop, "order.update_order_status", (0, "shipped"))

    assert (trace.error, trace.calls, trace.mails) == ("OrderNotFound", [], [])


@pytest.mark.parametrize(("kwargs", "mails"), [({}, 1), ({"notify": True}, 1), ({"notify": False}, 0)])
def test_customers_are_told_of_a_new_status_unless_asked_otherwise(sample_shop: RunningShop, kwargs: dict[str, object], mails: int) -> None:
    run_legacy(sample_shop, "order.update_order_status", (12, "shipped"), kwargs)

    assert writes(sample_shop) == ["PATCH /orders/12"]
    assert len(sample_shop.mail.messages) == mails


def test_thumbnails_come_in_the_order_of_the_images_up_to_the_first_bad_one(sample_shop: RunningShop) -> None:
    good = ["https://cdn.example/b.jpg", "https://cdn.example/a.png"]
    value: Any = run_legacy(sample_shop, "product.process_images", (5, good)).value
    assert [thumbnail["source"] for thumbnail in value] == good

    trace = run_legacy(sample_shop, "product.process_images", (5, [*good, "https://cdn.example/c.gif", "https://cdn.example/d.jpg"]))
    assert (trace.error, len(trace.calls)) == ("UnsupportedImage", 2)


def test_stock_is_booked_with_its_reason(sample_shop: RunningShop) -> None:
    assert run_legacy(sample_shop, "product.update_stock", (3, 2, "return")).calls[0]["body"] == {"delta": 2, "reason": "return"}
    assert run_legacy(sample_shop, "product.update_stock", (3, -1)).calls[0]["body"] == {"delta": -1, "reason": "order"}
    assert run_legacy(sample_shop, "product.update_stock", (3, 0)).error == "ValueError"


@pytest.mark.parametrize(("payment_id", "attempts"), [(12, 1), (17, 2), (1177, 3), (7777, 4)])
def test_a_busy_provider_is_asked_again_until_the_payment_is_charged_once(sample_shop: RunningShop, payment_id: int, attempts: int) -> None:
    trace = run_legacy(sample_shop, "payment.process_payment", (payment_id,))

    assert sample_shop.state.written.charge_attempts[payment_id] == attempts
    assert [call["path"] for call in trace.calls] == ["/provider/charges", f"/payments/{payment_id}"]
    assert trace.error is None


def test_a_blocked_payment_fails_and_is_not_charged(sample_shop: RunningShop) -> None:
    trace = run_legacy(sample_shop, "payment.process_payment", (18,))

    assert (trace.error, trace.calls) == ("PaymentBlocked", [])


def test_the_daily_report_is_about_the_day_the_shop_last_closed(sample_shop: RunningShop) -> None:
    trace = run_legacy(sample_shop, "reports.daily_report")

    [mail] = sample_shop.mail.messages
    assert mail.subject == f"Daily report {sample_shop.state.business_day.isoformat()}"
    assert trace.value == run_legacy(sample_shop, "reports.daily_report", (sample_shop.state.business_day.isoformat(),)).value


@pytest.mark.parametrize(("fail_times", "error"), [(0, None), (5, None), (6, "NotYet")])
def test_the_flaky_task_is_given_six_attempts(sample_shop: RunningShop, fail_times: int, error: str | None) -> None:
    assert run_legacy(sample_shop, "learning.flaky", (fail_times,), {"delay_s": 0}).error == error


def test_adding_and_sleeping_touch_nothing(sample_shop: RunningShop) -> None:
    assert run_legacy(sample_shop, "learning.add", (1, 2)).value == 3
    assert run_legacy(sample_shop, "learning.sleep", (0.01,)).value == 0.01
    assert trace_of(sample_shop).calls == []
