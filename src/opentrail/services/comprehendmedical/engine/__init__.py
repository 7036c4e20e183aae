"""The engine: pure functions from text to entities, protected health information and codes."""
