"""Settings for faster or smaller training: each takes effect, in real runs."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmattn.apis import train
from mmattn.cli.arguments import parse_value
from mmattn.engine.checkpoints import safe_load
from mmattn.errors import UserError

from ..e2e.conftest import CONFIG, SMALL
from . import test_train

toy = test_train.toy

ITERATIONS = 4
TINY = (
    *SMALL,
    'model.data_preprocessor.size=(32,64)',
    'train_dataloader.dataset.pipeline.2.scale=(64,32)',
    'train_dataloader.dataset.pipeline.3.crop_size=(32,64)',
    'val_dataloader.dataset.indices=2',
    f'train_cfg.max_iters={ITERATIONS}',
    # Which elements it hits depends on their order in memory.
    *('model.decode_head.dropout_ratio=0', 'model.auxiliary_head.dropout_ratio=0'),
    # Its steps are as near to each other as the gradients; those of AdamW have the sign of noise.
    *('optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.momentum=0.9'),
    "custom_hooks=[{'type': 'KeptBytes'}]",
)
KEPT: list[int] = []  # bytes, of each iteration of the latest run


@HOOKS.register_module(force=True)
class KeptBytes(Hook):
    """Counts what autograd keeps from the forward pass to the backward one."""

    def before_train(self, runner):
        KEPT.clear()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        KEPT.append(0)
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.keep, lambda x: x)
        self.hooks.__enter__()

    def keep(self, tensor):
        if torch._C._current_graph_task_id() == -1:  # not in the backward pass
            KEPT[-1] += tensor.nbytes
        return tensor

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.hooks.__exit__()


@pytest.fixture(scope='module')
def run(toy, tmp_path_factory):
    """Train the small model; the checkpoint of the last iteration, and its folder."""

    def run(*options: str, **arguments) -> tuple[dict, Path]:
        folder = tmp_path_factory.mktemp('run')
        pairs = (option.split('=', 1) for option in (*TINY, *options))
        overrides = {key: parse_value(key, text) for key, text in pairs}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('MMATTN_DATA', str(toy))
            settings = dict(work_dir=folder, cfg_options=overrides, check_data='off', seed=1)
            train(CONFIG, **settings, **arguments)
        return safe_load(folder / f'iter_{ITERATIONS}.pth'), folder

    return run


@pytest.fixture(scope='module')
def plain(run) -> tuple[dict, int, Path]:
    """A run without any of the settings: its last checkpoint, the bytes it kept, its middle."""
    state, folder = run()
    return state, KEPT[0], folder / f'iter_{ITERATIONS // 2}.pth'


def assert_same_weights(actual: dict, expected: dict, statistics: bool = True) -> None:
    weights = [state['state_dict'] for state in (actual, expected)]
    assert weights[0].keys() == weights[1].keys()
    for key in weights[0] if statistics else [k for k in weights[0] if 'running' not in k]:
        if 'num_batches' not in key:
            torch.testing.assert_close(
                weights[0][key], weights[1][key], rtol=1e-3, atol=1e-4, msg=key
            )


@pytest.mark.parametrize(
    ('option', 'share'),
    [
        ('model.backbone.with_cp=True', 0.8),
        ('activation_checkpointing=[backbone]', 0.6),
        ('activation_checkpointing=backbone.layer1', 0.98),
    ],
)
def test_activations_are_computed_again_and_not_kept(run, plain, option, share):
    state, _ = run(option)
    whole, kept, _ = plain
    assert KEPT[0] < share * kept
    assert_same_weights(state, whole, statistics=False)
    # Of a backbone that learnt nothing the optimizer would have no state.
    assert len(state['optimizer']['state']) == len(whole['optimizer']['state'])


@pytest.mark.parametrize('count', [1, 2])
def test_gradients_of_several_iterations_make_one_step(run, count):
    adamw = "optim_wrapper.optimizer={'type': 'AdamW', 'lr': 0.001, '_delete_': True}"
    state, _ = run(adamw, f'optim_wrapper.accumulative_counts={count}')
    assert float(state['optimizer']['state'][0]['step']) == ITERATIONS // count


def test_a_fused_optimizer_takes_the_same_steps(run, plain):
    state, _ = run('optim_wrapper.optimizer.fused=True')
    assert [group['fused'] for group in state['optimizer']['param_groups']] == [True]
    assert_same_weights(state, plain[0])


def is_channels_last(state: dict) -> bool:
    weight = state['state_dict']['backbone.layer1.0.conv1.weight']
    return weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_are_in_channels_last_where_the_config_or_amp_says_so(run, plain, monkeypatch):
    whole, _, middle = plain
    assert not is_channels_last(whole)
    # From the middle on: initial weights are drawn in the order of the memory.
    state, _ = run("custom_hooks=[{'type': 'ChannelsLastHook'}]", resume=middle)
    assert is_channels_last(state)
    assert_same_weights(state, whole)
    for has_bfloat16 in (True, False):
        monkeypatch.setattr('mmattn.apis.options.cpu_has_bfloat16', lambda has=has_bfloat16: has)
        assert is_channels_last(run(amp=True)[0]) is has_bfloat16


def test_the_network_is_compiled_for_training_and_checkpoints_stay(run, plain):
    torch._dynamo.reset()
    graphs, calls = [], []

    def counting(graph, inputs):
        graphs.append(graph)
        return lambda *args: (calls.append(len(graphs)), graph.forward(*args))[1]

    torch._dynamo.register_backend(counting, name='counting')
    state, folder = run('compile.backend=counting')
    # A trial, and once for all iterations: backbone, head and auxiliary head.
    assert len(graphs) == 4
    assert len(calls) == 1 + 3 * ITERATIONS
    assert_same_weights(state, plain[0])
    resumed, _ = run(resume=folder / f'iter_{ITERATIONS // 2}.pth')
    assert_same_weights(resumed, plain[0])
    resumed, _ = run('compile.backend=counting', resume=folder / f'iter_{ITERATIONS // 2}.pth')
    assert all(torch.equal(resumed['state_dict'][k], x) for k, x in state['state_dict'].items())


def test_where_torch_compile_does_not_work_it_is_told_before_training(run):
    with pytest.raises(UserError, match='torch.compile does not work here: .*nowhere') as error:
        run('compile.backend=nowhere', compile=True)
    assert '\n' not in str(error.value)


@pytest.mark.slow
def test_compiled_by_a_compiler_it_trains_to_the_same_weights(run, plain):
    torch._dynamo.reset()
    assert_same_weights(run(compile=True)[0], plain[0])
