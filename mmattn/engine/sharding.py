"""Weights, gradients and optimizer state shared out over processes (FSDP), for large backbones.

By torch's `fully_shard`, which also runs on CPUs. mmengine's FSDPStrategy has a runner of its own,
takes a CUDA device number, and stands on the older FullyShardedDataParallel of torch, which joins
the weights of a model into nameless flat ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.optim import Optimizer

from mmattn.engine.cpu import is_on_cpu, share_buffers
from mmattn.errors import UserError

try:
    from torch.distributed.fsdp import FSDPModule, fully_shard
    from torch.distributed.tensor import DTensor, distribute_tensor
except ImportError:  # torch < 2.6
    FSDPModule = DTensor = ()  # of which nothing is an instance

UNIT = 1_000_000


@MODEL_WRAPPERS.register_module()
class ShardedDataParallel(nn.Module):
    """Each process keeps its part of every weight, and the gradients and optimizer state of it.

    Weights are gathered where they are needed: those of a unit for its own pass, what is in no unit
    for the whole pass. Units are the members of sequences and lists of layers in the backbone, such
    as blocks and stages. In an evaluation all weights are whole, since processes may differ in how
    many windows they predict. The model starts whole; training shards it (`shard`), testing never.

    Gradients are means over the processes, as those of DistributedDataParallel. On CPUs batch norms
    are those of `CPUDistributedDataParallel`.

    Args:
        module: The model.
        unit_parameters: A layer that has so many parameters outside of smaller units is a unit.

    Raises:
        UserError: This torch has no `fully_shard` whose evaluations can be whole.
    """

    def __init__(self, module: nn.Module, unit_parameters: int = UNIT) -> None:
        super().__init__()
        if not hasattr(FSDPModule, 'set_reshard_after_forward'):
            raise UserError(
                f'torch {torch.__version__} is too old for sharded training (--fsdp), which needs '
                'FSDPModule.set_reshard_after_forward: take a newer one (2.13 was tried), or train '
                'without'
            )
        self.on_cpu = is_on_cpu(module)
        self.module = revert_sync_batchnorm(module) if self.on_cpu else module
        self.unit_parameters = unit_parameters
        self.units: list[nn.Module] = []
        self.numbers: set[str] = set()  # weights of dimension 0, which torch cannot shard

    def shard(self, optimizer: Optimizer) -> None:
        """Keep only this process's part of the model, and have an optimizer work on that.

        Args:
            optimizer: Built for the whole model, without state.
        """
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        self.numbers = {name for name, x in self.module.named_parameters() if x.dim() == 0}
        for layer in self.module.modules():
            _make_shardable(layer)
        device = next(self.module.parameters()).device.type
        mesh = init_device_mesh(device, (get_world_size(),))
        backbone = getattr(self.module, 'backbone', nn.Identity())
        self.units = list(_units(backbone, self.unit_parameters, set()))
        for layer in (*self.units, self.module):
            fully_shard(layer, mesh=mesh)
        sharded = dict(self.module.named_parameters())
        for group in optimizer.param_groups:
            group['params'] = [sharded[names[id(parameter)]] for parameter in group['params']]
        optimizer.register_load_state_dict_pre_hook(_part_of_states)
        for layer in self.module.modules():
            layer.register_load_state_dict_pre_hook(_part_of_weights)

    @property
    def is_sharded(self) -> bool:
        return isinstance(self.module, FSDPModule)

    def train(self, mode: bool = True) -> 'ShardedDataParallel':
        if not mode and self.on_cpu:
            share_buffers(self.module)
        if self.is_sharded:
            for unit in self.units:
                unit.set_reshard_after_forward(mode, recurse=False)
            for layer in (*self.units, self.module):
                layer.reshard() if mode else layer.unshard()
        return super().train(mode)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def train_step(self, *args: Any, **kwargs: Any) -> dict:
        return self.module.train_step(*args, **kwargs)

    def val_step(self, *args: Any, **kwargs: Any) -> list:
        return self.module.val_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> list:
        return self.module.test_step(*args, **kwargs)


def is_sharded(model: nn.Module) -> bool:
    """Whether a process has no more than a part of the weights of a model."""
    return isinstance(model, ShardedDataParallel) and model.is_sharded


@contextmanager
def whole_states(model: ShardedDataParallel, optim_wrapper: OptimWrapper | None) -> Iterator[None]:
    """A block in which ``state_dict`` gives the first process whole tensors, on the CPU.

    As they were at its begin, of the module in the wrapper and of the optimizer wrapper. All
    processes enter it together.
    """
    weights = model.module.state_dict()
    weights.update({name: _whole(value) for name, value in weights.items()})
    for name in model.numbers if is_main_process() else ():
        weights[name] = weights[name].squeeze()
    states = [(model.module, weights)]
    if optim_wrapper is not None:
        states.append((optim_wrapper, _whole_optimizer(model, optim_wrapper)))
    for part, state in states:
        part.state_dict = lambda state=state: state
    try:
        yield
    finally:
        for part, _ in states:
            del part.state_dict  # the class's own comes back


def _whole_optimizer(model: ShardedDataParallel, optim_wrapper: OptimWrapper) -> dict:
    names = {id(parameter): name for name, parameter in model.module.named_parameters()}
    groups = optim_wrapper.optimizer.param_groups
    names = [names[id(parameter)] for group in groups for parameter in group['params']]
    state = optim_wrapper.state_dict()
    for number, entries in state['state'].items():
        entries = {key: _whole(value) for key, value in entries.items()}
        if names[number] in model.numbers and is_main_process():
            entries = {key: getattr(x, 'squeeze', lambda x=x: x)() for key, x in entries.items()}
        state['state'][number] = entries
    return state


def _whole(value: Any) -> Any:
    if not isinstance(value, DTensor):
        return value
    whole = value.full_tensor()
    return whole.cpu() if is_main_process() else None


def part_of(value: Any, parameter: torch.Tensor | None) -> Any:
    """Of a whole tensor the part that this process has of a parameter of its shape.

    Anything else comes back as it is.
    """
    is_whole = isinstance(value, torch.Tensor) and not isinstance(value, DTensor)
    if not is_whole or not isinstance(parameter, DTensor):
        return value
    if value.dim() == 0 and parameter.shape == (1,):
        value = value[None]
    if value.shape != parameter.shape:
        return value
    mesh, placements = parameter.device_mesh, parameter.placements
    value = value.to(mesh.device_type).contiguous()  # as `_make_shardable` makes the parameter
    return distribute_tensor(value, mesh, placements, src_data_rank=None)


def _part_of_weights(layer: nn.Module, state_dict: dict, prefix: str, *args: Any) -> None:
    for name, parameter in layer._parameters.items():
        if prefix + name in state_dict:
            state_dict[prefix + name] = part_of(state_dict[prefix + name], parameter)


def _part_of_states(optimizer: Optimizer, state_dict: dict) -> dict:
    groups = optimizer.param_groups
    parameters = dict(enumerate(parameter for group in groups for parameter in group['params']))
    state = {
        number: {
            key: value if key == 'step' else part_of(value, parameters.get(number))
            for key, value in entries.items()
        }
        for number, entries in state_dict['state'].items()
    }
    return {**state_dict, 'state': state}


def _make_shardable(layer: nn.Module) -> None:
    """Give the weights of a layer itself one dimension at least, and the plain memory layout."""
    for name, parameter in layer._parameters.items():
        if parameter is not None and parameter.dim() == 0:
            layer._parameters[name] = nn.Parameter(
                parameter.detach()[None], parameter.requires_grad
            )
        elif parameter is not None:
            parameter.data = parameter.data.contiguous()


def _units(layer: nn.Module, size: int, taken: set[int]) -> Iterator[nn.Module]:
    """The units in a layer, inner ones first; ``taken`` are the ids of the weights in them."""
    for child in layer.children():
        yield from _units(child, size, taken)
        own = {id(x): x.numel() for x in child.parameters() if id(x) not in taken}
        is_member = isinstance(layer, nn.Sequential | nn.ModuleList)
        if is_member and not isinstance(child, nn.ModuleList) and sum(own.values()) >= size:
            taken.update(own)
            yield child
