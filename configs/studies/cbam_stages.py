# CBAM (https://arxiv.org/abs/1807.06521), in one stage at a time and in all.
_base_ = './se_stages.py'
question = 'In which stages does CBAM help?'
options = {
    'model.backbone.plugins': [
        dict(cfg=dict(type='CBAM'), position='after_conv2', stages=(False, True, True, True))
    ]
}
