# GSoP (https://arxiv.org/abs/1811.12006): covariance of channels, of positions, and both.
question = 'Does second-order pooling help over channels, over positions, or over both?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        name: {
            'model.backbone.plugins': [
                dict(cfg=cfg, position='after_conv2', stages=(False, True, True, True))
            ]
        }
        for name, cfg in dict(
            channel=dict(type='GSoP'),
            spatial=dict(type='GSoP', mode='spatial'),
            both=dict(type='GSoP', mode='both'),
        ).items()
    },
)
