"""The steps of a call, one file each, in the order of pipeline.STEPS."""
