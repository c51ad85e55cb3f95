"""The HTTP face, `/v1`: FastAPI routes, bodies, and problems by RFC 9457."""
