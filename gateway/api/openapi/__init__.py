"""What the OpenAPI document says of bodies and answers, with examples to paste.

The routes read bytes and write bytes; FastAPI is told here what they hold.
"""
