"""The heads on backbones, in exports, and where mmseg's twins fail."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.decode_heads import ANNHead, OCRHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import mmattn.models

COMMON = dict(channels=16, num_classes=5, norm_cfg=dict(type='BN'))
CHANNELS = (8, 12, 16, 24)
HEADS = {
    'DANetHead': dict(in_channels=24, pam_channels=4),
    'CCNetHead': dict(in_channels=24),
    'ANLHead': dict(in_channels=CHANNELS[2:], in_index=(2, 3), project_channels=4),
    'GCNetHead': dict(in_channels=24),
    'OCRNetHead': dict(in_channels=24, ocr_channels=4),
    'FLAHead': dict(in_channels=CHANNELS[1:], in_index=(1, 2, 3)),
}
every_head = pytest.mark.parametrize('name', HEADS)


def build(name: str, **overrides) -> nn.Module:
    """A registered head with every parameter away from 0, in eval mode."""
    torch.manual_seed(0)
    head = MODELS.build(dict(type=name, **COMMON, **HEADS[name] | overrides))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return head.eval()


def arguments(name: str, batch: int = 2, size: tuple[int, int] = (9, 13)) -> tuple:
    generator = torch.Generator().manual_seed(1)
    feats = [torch.randn(batch, c, *size, generator=generator) for c in CHANNELS]
    if name == 'OCRNetHead':
        return feats, torch.randn(batch, COMMON['num_classes'], *size, generator=generator)
    return (feats,)


def labels(num_classes: int = 5, batch: int = 2) -> list[SegDataSample]:
    maps = torch.randint(
        0, num_classes, (batch, 1, 36, 52), generator=torch.Generator().manual_seed(2)
    )
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in maps]


def main_output(output: torch.Tensor | tuple) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def test_all_heads_are_registered():
    assert set(mmattn.models.__all__) >= set(HEADS)
    for name in HEADS:
        assert MODELS.get(name) is getattr(mmattn.models, name)


@every_head
def test_images_of_a_batch_do_not_mix(name):
    head = build(name)
    feats, *rest = arguments(name, batch=3)
    with torch.no_grad():
        together = main_output(head(feats, *rest))
        for i in range(3):
            alone = head([x[i : i + 1] for x in feats], *(x[i : i + 1] for x in rest))
            torch.testing.assert_close(together[i : i + 1], main_output(alone))
    assert (together[0] - together[1]).abs().max() > 0.1, 'the images give different outputs'


@every_head
def test_training_step_reaches_every_parameter(name):
    head = build(name).train()
    losses = head.loss(*arguments(name), labels(), {})
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    for key, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@every_head
def test_autocast_and_channels_last_stay_close(name):
    head, args = build(name), arguments(name)
    with torch.no_grad():
        expected = main_output(head(*args))
        feats = [x.contiguous(memory_format=torch.channels_last) for x in args[0]]
        head.to(memory_format=torch.channels_last)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            actual = main_output(head(feats, *args[1:]))
    error = (actual.float() - expected).abs().max() / expected.abs().max()
    assert error < 0.05


@every_head
def test_compiles_to_one_graph(name):
    head, args = build(name), arguments(name)
    torch._dynamo.reset()
    compiled = torch.compile(head, fullgraph=True, backend='aot_eager')
    with torch.no_grad():
        torch.testing.assert_close(compiled(*args), head(*args))


@every_head
def test_exports_to_onnx_and_runs_there(name, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    head, args = build(name), arguments(name, batch=1)
    path = tmp_path / 'head.onnx'
    torch.onnx.export(head, args, path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    feats, *rest = args
    values = [feats[i] for i in range(len(feats))] + rest
    used = {node.name for node in session.get_inputs()}
    feed = {
        node_name: value.numpy()
        for node_name, value in zip(_input_names(len(feats), rest), values, strict=True)
        if node_name in used
    }
    assert len(feed) == len(used)
    with torch.no_grad():
        expected = main_output(head(*args))
    actual = torch.from_numpy(session.run(None, feed)[0])
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def _input_names(count: int, rest: list) -> list[str]:
    return [f'inputs_{i}' for i in range(count)] + ['prev_output'] * len(rest)


RESNET = dict(
    type='ResNetV1c',
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    dilations=(1, 1, 2, 4),
    strides=(1, 2, 1, 1),
    contract_dilation=True,
    base_channels=8,
    stem_channels=8,
    norm_cfg=dict(type='BN'),
)


@pytest.mark.parametrize('depth', [18, 50, 101])
@every_head
def test_heads_on_dilated_resnets(name, depth):
    widths = [width * (1 if depth == 18 else 4) for width in (8, 16, 32, 64)]
    model = MODELS.build(segmentor(name, dict(RESNET, depth=depth), widths))
    _train_and_predict(model)


@pytest.mark.parametrize('name', ['ANLHead', 'DANetHead', 'FLAHead'])
def test_heads_on_a_transformer(name):
    backbone = dict(
        type='MixVisionTransformer',
        embed_dims=8,
        num_heads=[1, 1, 2, 4],
        num_layers=[1, 1, 1, 1],
    )
    # Its stages differ in size, so a head that joins two of them has to cope with that.
    _train_and_predict(MODELS.build(segmentor(name, backbone, [8, 8, 16, 32])))


def test_ocrnet_on_hrnet():
    widths = [8, 16, 32, 64]
    stage = dict(block='BASIC', num_modules=1)
    extra = dict(
        stage1=dict(
            num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)
        ),
        **{
            f'stage{n}': dict(stage, num_branches=n, num_blocks=(1,) * n, num_channels=widths[:n])
            for n in (2, 3, 4)
        },
    )
    cfg = segmentor('OCRNetHead', dict(type='HRNet', extra=extra, norm_cfg=dict(type='BN')), widths)
    for head in cfg['decode_head']:
        head.update(in_channels=widths, in_index=(0, 1, 2, 3), input_transform='resize_concat')
    _train_and_predict(MODELS.build(cfg))


def segmentor(name: str, backbone: dict, widths: list[int]) -> dict:
    head = dict(type=name, **COMMON, **HEADS[name])
    if isinstance(head['in_channels'], int):
        head.update(in_channels=widths[3], in_index=3)
    else:
        head['in_channels'] = [widths[i] for i in head['in_index']]
    cfg = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=backbone,
        decode_head=head,
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )
    if name == 'OCRNetHead':
        coarse = dict(COMMON, type='FCNHead', in_channels=widths[2], in_index=2, num_convs=1)
        cfg.update(type='CascadeEncoderDecoder', num_stages=2, decode_head=[coarse, head])
    return ConfigDict(cfg)


def _train_and_predict(model: nn.Module) -> None:
    images = torch.randn(2, 3, 36, 52)
    samples = labels()
    for sample in samples:
        sample.set_metainfo(dict(img_shape=(36, 52), ori_shape=(36, 52), pad_shape=(36, 52)))
    losses = model.train()(images, samples, mode='loss')
    sum(value.mean() for key, value in losses.items() if 'loss' in key).backward()
    assert all(value.isfinite().all() for value in losses.values())
    with torch.no_grad():
        predictions = model.eval()(images, samples, mode='predict')
    assert predictions[0].pred_sem_seg.data.shape == (1, 36, 52)


def test_anl_works_without_dropout():
    assert build('ANLHead', dropout_ratio=0)(*arguments('ANLHead')).shape == (2, 5, 9, 13)


def test_anl_works_with_pooled_queries_and_takes_mmsegs_weights():
    options = dict(COMMON, **HEADS['ANLHead'], query_scales=(1, 2))
    theirs = ANNHead(**options)
    ours = build('ANLHead', query_scales=(1, 2))
    ours.load_state_dict(theirs.state_dict())
    assert ours(*arguments('ANLHead')).shape == (2, 5, 9, 13)


def test_ocrnet_works_with_pooled_queries_and_takes_mmsegs_weights():
    theirs = OCRHead(**COMMON, **HEADS['OCRNetHead'], scale=2)
    ours = build('OCRNetHead', scale=2)
    ours.load_state_dict(theirs.state_dict())
    assert ours(*arguments('OCRNetHead')).shape == (2, 5, 9, 13)


def test_danet_classifies_two_classes_with_one_logit():
    binary = dict(num_classes=2, out_channels=1, threshold=0.5)
    options = dict(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True), **binary)
    cfg = dict(COMMON, type='DANetHead', **HEADS['DANetHead']) | options
    head = MODELS.build(cfg)
    assert [y.shape[1] for y in head(*arguments('DANetHead'))] == [1, 1, 1]
    losses = head.loss(*arguments('DANetHead'), labels(num_classes=2), {})
    assert losses['pam.loss_ce'].isfinite()


def test_auxiliary_outputs_of_fla_are_as_wide_as_the_authors():
    widths = [conv.conv.out_channels for conv in build('FLAHead').aux_convs]
    assert widths == [64, 64]
    head = build('FLAHead', aux_channels=6)
    assert [layer.in_channels for layer in head.aux_conv_segs] == [6, 6]
    logits = head.forward_aux(*arguments('FLAHead'))
    assert [y.shape for y in logits] == [(2, 5, 18, 26)] * 2


@pytest.mark.parametrize(('name', 'words'), [('ANLHead', 'a pair'), ('FLAHead', 'a triple')])
def test_wrong_number_of_stages_is_named(name, words):
    with pytest.raises(ValueError, match=words):
        build(name, in_channels=(8,), in_index=(0,))


CAM, PAM = dict(type='ChannelAttention'), dict(type='PositionAttention', channels=4)


def test_fla_head_takes_other_mechanisms_in_its_block():
    feats = arguments('FLAHead')[0]
    heads = {
        name: build('FLAHead', **options)
        for name, options in dict(
            none=dict(attention=[]),
            series=dict(attention=[CAM, PAM]),
            parallel=dict(attention=[CAM, PAM], parallel=True),
        ).items()
    }
    x = heads['none'].reduce(feats[-1])
    with torch.no_grad():
        for name, head in heads.items():
            head.load_state_dict(heads['none'].state_dict(), strict=False)
            block, conv = head.attention
            if name == 'none':
                expected = conv(x)
            elif name == 'series':
                expected = conv(block[1](block[0](x)))
            else:
                expected = conv(block[0](x) + block[1](x))
            torch.testing.assert_close(head.attention(x), expected)
    outputs = [head(feats) for head in heads.values()]
    assert all(output.shape == (2, 5, 18, 26) for output in outputs)
    assert (outputs[1] - outputs[2]).abs().max() > 1e-3


@pytest.mark.parametrize(('block', 'part'), [('AFNB', 'fusion.'), ('APNB', 'context.')])
def test_anl_head_with_one_block_has_the_parameters_of_that_one(block, part):
    others = {'fusion.', 'context.'} - {part}
    head, both = build('ANLHead', blocks=[block]), build('ANLHead')
    assert set(head.state_dict()) == {
        key for key in both.state_dict() if not key.startswith(tuple(others))
    }
    with torch.no_grad():
        assert head(arguments('ANLHead')[0]).shape == (2, 5, 9, 13)


@pytest.mark.parametrize('blocks', [[], 'AFNB', ['NB']])
def test_anl_head_names_unknown_blocks(blocks):
    with pytest.raises(ValueError, match="blocks must be one or both of .*'AFNB', 'APNB'"):
        build('ANLHead', blocks=blocks)


@pytest.mark.parametrize('name', ['ANLHead', 'OCRNetHead'])
def test_convolutions_that_the_attention_would_not_follow_are_refused(name):
    assert build(name, conv_cfg=dict(type='Conv2d')) is not None
    with pytest.raises(ValueError, match=f'{name} has plain convolutions.*ConvWS'):
        MODELS.build(dict(type=name, **COMMON, **HEADS[name], conv_cfg=dict(type='ConvWS')))


@pytest.mark.parametrize('kind', ['HSwish', 'ReLU6', 'PReLU', 'ELU'])
@pytest.mark.parametrize(('name', 'twin'), [('ANLHead', ANNHead), ('OCRNetHead', OCRHead)])
def test_activations_are_those_of_the_twin(name, twin, kind):
    options = COMMON | HEADS[name] | dict(act_cfg=dict(type=kind))
    theirs, ours = twin(**options).eval(), build(name, act_cfg=dict(type=kind))
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(*arguments(name)), theirs(*arguments(name)))
