"""Comprehend Medical: clinical entities, protected health information and codes from English clinical text."""
