"""The services: one folder each, with one door (`service.py`). They never import one another."""
