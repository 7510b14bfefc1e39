# Polarized self-attention (https://arxiv.org/abs/2107.00782): the two layouts of its figure 2.
question = 'Should the channel and the spatial gate of polarized attention follow each other?'
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
            parallel=dict(type='PolarizedSelfAttention'),
            sequential=dict(type='PolarizedSelfAttention', mode='sequential'),
        ).items()
    },
)
