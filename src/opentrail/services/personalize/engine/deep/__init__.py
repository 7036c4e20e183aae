"""Sequence models trained with PyTorch (the extra `opentrail[deep]`). Only training needs it: `engine.sequence` serves with numpy."""

from opentrail.services.personalize.engine.deep.training import fit_sequence

__all__ = ["fit_sequence"]
