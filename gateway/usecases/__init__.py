"""What the gateway does, one verb a file. Use cases speak to the outside only through the ports of `gateway.core.ports`."""
