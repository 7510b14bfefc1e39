"""Weights of other repositories: converted, loaded strictly, and compared with their networks."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmseg.registry import MODELS
from torch.nn import functional as F

from mmattn.apis import convert, load_model
from mmattn.apis.layouts import LAYOUTS
from mmattn.apis.layouts.fit import differing_settings
from mmattn.cli.convert import SOURCES
from mmattn.errors import UserError
from mmattn.models import AlignedHRNet
from mmattn.preflight.config import load_config
from mmattn.preflight.pretrained import drop_pretrained
from tests.apis.original_layouts import (
    NUM_CLASSES,
    OriginalResNet,
    ann_network,
    below,
    ccnet_head,
    conv,
    fla_network,
    merged,
    norm,
    ocr_heads,
    side_output,
)
from tests.golden import Case

TOY = {
    name: f'configs/{name}/{name}_r18-d8_1xb4-300it_toy-128x256.py'
    for name in ('danet', 'ccnet', 'anl', 'fla')
}
NO_DILATION = dict(dilations=[(1, 1)] * 4, strides=(1, 2, 2, 2))
UNCONTRACTED = [(1, 1), (1, 1), (2, 2), (4, 4)]


def ann(stem: str) -> dict:
    return merged(below('backbone.', OriginalResNet(stem).state_dict()), ann_network())


def ccnet(old_names: bool = False) -> dict:
    return merged(OriginalResNet('flat').state_dict(), below('head.', ccnet_head(old_names)))


@pytest.fixture
def files(tmp_path):
    """Where a state dict lies, and where the converted one goes."""
    torch.manual_seed(0)

    def write(state, name='original.pth'):
        torch.save(state, tmp_path / name)
        return tmp_path / name, tmp_path / 'converted.pth'

    return write


def loaded(source: str, files, state: dict, config: str, **options):
    """The model of a config with the settings that a conversion names, and its weights."""
    file, out = files(state)
    settings = convert(source, file, out).settings | options
    done = convert(source, file, out, config=config, cfg_options=settings, overwrite=True)
    assert done.settings == {}
    assert not done.translation.missing and not done.translation.unexpected
    cfg = load_config(config, settings)
    drop_pretrained(cfg)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
    missing, unexpected = model.load_state_dict(torch.load(out)['state_dict'], strict=False)
    assert not unexpected and all(key.endswith('num_batches_tracked') for key in missing)
    return model, done


def assert_same_features(model, original) -> None:
    x = torch.randn(2, 3, 65, 97)
    with torch.no_grad():
        for ours, theirs in zip(model.backbone(x), original(x), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_danet_gives_the_numbers_of_its_authors(files, golden_dir):
    case, original = Case(golden_dir, 'danet_head'), OriginalResNet('sequential')
    weights = merged(below('pretrained.', original.state_dict()), below('head.', case.params))
    weights |= below('pretrained.', {'fc.weight': torch.ones(3, 64), 'fc.bias': torch.ones(3)})
    state = {'epoch': 1, 'best_pred': 0.8, 'state_dict': below('module.', weights)}
    extra = {'model.auxiliary_head': None}
    model, done = loaded('danet', files, state, TOY['danet'], **extra)
    assert_same_features(model, original)
    assert sorted(done.translation.unused) == ['pretrained.fc.bias', 'pretrained.fc.weight']
    with torch.no_grad():
        outputs = model.decode_head.forward([case.inputs[0]] * 4)
    for ours, theirs in zip(outputs, case.outputs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_ccnet_scales_by_the_absolute_weight(files):
    original = OriginalResNet('flat', dilations=UNCONTRACTED)
    original.layer1[0].bn1.weight.data.neg_()
    state = merged(original.state_dict(), below('head.', ccnet_head()), side_output())
    model, done = loaded('ccnet', files, state, TOY['ccnet'])
    with torch.no_grad():
        for module in original.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.copy_(module.weight.abs() + 1e-5)
    assert_same_features(model, original)
    assert isinstance(model.decode_head.convs[0].activate, torch.nn.LeakyReLU)
    assert model.decode_head.convs[0].activate.negative_slope == 0.01
    assert any('recurrence' in note for note in done.notes)
    x = torch.randn(1, 32, 7, 9)
    with torch.no_grad():
        y = F.conv2d(x, state['dsn.0.weight'], state['dsn.0.bias'], padding=1)
        mean, var, weight, bias = (
            state[f'dsn.1.{name}'] for name in ('running_mean', 'running_var', 'weight', 'bias')
        )
        y = F.leaky_relu(F.batch_norm(y, mean, var, weight.abs() + 1e-5, bias), 0.01)
        y = F.conv2d(y, state['dsn.3.weight'], state['dsn.3.bias'])
        torch.testing.assert_close(model.auxiliary_head.forward([x] * 4), y, rtol=1e-4, atol=1e-4)


def test_ann_is_converted_whole(files):
    original = OriginalResNet('prefix')
    state = merged(below('backbone.', original.state_dict()), ann_network())
    model, _ = loaded('ann', files, state, TOY['anl'])
    assert_same_features(model, original)
    assert model.decode_head.context.stages[0].key_project.conv.weight.shape[0] == 8


@pytest.mark.parametrize('source', ['ann', 'ccnet'])
def test_names_of_other_versions_become_the_same(files, source):
    networks = {
        'ann': [ann('prefix'), ann('resinit')],
        'ccnet': [ccnet(), ccnet(old_names=True)],
    }
    states = []
    for network in networks[source]:
        done = convert(source, *files(network), overwrite=True)
        assert not done.translation.unexpected
        states.append(done.translation.state)
    assert list(states[0]) == list(states[1])


def test_flanet_is_converted_whole(files):
    original = OriginalResNet('sequential', dilations=UNCONTRACTED)
    state = merged(below('backbone.', original.state_dict()), fla_network())
    model, _ = loaded('flanet', files, state, TOY['fla'])
    assert_same_features(model, original)
    assert model.decode_head.attention.gamma.scale.item() == pytest.approx(0.7)


def test_hrnet_ocr_is_converted_whole(files):
    config = 'configs/ocrnet/ocrnet_hr18_4xb2-80k_cityscapes-512x1024.py'
    widths = [2, 4, 8, 16]
    backbone = hrnet(widths)
    backbone.eval()
    state = merged(
        below('model.', merged(backbone.state_dict(), ocr_heads(sum(widths)))),
        {'loss.criterion.weight': torch.ones(NUM_CLASSES)},
    )
    model, done = loaded('hrnet-ocr', files, state, config)
    assert done.translation.unused == ['loss.criterion.weight']
    x = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        for ours, theirs in zip(model.backbone(x), backbone(x), strict=True):
            torch.testing.assert_close(ours, theirs)


def hrnet(widths: list[int]) -> AlignedHRNet:
    stages = {
        f'stage{i}': dict(
            num_modules=1,
            num_branches=i,
            block='BOTTLENECK' if i == 1 else 'BASIC',
            num_blocks=(1,) * i,
            num_channels=(64,) if i == 1 else widths[:i],
        )
        for i in (1, 2, 3, 4)
    }
    return AlignedHRNet(extra=stages, norm_cfg=dict(type='BN'), norm_eval=False)


def test_branches_are_enlarged_with_aligned_corners():
    module = hrnet([2, 4, 8, 16]).stage2[0].eval()
    x, small = torch.randn(1, 2, 8, 16), torch.randn(1, 4, 4, 8)
    with torch.no_grad():
        large = F.interpolate(
            module.fuse_layers[0][1][:2](module.branches[1](small)),
            size=(8, 16),
            mode='bilinear',
            align_corners=True,
        )
        expected = (module.branches[0](x) + large).relu()
        torch.testing.assert_close(module([x, small])[0], expected)


@pytest.mark.parametrize(
    ('source', 'kind', 'original'),
    [
        ('torchvision', 'ResNet', dict(NO_DILATION)),
        ('torchvision', 'ResNet', dict(NO_DILATION, depth=18)),
        ('timm', 'ResNetV1c', dict(NO_DILATION, stem='sequential')),
        ('timm', 'ResNetV1d', dict(NO_DILATION, depth=18, stem='sequential', pool=True)),
    ],
)
def test_imagenet_resnets_give_the_features_of_their_source(files, source, kind, original):
    original = OriginalResNet(**original)
    state = merged(
        original.state_dict(), {'fc.weight': torch.ones(9, 64), 'fc.bias': torch.ones(9)}
    )
    file, out = files({'model': below('module.', state)})
    done = convert(source, file, out)
    backbone = {key.rpartition('.')[2]: value for key, value in done.settings.items()}
    assert backbone['type'] == kind
    for key in ('mean', 'std', 'bgr_to_rgb'):
        del backbone[key]
    init = dict(type='Pretrained', checkpoint=str(out))
    model = torch.nn.Module()
    model.backbone = MODELS.build(dict(backbone, norm_cfg=dict(type='BN'), init_cfg=init))
    model.backbone.init_weights()
    model.eval()
    assert_same_features(model, original)


@pytest.mark.parametrize('name', ['resnet18', 'resnet50'])
def test_resnets_of_torchvision_itself(files, name):
    models = pytest.importorskip('torchvision.models', reason='torchvision is not installed')
    compare_with_library('torchvision', getattr(models, name)().eval(), files)


@pytest.mark.parametrize('name', ['resnet18', 'resnet50d', 'resnet50c'])
def test_resnets_of_timm_itself(files, name):
    timm = pytest.importorskip('timm', reason='timm is not installed')
    compare_with_library('timm', timm.create_model(name).eval(), files)


def compare_with_library(source, network, files) -> None:
    file, out = files(network.state_dict())
    done = convert(source, file, out)
    parts = {key.rpartition('.')[2]: value for key, value in done.settings.items()}
    settings = {key: parts[key] for key in ('type', 'depth', 'stem_channels', 'base_channels')}
    backbone = MODELS.build(dict(settings, norm_cfg=dict(type='BN')))
    backbone.load_state_dict(torch.load(out)['state_dict'])
    backbone.eval()
    maps = []
    for i in range(1, 5):
        layer = getattr(network, f'layer{i}')
        layer.register_forward_hook(lambda module, inputs, output: maps.append(output))
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        network(x)
        for ours, theirs in zip(backbone(x), maps, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_backbone_is_held_against_that_of_the_config(files):
    file, out = files(OriginalResNet('sequential').state_dict())
    narrow = {'model.backbone.depth': 50, 'model.backbone.base_channels': 2}
    narrow |= {'model.backbone.stem_channels': 16, 'model.decode_head.in_channels': 64}
    narrow |= {'model.auxiliary_head.in_channels': 32}
    done = convert('timm', file, out, config=TOY['danet'], cfg_options=narrow)
    assert done.settings == {}
    with pytest.raises(UserError, match='Missing: stem.0.weight') as error:
        plain, out = files(OriginalResNet().state_dict())
        options = {**narrow, 'model.backbone.type': 'AttnResNetV1c'}
        convert('torchvision', plain, out, config=TOY['danet'], cfg_options=options, overwrite=True)
    assert '--cfg-options model.backbone.type=AttnResNet' in str(error.value)


def test_stems_of_other_widths_are_refused(files):
    file, out = files(OriginalResNet('sequential', stem_channels=(6, 8, 16)).state_dict())
    with pytest.raises(UserError, match='have 6, 8 and 16 channels'):
        convert('timm', file, out)
    assert not out.exists()


def test_networks_of_basic_blocks_are_refused_as_they_dilate_otherwise(files):
    original = OriginalResNet('flat', depth=18)
    file, out = files(merged(original.state_dict(), below('head.', ccnet_head())))
    with pytest.raises(UserError, match='depth 50'):
        convert('ccnet', file, out)


@pytest.mark.parametrize(
    ('entries', 'message'),
    [
        (lambda: conv('layer1.0.se.fc1', 2, 8), 'layer1.0.se.fc1.weight'),
        (lambda: {'layer1.0.conv2.weight': torch.ones(2, 1, 3, 3)}, 'grouped'),
        (lambda: {'layer1.0.conv3.weight': torch.ones(16, 2, 1, 1)}, 'wider'),
        (lambda: conv('layer4.3.conv1', 2, 2), r'stages of \[3, 4, 6, 4\] blocks'),
        (lambda: {'conv1.weight': torch.ones(16, 3, 5, 5)}, 'stem is neither'),
    ],
)
def test_other_blocks_are_refused(files, entries, message):
    file, out = files(OriginalResNet().state_dict() | entries())
    with pytest.raises(UserError, match=message):
        convert('timm', file, out)


def test_a_file_of_another_layout_names_the_right_one(files):
    file, out = files(ccnet())
    with pytest.raises(UserError, match='no DANet.*--from ccnet'):
        convert('danet', file, out)


def test_a_file_that_lacks_entries_says_which(files):
    state = ccnet()
    del state['head.bottleneck.3.weight']
    file, out = files(state)
    with pytest.raises(UserError, match=r'bottleneck\.3\.weight'):
        convert('ccnet', file, out)


def test_entries_that_are_missing_or_unknown_are_told(files):
    state = ccnet()
    del state['head.bottleneck.3.bias']
    state = {key: value for key, value in state.items() if '.gamma' not in key}
    file, out = files(state | norm('head.other', 3))
    done = convert('ccnet', file, out)
    assert done.translation.missing == ['decode_head.cca.gamma.scale']
    assert len(done.translation.unexpected) == 4
    assert 'unexpected, and left out: 4 (head.other.weight' in str(done)


def test_mmsegs_checkpoints_keep_the_names_of_their_classes(files, trained_model):
    config, checkpoint = trained_model
    state = torch.load(checkpoint)['state_dict']
    palette = [[i, i, i] for i in range(8)]
    meta = {'CLASSES': tuple('abcdefgh'), 'PALETTE': palette}
    wrapped = {'state_dict': below('module.', state), 'optimizer': {}, 'meta': meta}
    file, out = files(wrapped)
    done = convert('mmseg', file, out, config=config)
    assert not done.translation.missing and not done.translation.unexpected
    model = load_model(config, out)
    assert model.dataset_meta['classes'] == tuple('abcdefgh')
    assert model.dataset_meta['palette'] == palette
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, state[key])


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    torch.save({'state_dict': Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(UserError, match='not loaded'):
        convert('danet', tmp_path / 'evil.pth', tmp_path / 'out.pth')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['evil.pth']


def test_a_file_that_is_there_stays(files):
    file, out = files(OriginalResNet().state_dict())
    out.write_text('mine')
    with pytest.raises(UserError, match='--overwrite'):
        convert('torchvision', file, out)
    assert out.read_text() == 'mine'
    with pytest.raises(UserError, match='is the file that is read'):
        convert('torchvision', file, file, overwrite=True)
    with pytest.raises(UserError, match=f'cannot be made: {out} is a file; name another file'):
        convert('torchvision', file, out / 'new.pth')


def test_settings_of_one_head_are_lacking_in_a_cascade_of_heads():
    settings = {'model.decode_head.channels': 512, 'model.decode_head.1.channels': 512}
    cascade = Config(dict(model=dict(decode_head=[dict(channels=256), dict(channels=512)])))
    assert differing_settings(settings, cascade) == {'model.decode_head.channels': 512}


def test_a_config_that_does_not_fit_leaves_nothing(files):
    file, out = files(OriginalResNet().state_dict())
    with pytest.raises(UserError, match='--cfg-options model.backbone.type=ResNet'):
        convert('torchvision', file, out, config=TOY['danet'])
    assert not out.exists()


def test_the_command_knows_every_layout():
    assert tuple(LAYOUTS) == SOURCES
