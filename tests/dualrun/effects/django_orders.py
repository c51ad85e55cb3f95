"""Orders by Django's ORM, in whatever database the test has configured as `default`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import django
import django.db
from django.conf import settings
from django.db import models

__all__ = ["DjangoOrder", "django_database"]

if not settings.configured:
    settings.configure(DATABASES={}, USE_TZ=True, INSTALLED_APPS=[])
    django.setup()


class DjangoOrder(models.Model):
    id = models.IntegerField(primary_key=True)
    status = models.TextField()
    note = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "orders"
        managed = False


@contextmanager
def django_database(**described: object) -> Iterator[None]:
    """Have `default` be the database described, as in Django's settings."""
    connections = django.db.connections
    connections.databases["default"] = connections.configure_settings({"default": described})["default"]
    try:
        yield
    finally:
        connections["default"].close()
        del connections["default"]
