"""Which tasks the sides serve: learned from what the workers announce."""

from __future__ import annotations

from gateway.catalogue.memory import MemoryCatalogue
from gateway.catalogue.redis import RedisCatalogue

__all__ = ["MemoryCatalogue", "RedisCatalogue"]
