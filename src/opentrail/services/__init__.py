"""The services: one folder each, never importing one another."""
