"""The services: one folder each, all of one shape. Services never import one another."""
