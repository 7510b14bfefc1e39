# The zoo's dilated ResNet of output stride 8.
_base_ = './common.py'
model = dict(
    pretrained='open-mmlab://resnet50_v1c',
    backbone=dict(
        type='ResNetV1c',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        contract_dilation=True,
        norm_cfg=_base_.norm_cfg,
        norm_eval=False,
        style='pytorch',
    ),
    decode_head=dict(in_channels=2048, in_index=3),
    auxiliary_head=dict(in_channels=1024, in_index=2, channels=256),
)
# Other depths: `model = _base_.resnet101`.
resnet101 = dict(pretrained='open-mmlab://resnet101_v1c', backbone=dict(depth=101))
resnet18 = dict(
    pretrained='open-mmlab://resnet18_v1c',
    backbone=dict(depth=18),
    decode_head=dict(in_channels=512, channels=128),
    auxiliary_head=dict(in_channels=256, channels=64),
)
# A feature pyramid on the undilated network: `model = _base_.fpn`.
fpn = dict(
    backbone=dict(dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2)),
    neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=4),
    decode_head=dict(
        type='FPNHead',
        in_channels=(256, 256, 256, 256),
        in_index=(0, 1, 2, 3),
        feature_strides=(4, 8, 16, 32),
        channels=128,
    ),
    auxiliary_head=None,
)
# Places of plugins: `plugins=[dict(_base_.in_blocks, cfg=dict(type='SE'))]` of an AttnResNetV1c.
# In blocks they stand after the last convolution, which in ResNet-18 is the second.
in_blocks = dict(position='after_conv3', stages=(False, True, True, True))
between_stages = dict(position='after_stage', stages=(True, True, True, False))
at_the_end = dict(position='after_stage', stages=(False, False, False, True))
