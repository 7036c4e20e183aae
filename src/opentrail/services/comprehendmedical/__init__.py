"""Comprehend Medical: clinical language processing."""
