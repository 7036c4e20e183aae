"""A causal transformer over a user's items, with numpy alone: what `engine.deep` trains, serving runs here without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def encode(arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any], history: NDArray[Any]) -> Array:
    """The user's vector (size,) after `history` (item indexes, oldest first, at least one): item scores are `vectors` @ it."""
    recent = history[-card["length"] :]
    size, heads = card["size"], card["heads"]
    state = arrays["vectors"][recent] * np.float32(size**0.5) + arrays["place"][-len(recent) :]
    mask = np.triu(np.full((len(recent), len(recent)), -np.inf, np.float32), 1)
    for block in range(card["blocks"]):
        name = f"block{block}_"
        # Only the newest place is asked for, so the last block computes it alone.
        asked = slice(-1, None) if block == card["blocks"] - 1 else slice(None)
        normed = _norm(state, arrays[name + "norm1"])
        query = (normed[asked] @ arrays[name + "query"] + arrays[name + "query_bias"]).reshape(-1, heads, size // heads).swapaxes(0, 1)
        key = (normed @ arrays[name + "key"] + arrays[name + "key_bias"]).reshape(-1, heads, size // heads).swapaxes(0, 1)
        value = (normed @ arrays[name + "value"] + arrays[name + "value_bias"]).reshape(-1, heads, size // heads).swapaxes(0, 1)
        attention = _softmax(query @ key.swapaxes(1, 2) * np.float32((size // heads) ** -0.5) + mask[asked])
        mixed = (attention @ value).swapaxes(0, 1).reshape(-1, size)
        state = state[asked] + mixed @ arrays[name + "out"] + arrays[name + "out_bias"]
        inner = _gelu(_norm(state, arrays[name + "norm2"]) @ arrays[name + "up"] + arrays[name + "up_bias"])
        state = state + inner @ arrays[name + "down"] + arrays[name + "down_bias"]
    return np.asarray(_norm(state[-1:], arrays["norm"])[0], np.float32)


def _norm(state: Array, weights: Array) -> Array:
    middle = state.mean(-1, keepdims=True)
    spread = np.sqrt(((state - middle) ** 2).mean(-1, keepdims=True) + np.float32(1e-5))
    return np.asarray((state - middle) / spread * weights[0] + weights[1], np.float32)


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True), np.float32)


def _gelu(value: Array) -> Array:
    # The tanh form, as the training side uses it: numpy has no error function.
    inner = np.float32(0.7978845608) * (value + np.float32(0.044715) * value**3)
    return np.asarray(np.float32(0.5) * value * (1 + np.tanh(inner)), np.float32)
