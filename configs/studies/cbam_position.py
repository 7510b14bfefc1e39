# CBAM (https://arxiv.org/abs/1807.06521): the end of the residual branch (after_conv2, as in its
# figure 3), and the other places that the authors of SE compared.
_base_ = './se_position.py'
question = 'Where in the residual block should CBAM stand?'
options = {
    'model.backbone.plugins': [
        dict(cfg=dict(type='CBAM'), position='after_conv2', stages=(False, True, True, True))
    ]
}
