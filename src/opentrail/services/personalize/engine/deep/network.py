"""The network: a small causal transformer over item ids with tied item vectors (SASRec, pre-norm), and its export to plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and added to its input."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.query, self.key, self.value, self.out = (nn.Linear(size, size) for _ in range(4))
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """state (batch, length, size) -> same shape; place t sees places up to t."""
        batch, length, size = state.shape
        normed = self.norm1(state)

        def split(values: torch.Tensor) -> torch.Tensor:
            return values.view(batch, length, self.heads, size // self.heads).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split(self.query(normed)), split(self.key(normed)), split(self.value(normed)), is_causal=True
        )
        state = state + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, size)))
        inner = functional.gelu(self.up(self.norm2(state)), approximate="tanh")
        return state + self.dropout(self.down(inner))


class Network(nn.Module):
    """Item ids 1..items (0 pads on the left) to a vector per place; an item's score is its vector's product with it."""

    def __init__(self, items: int, size: int, length: int, blocks: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.item = nn.Embedding(items + 1, size, padding_idx=0)
        self.place = nn.Parameter(torch.randn(length, size) * 0.02)
        nn.init.normal_(self.item.weight, std=0.02)
        with torch.no_grad():
            self.item.weight[0] = 0
        self.blocks = nn.ModuleList(Block(size, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """items (batch, length) -> (batch, length, size)."""
        state = self.item(items) * self.item.embedding_dim**0.5 + self.place[-items.shape[1] :]
        state = self.dropout(state)
        for block in self.blocks:
            state = block(state)
        result: torch.Tensor = self.norm(state)
        return result


def export(network: Network) -> dict[str, NDArray[Any]]:
    """The arrays that `engine.sequence.encode` reads."""

    def array(tensor: torch.Tensor) -> NDArray[Any]:
        return np.ascontiguousarray(tensor.detach().cpu().float().numpy())

    def norm(layer: nn.LayerNorm) -> NDArray[Any]:
        return np.stack([array(layer.weight), array(layer.bias)])

    arrays = {"vectors": array(network.item.weight[1:]), "place": array(network.place), "norm": norm(network.norm)}
    for number, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        name = f"block{number}_"
        arrays[name + "norm1"], arrays[name + "norm2"] = norm(block.norm1), norm(block.norm2)
        for part in ("query", "key", "value", "out", "up", "down"):
            layer = getattr(block, part)
            arrays[name + part], arrays[name + part + "_bias"] = array(layer.weight.T), array(layer.bias)
    return arrays
