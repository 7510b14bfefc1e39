# The CPU benchmark, with heads of mmseg as controls: its DAHead computes what our DANetHead does.
_base_ = '../_base_/studies/heads_camvid.py'
question = 'Which of the six heads does better than an FCN, and how do heads of mmseg do?'
baseline = 'fcn'
variants = dict(
    **_base_.heads,
    **{
        'mmseg-danet': '../camvid_cpu/mmseg-danet_r18-d8_1xb8-1200it_camvid-180x240.py',
        'mmseg-pspnet': {'model.decode_head.type': 'PSPHead'},
    },
)
class_groups = dict(thin=['pole', 'sign', 'pedestrian', 'bicyclist'])
