"""Which tasks the sides serve, and how their circuits stand: learned from what the workers announce."""

from __future__ import annotations

from gateway.catalogue.breakers import RedisBreakers
from gateway.catalogue.memory import MemoryCatalogue
from gateway.catalogue.redis import RedisCatalogue

__all__ = ["MemoryCatalogue", "RedisBreakers", "RedisCatalogue"]
