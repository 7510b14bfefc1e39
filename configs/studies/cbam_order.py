# CBAM (https://arxiv.org/abs/1807.06521), its comparison of the orders of the two gates.
question = 'In which order should the two gates of CBAM stand, and are both needed?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'channel_first'
variants = dict(
    none=dict(),
    **{
        name: {
            'model.backbone.plugins': [
                dict(cfg=cfg, position='after_conv2', stages=(False, True, True, True))
            ]
        }
        for name, cfg in dict(
            channel_first=dict(type='CBAM', order='channel_first'),
            spatial_first=dict(type='CBAM', order='spatial_first'),
            parallel=dict(type='CBAM', order='parallel'),
            channel=dict(type='CBAM', order='channel'),
            spatial=dict(type='CBAM', order='spatial'),
        ).items()
    },
)
