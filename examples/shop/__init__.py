"""The sample shop: micro-services whose state can be read, a mail sink, and traffic for the sample tasks."""
