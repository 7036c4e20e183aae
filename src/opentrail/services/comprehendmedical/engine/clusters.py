"""Groups of words by meaning: for each word its cluster among few, more and many (`tools/nlp_clusters.py` makes them)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from opentrail.services.comprehendmedical.engine import stored
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Strings, joined

FORM = "clusters 1"


def compiled(clusters: Mapping[str, tuple[str, ...]]) -> Arrays:
    """The arrays of a mapping from words to cluster numbers."""
    shared = {groups: number for number, groups in enumerate(dict.fromkeys(clusters.values()))}
    return {
        "words": joined(clusters),
        "groups": joined("\t".join(groups) for groups in shared),
        "group": np.array([shared[groups] for groups in clusters.values()], np.uint16),
    }


def load(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a compiled file: a word's cluster numbers, coarse to fine."""
    arrays = stored.load(path, FORM)
    groups = [tuple(line.split("\t")) for line in Strings.of(arrays["groups"])]
    return dict(zip(Strings.of(arrays["words"]).all(), map(groups.__getitem__, arrays["group"].tolist()), strict=True))
