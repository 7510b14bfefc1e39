"""How weights of another layout become weights of ours: renaming, and what arithmetic asks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from mmattn.errors import UserError

State = dict[str, torch.Tensor]
Settings = dict[str, Any]
# (name in the file, our name) of an entry or of all entries below a module.
Rule = tuple[str, str]

# How images come to a network: in red, green, blue, normalised as is usual on ImageNet; or as Caffe
# did it, in blue, green, red, with only the mean taken away.
IMAGENET = {
    'model.data_preprocessor.mean': [123.675, 116.28, 103.53],
    'model.data_preprocessor.std': [58.395, 57.12, 57.375],
    'model.data_preprocessor.bgr_to_rgb': True,
}


def caffe(blue: float, green: float, red: float) -> Settings:
    """Settings for images in blue, green, red whose channels lose these means, and no more."""
    return {
        'model.data_preprocessor.mean': [blue, green, red],
        'model.data_preprocessor.std': [1.0, 1.0, 1.0],
        'model.data_preprocessor.bgr_to_rgb': False,
    }


@dataclass(frozen=True)
class Plan:
    """What is to be done with the entries of one file.

    Attributes:
        rules: Names in the file and here; the longest that fits an entry wins.
        settings: What a config must say for its model to compute what the weights were trained in.
        notes: What no setting can say, in sentences.
        unused: Names in the file that a model for prediction does without.
        absolute_scale: The norms are InPlaceABN's, which scale by ``abs(weight) + eps``.
    """

    rules: tuple[Rule, ...]
    settings: Settings = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    absolute_scale: bool = False


@dataclass(frozen=True)
class Layout:
    """The layout of one source.

    Attributes:
        title: Where it comes from.
        marks: Entries, of which every file of it has one; what stands before it is a wrapper's.
        read: The plan for a state dict without wrapper.
        backbone_only: What comes out is a backbone, to start a training from.
    """

    title: str
    marks: tuple[str, ...]
    read: Callable[[State], Plan]
    backbone_only: bool = False

    def unwrapped(self, state: State) -> State | None:
        """The entries without the prefixes of wrappers (`module.`); None if it is not this layout.

        Entries beside the network, such as `loss.weight` beside `model.conv1.weight`, stay.
        """
        for mark in self.marks:
            found = [key for key in state if key == mark or key.endswith(f'.{mark}')]
            if found:
                prefix = min(found, key=len).removesuffix(mark)
                return {key.removeprefix(prefix): value for key, value in state.items()}
        return None


@dataclass(frozen=True)
class Translation:
    """Weights in our layout, and what became of the entries of the file.

    Attributes:
        state: The weights.
        unused: Entries that are known, and not needed.
        unexpected: Entries that the layout does not have.
        missing: Names of ours for which the file has nothing.
    """

    state: State
    unused: list[str]
    unexpected: list[str]
    missing: list[str]


def translate(plan: Plan, state: State) -> Translation:
    """Apply a plan; the tensors of ``state`` stay as they are.

    Raises:
        UserError: Two entries would become one.
    """
    if plan.absolute_scale:
        state = {**state, **dict(_scales(state))}
    rules = sorted(plan.rules, key=lambda rule: len(rule[0]), reverse=True)
    translated, unused, unexpected, met = {}, [], [], set()
    for key, value in state.items():
        rule = next((rule for rule in rules if _is_below(key, rule[0])), None)
        if rule is None:
            known = any(_is_below(key, name) for name in plan.unused)
            (unused if known else unexpected).append(key)
            continue
        source, target = rule
        name = target + key.removeprefix(source)
        if name in translated:
            raise UserError(f'two entries of the file would become {name}; the second is {key}')
        met.add(target)
        scale = name.endswith('gamma.scale') and value.numel() == 1
        translated[name] = value.reshape(()) if scale else value
    missing = [target for _, target in plan.rules if target not in met]
    return Translation(_folded(translated), unused, unexpected, list(dict.fromkeys(missing)))


def conv_norm(conv: str, norm: str, target: str) -> tuple[Rule, Rule]:
    """Rules for a convolution and its batch norm that are one ConvModule here."""
    return (conv, f'{target}.conv'), (norm, f'{target}.bn')


def _is_below(key: str, name: str) -> bool:
    return key == name or key.startswith(f'{name}.')


def _scales(state: State) -> Iterator[tuple[str, torch.Tensor]]:
    for key, value in state.items():
        if key.removesuffix('.weight') + '.running_var' in state:
            yield key, value.abs() + 1e-5


def _folded(state: State) -> State:
    """Without biases of convolutions in front of batch norms, which shift the running mean.

    Our convolutions there have none. In training the batch's own mean takes such a bias away.
    """
    folded = dict(state)
    for key in state:
        mean = key.removesuffix('.conv.bias') + '.bn.running_mean'
        if key.endswith('.conv.bias') and mean in state:
            folded[mean] = state[mean] - folded.pop(key)
    return folded
