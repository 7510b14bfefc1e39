# SGE (https://arxiv.org/abs/1905.09646), its ablations of the groups, of the normalisation and of
# the bias that the gates start with.
question = 'How many groups does SGE need, and what do its normalisation and its first bias do?'
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
            groups4=dict(type='SGE', groups=4),
            groups8=dict(type='SGE', groups=8),
            groups16=dict(type='SGE', groups=16),
            groups32=dict(type='SGE', groups=32),
            groups64=dict(type='SGE', groups=64),
            not_normalised=dict(type='SGE', normalise=False),
            bias0=dict(type='SGE', initial_bias=0.0),
        ).items()
    },
)
