# AFF (https://arxiv.org/abs/2009.14082), its ablation of fusions on short skips, in ResNet-18, and
# in ResNeXt-50 (rx50) with a quarter of its channels, whose stages are as wide as ResNet-18's.
question = 'How should shortcut and residual of a block be joined?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'add'
fusions = dict(
    add=dict(),
    concat={'model.backbone.fusion': dict(type='ConcatFusion')},
    sk={'model.backbone.fusion': dict(type='SelectiveFusion')},
    global_global={'model.backbone.fusion': dict(type='AFF', contexts=('global', 'global'))},
    local_local={'model.backbone.fusion': dict(type='AFF', contexts=('local', 'local'))},
    aff={'model.backbone.fusion': dict(type='AFF')},
    iaff={'model.backbone.fusion': dict(type='IAFF')},
)
variants = fusions
grid = [
    dict(
        rx50={
            'model.backbone': dict(
                type='AttnResNeXt', depth=50, groups=8, base_width=4, base_channels=16
            )
        }
    ),
    fusions,
]
