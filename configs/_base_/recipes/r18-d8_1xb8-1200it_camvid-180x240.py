# The CPU benchmark: from scratch on two cores in about a quarter of an hour with `train.py --amp`.
_base_ = [
    '../models/resnet18_d8_scratch.py',
    '../datasets/camvid_180x240.py',
    '../schedules/schedule_adamw_1200it.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]
