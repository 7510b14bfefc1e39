"""The head that takes any mechanism."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmattn.errors import UserError
from mmattn.models import MECHANISMS

COMMON = dict(in_channels=24, channels=128, num_classes=5, norm_cfg=dict(type='BN'))
MAPS = [name for name, mechanism in MECHANISMS.items() if mechanism.kind != 'fusion']


def build(name: str, **arguments) -> nn.Module:
    torch.manual_seed(0)
    head = MODELS.build(dict(type=name, **COMMON, **arguments))
    head.init_weights()
    return head


def with_weights_away_from_zero(head: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return head.eval()


def features() -> list[torch.Tensor]:
    return [torch.randn(2, 24, 9, 13, generator=torch.Generator().manual_seed(1))]


@pytest.mark.parametrize('name', MAPS)
def test_trains_with_every_mechanism(name):
    head = build('AttentionHead', attention=dict(type=name)).train()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, 36, 52).long()))] * 2
    loss = head.loss(features(), samples, {})['loss_ce']
    loss.backward()
    assert loss.isfinite()
    gradients = [parameter.grad for parameter in head.attention.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize('name', MAPS)
def test_mechanisms_keep_the_initial_values_of_their_sources(name):
    torch.manual_seed(0)
    head = MODELS.build(dict(type='AttentionHead', attention=dict(type=name), **COMMON))
    before = {key: value.clone() for key, value in head.attention.state_dict().items()}
    head.init_weights()
    for key, value in head.attention.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize(
    ('name', 'block', 'attention'),
    [
        ('CCNetHead', 'cca', dict(type='CrissCross', recurrence=2)),
        ('GCNetHead', 'gc_block', dict(type='GlobalContext')),
    ],
)
def test_gives_what_the_heads_of_one_mechanism_give(name, block, attention):
    theirs = with_weights_away_from_zero(build(name))
    ours = build('AttentionHead', attention=attention).eval()
    state = theirs.state_dict()
    ours.load_state_dict({key.replace(block, 'attention'): v for key, v in state.items()})
    with torch.no_grad():
        assert torch.equal(ours(features()), theirs(features()))


@pytest.mark.parametrize(
    ('index', 'mechanism'), [(1, 'PositionAttention'), (2, 'ChannelAttention')]
)
def test_is_a_branch_of_danet(index, mechanism):
    danet = with_weights_away_from_zero(build('DANetHead', pam_channels=16))
    head = build('AttentionHead', attention=dict(type=mechanism), concat_input=False).eval()
    branch = {1: 'pam', 2: 'cam'}[index]
    names = {
        f'{branch}_in_conv': 'convs.0',
        branch: 'attention',
        f'{branch}_out_conv': 'convs.1',
        f'{branch}_conv_seg': 'conv_seg',
    }
    state = {
        f'{names[key.split(".")[0]]}.{key.split(".", 1)[1]}': value
        for key, value in danet.state_dict().items()
        if key.split('.')[0] in names
    }
    head.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(head(features()), danet(features())[index])


def test_a_list_is_a_chain():
    chain = [dict(type='SE', reduction=8), dict(type='PositionAttention', channels=16)]
    head = with_weights_away_from_zero(build('AttentionHead', attention=chain))
    first, second = head.attention
    x = torch.randn(2, 128, 5, 6)
    with torch.no_grad():
        assert torch.equal(head.context(x), second(first(x)))
        assert not torch.equal(head.context(x), second(x))


def test_one_mechanism_has_no_index_in_its_state_dict():
    head = build('AttentionHead', attention=dict(type='SE'))
    keys = {key for key in head.state_dict() if key.startswith('attention.')}
    assert keys == {'attention.excite.0.weight', 'attention.excite.2.weight'}


@pytest.mark.parametrize(
    ('attention', 'words'),
    [
        (dict(type='AFF'), "attention: type must be one of .*SE.*; got 'AFF'"),
        (dict(type='SEE'), "attention: type must be one of .*SE.*; got 'SEE'"),
        (dict(type='SE', reduction=1000), 'attention: SE: reduction must be between 1 and .*128'),
        (dict(type='SE', ratio=4), "attention: SE: .*'ratio'"),
        ([dict(type='ECA'), dict(type='AFF')], r"attention\[1\]: type must be one of .*got 'AFF'"),
        ([dict(type='SE', ratio=4), dict(type='ECA')], r"attention\[0\]: SE: .*'ratio'"),
        ([], 'attention must be a config or a list of them, got an empty list'),
    ],
)
def test_wrong_attention_is_named(attention, words):
    with pytest.raises(UserError, match=words):
        build('AttentionHead', attention=attention)
