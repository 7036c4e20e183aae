"""The recommendation engine: schemas, columns, filters, recipes, ranking and metrics as plain functions.

Nothing here knows of calls, the store or the clock: times, seeds and folders are handed in. Heavy libraries are optional
(`engine.deep` needs PyTorch to train); everything else needs numpy only.
"""
