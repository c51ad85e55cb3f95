"""`python -m examples.shop`: the shop and its mail sink in one process."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress

from examples.shop.server import serve

parser = argparse.ArgumentParser(prog="python -m examples.shop", description="The sample shop's services and its mail sink.")
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=8081, help="HTTP port of the services")
parser.add_argument("--smtp-port", type=int, default=8025, help="SMTP port of the mail sink")
options = parser.parse_args()

with suppress(KeyboardInterrupt):
    asyncio.run(serve(host=options.host, port=options.port, smtp_port=options.smtp_port))
