# FCN-R18 on CamVid without a plugin, and with one that a study varies.
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
options = {
    'model.backbone.plugins': [
        dict(cfg=dict(type='SE'), position='after_conv2', stages=(False, True, True, True))
    ]
}
baseline = 'none'
variants = dict(none={'model.backbone.plugins': None})
