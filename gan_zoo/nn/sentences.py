"""Sentence encoders: token ids of a caption in, one vector out."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from gan_zoo.schema import ByName, ConfigError

SHORTEST = 66  # characters that leave the char-CNN-RNN one recurrent step; the authors' 201 leave 8


class WordEncoder(nn.Module):
    """Token ids [N, L] (0 is padding) -> [N, size]: word vectors, convolutions over neighbouring words, and a linear
    layer on the largest and the mean response over the sentence, scaled to mean 0 and variance 1.

    Scaled, a sentence that G trains cannot grow until z beside it means nothing. Two layers of width 3 see five words at
    once, so that a colour keeps to its noun, which a bag of words forgets.
    """

    def __init__(
        self,
        vocabulary: int,
        size: PositiveInt,
        *,
        width: PositiveInt = 128,
        word: PositiveInt = 64,
        layers: PositiveInt = 2,
        kernel: PositiveInt = 3,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ConfigError(
                f"a word encoder's kernel must be odd, so that words keep their place; got {kernel}"
            )
        self.size = size
        self.words = nn.Embedding(vocabulary, word, padding_idx=0)
        self.layers = nn.ModuleList(
            nn.Conv1d(word if i == 0 else width, width, kernel, padding=kernel // 2) for i in range(layers)
        )
        self.project = nn.Linear(2 * width, size)
        self.scale = nn.LayerNorm(size, elementwise_affine=False)

    def forward(self, tokens: Tensor) -> Tensor:
        there = (tokens > 0).unsqueeze(1)  # [N, 1, L]
        x = self.words(tokens).transpose(1, 2)
        for layer in self.layers:  # what stands after the end must not depend on how long the padding is
            x = F.relu(layer(x)) * there
        mean = x.sum(2) / there.sum(2).clamp_min(1)
        found = torch.cat([x.amax(2), mean], dim=1)  # responses are >= 0, so padding is no maximum
        return self.scale(self.project(found))


class CharCNNRNN(nn.Module):
    """Character ids [N, L] (0 is padding) -> [N, size]: the char-CNN-RNN of Reed et al. 2016a, for 201 characters.

    One-hot characters, convolutions of 384, 512 and `width` channels (width 4 without padding, ReLU), max pooling by 3
    after the first two and 3 with stride 2 after the third, a recurrent layer
    h_t = relu(W x_t + b + U h_{t-1} + c), h_0 = relu(W x_0 + b), the mean of its states, a linear layer.
    """

    def __init__(self, vocabulary: int, size: PositiveInt, *, width: PositiveInt = 512) -> None:
        super().__init__()
        self.vocabulary, self.size = vocabulary, size
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(vocabulary - 1, 384, 4), nn.Conv1d(384, 512, 4), nn.Conv1d(512, width, 4)]
        )
        self.inward, self.onward = nn.Linear(width, width), nn.Linear(width, width)
        self.project = nn.Linear(width, size)
        for parameter in self.parameters():  # their code draws all weights and biases so
            nn.init.uniform_(parameter, -0.08, 0.08)

    def forward(self, tokens: Tensor) -> Tensor:
        short = max(0, SHORTEST - tokens.shape[1])
        tokens = F.pad(tokens, (0, short))
        x = F.one_hot(tokens, self.vocabulary)[:, :, 1:].transpose(1, 2).to(self.project.weight)
        for convolution, stride in zip(self.convolutions, (3, 3, 2), strict=True):
            x = F.max_pool1d(F.relu(convolution(x)), 3, stride)
        steps = self.inward(x.transpose(1, 2)).unbind(1)
        states = [F.relu(steps[0])]
        for step in steps[1:]:
            states.append(F.relu(step + self.onward(states[-1])))
        return self.project(torch.stack(states).mean(0))


ENCODERS = ByName({"words": WordEncoder, "char_cnn_rnn": CharCNNRNN})


def create(vocabulary: int, name: str, size: int, **settings: Any) -> nn.Module:
    """The encoder of a name in ENCODERS for ids below `vocabulary`."""
    if name not in ENCODERS:
        raise ConfigError(f"encoder.name must be one of {', '.join(ENCODERS)}; got {name!r}")
    return ENCODERS[name](vocabulary, size, **settings)


def encode(encoder: nn.Module, tokens: Tensor) -> Tensor:
    """One vector a sentence, [N, L] -> [N, E]; of several captions an item, [N, K, L], their mean."""
    if tokens.dim() == 3:
        return encoder(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2]).mean(1)
    return encoder(tokens)
