"""SMART on FHIR: what the scopes of a token mean, and which resources they reach. Pure."""
