"""Telling the outside what happens to flags: the log of notices, the event stream's source, and webhooks."""

from __future__ import annotations

from gateway.notices.leases import MemoryWebhookLeases, RedisWebhookLeases
from gateway.notices.log_memory import MemoryNoticeLog
from gateway.notices.log_redis import RedisNoticeLog
from gateway.notices.teller import NoticeTeller
from gateway.notices.webhook_file import Webhook, load_webhooks
from gateway.notices.webhooks import WebhookSender

__all__ = [
    "MemoryNoticeLog",
    "MemoryWebhookLeases",
    "NoticeTeller",
    "RedisNoticeLog",
    "RedisWebhookLeases",
    "Webhook",
    "WebhookSender",
    "load_webhooks",
]
