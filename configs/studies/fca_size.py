# FcaNet (https://arxiv.org/abs/2012.11879). The authors' transform has 56, 28, 14 and 7 points a
# side in the four stages, the size of ImageNet's maps there; the default here is 7 everywhere.
question = 'Does the size of the cosine transform by stage matter?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'size7'
variants = dict(
    **{
        f'size{size}': {
            'model.backbone.plugins': [
                dict(cfg=dict(type='FCA', size=size), position='after_conv2')
            ]
        }
        for size in (7, 14, 28)
    },
    by_stage={
        'model.backbone.plugins': [
            dict(
                cfg=dict(type='FCA', size=size),
                position='after_conv2',
                stages=[stage == other for other in range(4)],
            )
            for stage, size in enumerate((56, 28, 14, 7))
        ]
    },
)
