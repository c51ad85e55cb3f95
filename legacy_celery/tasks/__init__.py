"""The shop's tasks, one module a service."""
