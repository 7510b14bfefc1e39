"""mmengine's runner, with a log for people, and without traces of other runs in the process."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import mmengine.runner
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.checkpoint import checkpoint as recompute
from torch.utils.data import DataLoader

from mmattn.engine import checkpoints, screen
from mmattn.engine.compiling import compile_parts
from mmattn.engine.layout import lay_out_state
from mmattn.engine.pairing import Draws
from mmattn.engine.processes import together
from mmattn.engine.sharding import ShardedDataParallel, is_sharded, whole_states
from mmattn.engine.train_loop import resumable
from mmattn.errors import explain_settings
from mmattn.signals import outlive_signals

_POINTLESS_WARNINGS = (
    'Default ``avg_non_ignore`` is False',
    'The draw is False',
    '``build_loss`` would be deprecated soon',  # of upstream mmseg, about itself
    # Of DistributedDataParallel, in the first iteration; then it builds its buckets anew.
    'Grad strides do not match bucket view strides',
)


class Runner(mmengine.runner.Runner):
    """mmengine's Runner; the screen gets what a person needs, the log file everything.

    The setting ``verbose`` of its config gives the screen everything too. When resuming, mmengine
    executes the config in the checkpoint as Python, to read one outdated setting: this runner takes
    it out. Training by iterations is done by `ResumableTrainLoop`. Settings that mmengine builds
    only when training starts are explained as the others.

    With ``paired=True`` in the setting ``randomness`` the initial weights depend on the seed and on
    their names alone (see `mmattn.engine.pairing`), so that two models start equal in the layers
    of the same name and shape. With ``compile`` in the config the parts of the network are compiled
    for training, where mmengine compiles the whole step (see `mmattn.engine.compiling`).

    A model in `ShardedDataParallel` is sharded when training has initialised it. Its checkpoints
    are whole, as those of other models.
    """

    def set_randomness(self, *args: Any, paired: bool = False, **kwargs: Any) -> None:
        self._paired = paired
        super().set_randomness(*args, **kwargs)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        if not self._paired:
            return super().build_model(model)
        with Draws() as draws:
            built = super().build_model(model)
        draws.repeat(built, self._common_seed)
        return built

    def _init_model_weights(self) -> None:
        if not self._paired:
            return super()._init_model_weights()
        with Draws() as draws:
            super()._init_model_weights()
        draws.repeat(_bare(self.model), self._common_seed)

    @property
    def _common_seed(self) -> int:
        """The seed that all processes have in common."""
        return self.seed - (self.rank if self._randomness_cfg.get('diff_rank_seed') else 0)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        if not self.cfg.get('verbose'):
            screen.make_readable(logger)
        return logger

    def introduce(self, summary: str) -> None:
        """Say at the start of a run what it works on, and where its log is.

        Args:
            summary: What was looked at before; lines, or none.
        """
        for line in summary.splitlines():
            self.logger.info(line)
        self.logger.info(f'log: {self.logger.log_file} (with config, environment and hooks)')

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        loader = mmengine.runner.Runner.build_dataloader(*args, **kwargs)
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)
        return loader

    def load_or_resume(self) -> None:
        in_training = isinstance(self.optim_wrapper, OptimWrapper)
        if isinstance(self.model, ShardedDataParallel) and in_training:
            self.model.shard(self.optim_wrapper.optimizer)
        for name in self._recomputed() if in_training and not self._has_loaded else ():
            layer = attrgetter(name)(_bare(self.model))
            # As mmengine has it by now, a part whose input needs no gradient would learn nothing.
            layer.forward = partial(recompute, layer.forward.__wrapped__, use_reentrant=False)
        super().load_or_resume()

    def _recomputed(self) -> list[str]:
        """The parts whose activations are computed again in the backward pass."""
        names = self.cfg.get('activation_checkpointing') or []
        return [names] if isinstance(names, str) else list(names)

    def _maybe_compile(self, target: str) -> None:
        settings = self.cfg.get('compile')
        if target == 'train_step' and settings and compile_parts(_bare(self.model), settings):
            self.logger.info('compiled by torch: the first iteration takes some minutes')
        else:
            super()._maybe_compile(target)

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict:
        checkpoint = super().load_checkpoint(*args, **kwargs)
        meta = checkpoint.get('meta')
        if isinstance(meta, dict):
            meta.pop('config', None)
        return checkpoint

    def resume(self, *args: Any, **kwargs: Any) -> None:
        if is_sharded(self.model):
            kwargs['map_location'] = 'cpu'  # from where each process takes its part
        with explain_settings():
            super().resume(*args, **kwargs)
        if not is_sharded(self.model):  # whose layout is the plain one
            wrapper = self.optim_wrapper
            several = isinstance(wrapper, OptimWrapperDict)
            for each in wrapper.values() if several else [wrapper]:
                lay_out_state(each.optimizer)

    def save_checkpoint(self, *args: Any, save_optimizer: bool = True, **kwargs: Any) -> None:
        kwargs['save_optimizer'] = save_optimizer
        if not is_sharded(self.model):
            return super().save_checkpoint(*args, **kwargs)
        with whole_states(self.model, self.optim_wrapper if save_optimizer else None):
            super().save_checkpoint(*args, **kwargs)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        return super().build_train_loop(resumable(loop))

    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> Any:
        with explain_settings():
            return super().build_optim_wrapper(*args, **kwargs)

    def build_param_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        with explain_settings():
            return super().build_param_scheduler(*args, **kwargs)


def _bare(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _start_worker(start: Callable[[int], None] | None, number: int) -> None:
    outlive_signals()
    if start is not None:
        start(number)


@contextmanager
def separate_run() -> Iterator[ExitStack]:
    """A run that meets nothing of the runs before it in this process, and leaves nothing behind.

    mmengine finds loggers, message hubs and visualizers by name: without this a second run writes
    its scalars into the files of the first. What determinism switches is put back as well. Several
    processes of a run leave it together. What is entered into the stack ends with the run.
    """
    checkpoints.install()
    kinds = [MMLogger, MessageHub, *_with_subclasses(Visualizer)]
    before = {kind: kind._instance_dict for kind in kinds}
    deterministic = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    for kind in kinds:
        kind._instance_dict = OrderedDict()
    try:
        with warnings.catch_warnings():
            for message in _POINTLESS_WARNINGS:
                warnings.filterwarnings('ignore', message=message)
            screen.make_readable(MMLogger.get_instance('mmengine'))  # until the run has its own
            with together(), ExitStack() as run:
                yield run
    finally:
        screen.put_back()
        for logger in MMLogger._instance_dict.values():
            for handler in logger.handlers:
                handler.close()
        for kind, instances in before.items():
            kind._instance_dict = instances
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


def _with_subclasses(kind: type[ManagerMixin]) -> list[type[ManagerMixin]]:
    return [kind, *(sub for child in kind.__subclasses__() for sub in _with_subclasses(child))]
