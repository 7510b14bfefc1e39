# SE-Net (https://arxiv.org/abs/1709.01507): the standard place (the residual branch, here
# after_conv2), SE-POST (after_add), and inside the branch (after_conv1).
question = 'Where in the residual block should SE stand?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        position: {
            'model.backbone.plugins': [
                dict(cfg=dict(type='SE'), position=position, stages=(False, True, True, True))
            ]
        }
        for position in ('after_conv1', 'after_conv2', 'after_add')
    },
)
