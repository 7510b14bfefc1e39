# RGA (https://arxiv.org/abs/1904.02998), its ablation of RGA-S, RGA-C and RGA-SC.
question = 'Do relations between positions and relations between channels add to each other?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'none'
variants = dict(
    none=dict(),
    **{
        name: {
            'model.backbone.plugins': [
                dict(cfg=cfg, position='after_conv2', stages=(False, True, True, True))
            ]
        }
        for name, cfg in dict(
            spatial=dict(type='RGA', mode='spatial'),
            channel=dict(type='RGA', mode='channel'),
            both=dict(type='RGA'),
        ).items()
    },
)
