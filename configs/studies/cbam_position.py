# CBAM (https://arxiv.org/abs/1807.06521): the residual branch (after_conv2, as in its figure 3),
# inside the branch (after_conv1) and the sum (after_add).
question = 'Where in the residual block should CBAM stand?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        position: {
            'model.backbone.plugins': [
                dict(cfg=dict(type='CBAM'), position=position, stages=(False, True, True, True))
            ]
        }
        for position in ('after_conv1', 'after_conv2', 'after_add')
    },
)
