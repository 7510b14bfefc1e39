# AFF (https://arxiv.org/abs/2009.14082) in ResNet-50 and ResNeXt-50. Bottlenecks are wide: their
# attention has a sixteenth of the channels.
question = 'How should shortcut and residual of a block be joined?'
base = '../plugins/fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py'
data = 'Cityscapes'
baseline = 'r50-add'
grid = [
    dict(
        r50=dict(),
        rx50={
            'model.pretrained': 'open-mmlab://resnext50_32x4d',
            'model.backbone': dict(type='AttnResNeXt', groups=32, base_width=4),
        },
    ),
    dict(
        add=dict(),
        concat={'model.backbone.fusion': dict(type='ConcatFusion')},
        sk={'model.backbone.fusion': dict(type='SelectiveFusion', reduction=16)},
        global_global={
            'model.backbone.fusion': dict(type='AFF', contexts=('global', 'global'), reduction=16)
        },
        local_local={
            'model.backbone.fusion': dict(type='AFF', contexts=('local', 'local'), reduction=16)
        },
        aff={'model.backbone.fusion': dict(type='AFF', reduction=16)},
        iaff={'model.backbone.fusion': dict(type='IAFF', reduction=16)},
    ),
]
