# CBAM (https://arxiv.org/abs/1807.06521), its comparison of average and maximum pooling.
question = 'Does CBAM need the maximum beside the mean?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'avg'
variants = dict(
    none=dict(),
    **{
        name: {
            'model.backbone.plugins': [
                dict(cfg=cfg, position='after_conv2', stages=(False, True, True, True))
            ]
        }
        for name, cfg in dict(
            avg=dict(type='CBAM', pooling='avg'),
            max=dict(type='CBAM', pooling='max'),
            both=dict(type='CBAM', pooling='both'),
        ).items()
    },
)
