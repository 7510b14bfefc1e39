# BAM (https://arxiv.org/abs/1807.06514): it stands at the bottlenecks between the stages; its
# authors compare with every block, and choose dilation and fusion of the branches by experiments.
question = 'Where should BAM stand, and how should its branches join?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    between_stages={
        'model.backbone.plugins': [
            dict(cfg=dict(type='BAM'), position='after_stage', stages=(True, True, True, False))
        ]
    },
    in_blocks={
        'model.backbone.plugins': [
            dict(cfg=dict(type='BAM'), position='after_conv2', stages=(True, True, True, False))
        ]
    },
    last_stage={
        'model.backbone.plugins': [
            dict(cfg=dict(type='BAM'), position='after_stage', stages=(False, False, False, True))
        ]
    },
    product={
        'model.backbone.plugins': [
            dict(
                cfg=dict(type='BAM', fusion='product'),
                position='after_stage',
                stages=(True, True, True, False),
            )
        ]
    },
    **{
        f'dilation{dilation}': {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type='BAM', dilation=dilation),
                    position='after_stage',
                    stages=(True, True, True, False),
                )
            ]
        }
        for dilation in (1, 2, 6)
    },
)
