# CBAM (https://arxiv.org/abs/1807.06521), in one stage at a time and in all.
question = 'In which stages does CBAM help?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    all={'model.backbone.plugins': [dict(cfg=dict(type='CBAM'), position='after_conv2')]},
    **{
        f'stage{stage + 1}': {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type='CBAM'),
                    position='after_conv2',
                    stages=[stage == other for other in range(4)],
                )
            ]
        }
        for stage in range(4)
    },
)
