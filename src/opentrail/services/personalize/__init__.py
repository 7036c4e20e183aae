"""Personalize: recommendations trained on interactions (custom and domain dataset groups)."""
