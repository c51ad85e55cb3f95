"""One module a library; each has `patch(library)`, called once."""
