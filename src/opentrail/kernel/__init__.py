"""What every part may import: errors, settings, clock and ids, names, sealing, paging, telemetry. Imports nothing of OpenTrail's."""
