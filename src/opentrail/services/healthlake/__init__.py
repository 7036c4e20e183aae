"""HealthLake: FHIR R4 data stores."""
