_base_ = [
    '../models/resnet50_d8.py',
    '../datasets/cityscapes_769x769.py',
    '../schedules/schedule_80k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(align_corners=True),
    auxiliary_head=dict(align_corners=True),
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=(513, 513)),
)
