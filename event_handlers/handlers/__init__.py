"""The shop's event handlers, one module a service."""

from event_handlers.handlers import auth, cart, learning, order, payment, product, reports

__all__ = ["auth", "cart", "learning", "order", "payment", "product", "reports"]
