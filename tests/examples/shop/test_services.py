"""The shop's services: what they answer, what they remember, and what they never change."""

from __future__ import annotations

import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.shop import catalogue
from examples.shop.server import RunningShop

ids = st.integers(min_value=1, max_value=10**9)


@given(ids)
@settings(max_examples=100)
def test_every_positive_id_exists_and_is_always_the_same(number: int) -> None:
    assert catalogue.order_of(number) == catalogue.order_of(number)
    assert catalogue.order_of(number)["id"] == number
    assert catalogue.product_of(number)["id"] == catalogue.user_of(number)["id"] == catalogue.payment_of(number)["id"] == number


def test_every_age_of_a_token_occurs_once() -> None:
    assert sorted(token["age_days"] for token in catalogue.tokens()) == list(range(catalogue.MAX_TOKEN_AGE_DAYS + 1))


@given(ids)
@settings(max_examples=100)
def test_the_provider_is_never_busier_than_four_attempts(payment_id: int) -> None:
    assert (catalogue.charge_failures(payment_id) > 0) == str(payment_id).endswith("7")
    assert catalogue.charge_failures(payment_id) <= 3


def test_unknown_ids_are_answered_with_404(sample_shop: RunningShop) -> None:
    for path in ("/orders/0", "/products/-1", "/users/0", "/payments/0"):
        assert requests.get(sample_shop.url + path, timeout=5).status_code == 404


def test_what_tasks_read_survives_every_write(sample_shop: RunningShop) -> None:
    def facts() -> list[object]:
        order = requests.get(f"{sample_shop.url}/orders/7", timeout=5).json()
        cart = requests.get(f"{sample_shop.url}/carts/anon-1", timeout=5).json()
        tokens = requests.get(f"{sample_shop.url}/tokens", timeout=5).json()
        return [order["items"], order["email"], cart["items"], [(token["id"], token["age_days"]) for token in tokens]]

    before = facts()
    requests.patch(f"{sample_shop.url}/orders/7", json={"status": "shipped"}, timeout=5).raise_for_status()
    requests.put(f"{sample_shop.url}/carts/anon-1/merges/anon-2", json={"items": []}, timeout=5).raise_for_status()
    requests.delete(f"{sample_shop.url}/carts/anon-1", timeout=5).raise_for_status()
    requests.delete(f"{sample_shop.url}/tokens/tok-003", timeout=5).raise_for_status()

    assert facts() == before
    assert requests.get(f"{sample_shop.url}/orders/7", timeout=5).json()["status"] == "shipped"
    assert requests.get(f"{sample_shop.url}/carts/anon-1", timeout=5).json()["status"] == "merged"


def test_stock_is_the_sum_of_its_adjustments(sample_shop: RunningShop) -> None:
    for delta in (5, -2):
        requests.post(f"{sample_shop.url}/products/3/stock-adjustments", json={"delta": delta}, timeout=5).raise_for_status()

    assert requests.get(f"{sample_shop.url}/products/3", timeout=5).json()["stock"] == catalogue.product_of(3)["stock"] + 3


def test_the_journal_holds_every_write_with_its_answer_and_no_read(sample_shop: RunningShop) -> None:
    charge = {"payment_id": 17, "amount": "1.00", "currency": "EUR"}
    statuses = [requests.post(f"{sample_shop.url}/provider/charges", json=charge, timeout=5).status_code for _ in range(2)]
    requests.get(f"{sample_shop.url}/payments/17", timeout=5).raise_for_status()

    assert statuses == [503, 201]
    calls = requests.get(f"{sample_shop.url}/_calls", timeout=5).json()["calls"]
    assert calls == [{"method": "POST", "path": "/provider/charges", "body": charge, "status": status} for status in statuses]


def test_reset_forgets_everything(sample_shop: RunningShop) -> None:
    requests.patch(f"{sample_shop.url}/orders/7", json={"status": "shipped"}, timeout=5).raise_for_status()
    assert requests.get(f"{sample_shop.url}/_state", timeout=5).json()["order_status"] == {"7": "shipped"}

    requests.post(f"{sample_shop.url}/_reset", timeout=5).raise_for_status()

    assert not any(requests.get(f"{sample_shop.url}/_state", timeout=5).json().values())
    assert requests.get(f"{sample_shop.url}/_calls", timeout=5).json() == {"calls": [], "dropped": 0}
    assert requests.get(f"{sample_shop.url}/_mail", timeout=5).json() == []
