"""The wire protocols: each decodes a request to an input and encodes outputs and errors to answers."""
