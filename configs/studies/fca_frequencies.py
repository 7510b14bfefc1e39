# FcaNet (https://arxiv.org/abs/2012.11879), its ablation of the number of frequencies and of their
# choice: 'top' by the accuracy of each alone on ImageNet, 'low' the lowest ones, 'bot' the worst.
# The one lowest frequency is the mean, so that 'low1' is SE.
question = 'How many frequencies does channel attention need, and which ones?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'low1'
variants = dict(
    none=dict(),
    **{
        frequencies: {
            'model.backbone.plugins': [
                dict(
                    cfg=dict(type='FCA', frequencies=frequencies),
                    position='after_conv2',
                    stages=(False, True, True, True),
                )
            ]
        }
        for frequencies in (
            *('low1', 'low2', 'low4', 'low8', 'low16', 'low32'),
            *('top2', 'top4', 'top8', 'top16', 'top32'),
            *('bot1', 'bot2', 'bot4', 'bot8', 'bot16', 'bot32'),
        )
    },
)
