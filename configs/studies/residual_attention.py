# Residual Attention Network (https://arxiv.org/abs/1704.06904): its masks pool 3, 2 and 1 times
# after the first, second and third stage.
question = 'How deep must the mask of residual attention be in each stage?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        'depth' + '_'.join(map(str, depths)): {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type='ResidualAttention', depth=depth),
                    position='after_stage',
                    stages=[stage == other for other in range(4)],
                )
                for stage, depth in enumerate(depths)
            ]
        }
        for depths in ((3, 2, 1), (1, 1, 1), (3, 3, 3), (1, 2, 3))
    },
)
