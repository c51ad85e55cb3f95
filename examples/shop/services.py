"""The shop's micro-services in one FastAPI app: auth, cart, order, product and payment, each under its own paths.

Reads answer from the catalogue, which never changes, with what has been written shown beside it. Two reserved pages per
concern show what tasks did: `/_state`, `/_calls`, `/_mail`; `POST /_reset` forgets it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, FastAPI, HTTPException, Path, Request, Response
from pydantic import BaseModel

from examples.shop import catalogue
from examples.shop.mail import MailSink
from examples.shop.state import Call, Entry, ShopState

__all__ = ["create_app"]

READS = frozenset({"GET", "HEAD", "OPTIONS"})
Json = Annotated[Entry, Body()]
Id = Annotated[int, Path()]


class Charge(BaseModel):
    """What the payment provider asks for."""

    payment_id: int
    amount: str
    currency: str


def create_app(state: ShopState | None = None, mail: MailSink | None = None) -> FastAPI:
    """The services over one state; a new one by default. `mail` is the sink that `GET /_mail` shows; without it the page is empty."""
    state = state or ShopState()
    app = FastAPI(title="Sample shop", docs_url="/docs", redoc_url=None)
    for router in (auth_service(state), cart_service(state), order_service(state), product_service(state), payment_service(state)):
        app.include_router(router)
    app.include_router(inspection(state, mail))
    app.middleware("http")(journal(state))
    return app


def existing(entity_id: int, what: str) -> int:
    if entity_id < 1:
        raise HTTPException(404, f"no such {what}: {entity_id}")
    return entity_id


def journal(state: ShopState) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    async def record_writes(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.method in READS or request.url.path.startswith("/_"):
            return await call_next(request)
        raw = await request.body()
        response = await call_next(request)
        state.record(Call(request.method, request.url.path, json.loads(raw) if raw else None, response.status_code))
        return response

    return record_writes


def auth_service(state: ShopState) -> APIRouter:
    router = APIRouter(tags=["auth"])

    @router.get("/users/{user_id}")
    async def read_user(user_id: Id) -> Entry:
        user = catalogue.user_of(existing(user_id, "user"))
        return {**user, "verifications": state.written.verifications.get(user_id, [])}

    @router.post("/users/{user_id}/verifications", status_code=201)
    async def note_verification(user_id: Id, body: Json) -> Entry:
        state.written.verifications.setdefault(existing(user_id, "user"), []).append(body)
        return {"user_id": user_id, "noted": True}

    @router.get("/tokens")
    async def list_tokens() -> list[Entry]:
        return [{**token, "revoked": token["id"] in state.written.revoked_tokens} for token in catalogue.tokens()]

    @router.delete("/tokens/{token_id}")
    async def revoke_token(token_id: str) -> Entry:
        state.written.revoked_tokens.add(token_id)
        return {"id": token_id, "revoked": True}

    return router


def cart_service(state: ShopState) -> APIRouter:
    router = APIRouter(tags=["cart"])

    @router.get("/carts/{cart_id}")
    async def read_cart(cart_id: str) -> Entry:
        status = "merged" if cart_id in state.written.merged_carts else "open"
        return {**catalogue.cart_of(cart_id), "status": status, "merges": state.written.cart_merges.get(cart_id, {})}

    @router.put("/carts/{cart_id}/merges/{other_id}")
    async def put_merge(cart_id: str, other_id: str, body: Json) -> Entry:
        state.written.cart_merges.setdefault(cart_id, {})[other_id] = body
        return {"id": cart_id, "merged": other_id}

    @router.delete("/carts/{cart_id}")
    async def delete_cart(cart_id: str) -> Entry:
        # A deleted cart stays readable: whoever runs the same submission later must read what the first run read.
        state.written.merged_carts.add(cart_id)
        return {"id": cart_id, "status": "merged"}

    return router


def order_service(state: ShopState) -> APIRouter:
    router = APIRouter(tags=["order"])

    @router.get("/business-day")
    async def read_business_day() -> Entry:
        return {"day": state.business_day.isoformat()}

    @router.get("/orders")
    async def list_orders(day: str) -> list[Entry]:
        return [{**catalogue.order_of(order_id)} for order_id in catalogue.order_ids_of_day(day)]

    @router.get("/orders/{order_id}")
    async def read_order(order_id: Id) -> Entry:
        order = catalogue.order_of(existing(order_id, "order"))
        notifications = state.written.order_notifications.get(order_id, [])
        return {**order, "status": state.written.order_status.get(order_id, "placed"), "notifications": notifications}

    @router.patch("/orders/{order_id}")
    async def change_order(order_id: Id, status: Annotated[str, Body(embed=True)]) -> Entry:
        state.written.order_status[existing(order_id, "order")] = status
        return {"id": order_id, "status": status}

    @router.post("/orders/{order_id}/notifications", status_code=201)
    async def note_notification(order_id: Id, body: Json) -> Entry:
        state.written.order_notifications.setdefault(existing(order_id, "order"), []).append(body)
        return {"order_id": order_id, "noted": True}

    return router


def product_service(state: ShopState) -> APIRouter:
    router = APIRouter(tags=["product"])

    @router.get("/products/{product_id}")
    async def read_product(product_id: Id) -> Entry:
        product = catalogue.product_of(existing(product_id, "product"))
        adjustments = state.written.stock_adjustments.get(product_id, [])
        stock = product["stock"] + sum(delta for entry in adjustments if isinstance(delta := entry.get("delta"), int))
        thumbnails = state.written.thumbnails.get(product_id, [])
        return {**product, "stock": stock, "stock_adjustments": adjustments, "thumbnails": thumbnails}

    @router.post("/products/{product_id}/stock-adjustments", status_code=201)
    async def adjust_stock(product_id: Id, body: Json) -> Entry:
        state.written.stock_adjustments.setdefault(existing(product_id, "product"), []).append(body)
        return {"product_id": product_id, "noted": True}

    @router.post("/products/{product_id}/thumbnails", status_code=201)
    async def add_thumbnail(product_id: Id, body: Json) -> Entry:
        state.written.thumbnails.setdefault(existing(product_id, "product"), []).append(body)
        return {"product_id": product_id, "noted": True}

    @router.post("/products/{product_id}/reindex", status_code=202)
    async def reindex(product_id: Id) -> Entry:
        state.written.reindexed[existing(product_id, "product")] += 1
        return {"product_id": product_id}

    return router


def payment_service(state: ShopState) -> APIRouter:
    router = APIRouter(tags=["payment"])

    @router.get("/payments/{payment_id}")
    async def read_payment(payment_id: Id) -> Entry:
        payment = catalogue.payment_of(existing(payment_id, "payment"))
        return {**payment, "status": state.written.payment_status.get(payment_id, "open"), "charge": state.written.charges.get(payment_id)}

    @router.post("/provider/charges", status_code=201)
    async def charge(body: Charge) -> Entry:
        state.written.charge_attempts[body.payment_id] += 1
        if state.written.charge_attempts[body.payment_id] <= catalogue.charge_failures(body.payment_id):
            raise HTTPException(503, "the payment provider is busy, try again")
        state.written.charges[body.payment_id] = body.model_dump()
        return {"payment_id": body.payment_id, "charged": True}

    @router.patch("/payments/{payment_id}")
    async def change_payment(payment_id: Id, status: Annotated[str, Body(embed=True)]) -> Entry:
        state.written.payment_status[existing(payment_id, "payment")] = status
        return {"id": payment_id, "status": status}

    return router


def inspection(state: ShopState, mail: MailSink | None) -> APIRouter:
    router = APIRouter(tags=["inspection"])

    @router.get("/_state")
    async def read_state() -> Entry:
        return state.dump()

    @router.get("/_calls")
    async def read_calls() -> Entry:
        return {"calls": [asdict(call) for call in state.calls], "dropped": state.calls_dropped}

    @router.get("/_mail")
    async def read_mail() -> list[Entry]:
        return [asdict(message) for message in mail.messages] if mail else []

    @router.post("/_reset", status_code=204)
    async def reset() -> None:
        state.reset()
        if mail:
            mail.clear()

    return router
