"""HRNet + OCR of its authors: branch HRNet-OCR of HRNet/HRNet-Semantic-Segmentation on GitHub."""

from mmattn.apis.layouts.plan import IMAGENET, Layout, Plan, Settings, State, conv_norm
from mmattn.apis.layouts.resnets import count_children

_BACKBONE = ('conv1', 'bn1', 'conv2', 'bn2', 'layer1', 'transition1', 'stage2', 'transition2')
_BACKBONE += ('stage3', 'transition3', 'stage4')
ATTENTION = (
    *conv_norm('f_pixel.0', 'f_pixel.1.0', 'query_project.0'),
    *conv_norm('f_pixel.2', 'f_pixel.3.0', 'query_project.1'),
    *conv_norm('f_object.0', 'f_object.1.0', 'key_project.0'),
    *conv_norm('f_object.2', 'f_object.3.0', 'key_project.1'),
    *conv_norm('f_down.0', 'f_down.1.0', 'value_project'),
    *conv_norm('f_up.0', 'f_up.1.0', 'out_project'),
)
_OCR = 'ocr_distri_head.object_context_block'
HEADS = (
    *conv_norm('aux_head.0', 'aux_head.1', '0.convs.0'),
    ('aux_head.3', '0.conv_seg'),
    *conv_norm('conv3x3_ocr.0', 'conv3x3_ocr.1', '1.bottleneck'),
    *((f'{_OCR}.{source}', f'1.object_context_block.{target}') for source, target in ATTENTION),
    *conv_norm(
        'ocr_distri_head.conv_bn_dropout.0',
        'ocr_distri_head.conv_bn_dropout.1.0',
        '1.object_context_block.bottleneck',
    ),
    ('cls_head', '1.conv_seg'),
)


def _read(state: State) -> Plan:
    rules = tuple((name, f'backbone.{name}') for name in _BACKBONE)
    rules += tuple((source, f'decode_head.{target}') for source, target in HEADS)
    widths = _widths(state)
    coarse = len(state['aux_head.0.weight'])
    settings: Settings = {
        'model.backbone.type': 'AlignedHRNet',
        'model.decode_head.1.type': 'OCRNetHead',
    }
    blocks = [count_children(state, 'layer1')]
    for stage in (1, 2, 3, 4):
        place = f'model.backbone.extra.stage{stage}'
        if stage > 1:
            first = f'stage{stage}.0.branches'
            blocks = [count_children(state, f'{first}.{branch}') for branch in range(stage)]
            settings[f'{place}.num_channels'] = widths[:stage]
            settings[f'{place}.num_modules'] = count_children(state, f'stage{stage}')
        settings[f'{place}.num_blocks'] = blocks
    for head, channels in ((0, coarse), (1, len(state['conv3x3_ocr.0.weight']))):
        settings |= {
            f'model.decode_head.{head}.in_channels': widths,
            f'model.decode_head.{head}.channels': channels,
            f'model.decode_head.{head}.num_classes': len(state['cls_head.weight']),
            f'model.decode_head.{head}.align_corners': True,
        }
    settings['model.decode_head.1.ocr_channels'] = len(state[f'{_OCR}.f_down.0.weight'])
    notes = (
        'its branches are enlarged as by the authors for images whose sides are multiples of 32, '
        'as those of Cityscapes are; others differ a little at the borders',
    )
    return Plan(rules, settings | IMAGENET, notes, unused=('loss',))


def _widths(state: State) -> list[int]:
    """Channels of the four branches."""
    return [len(state[f'stage4.0.branches.{branch}.0.conv1.weight']) for branch in range(4)]


HRNET_OCR = Layout(
    'HRNet + OCR of HRNet/HRNet-Semantic-Segmentation',
    ('ocr_distri_head.conv_bn_dropout.0.weight',),
    _read,
)
