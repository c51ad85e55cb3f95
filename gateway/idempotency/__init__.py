"""Idempotency keys: Redis, and one in memory."""
