from gateway.console.application import create_console

__all__ = ["create_console"]
