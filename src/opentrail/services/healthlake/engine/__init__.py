"""The FHIR R4 engine: validation, search, patch, bundles and terminology as pure functions.

Nothing here knows a clock, a store or the gateway; what changes with time is handed in. FHIR resources are plain dicts as
decoded from JSON. Refusals are `issues.FhirError`s.
"""
