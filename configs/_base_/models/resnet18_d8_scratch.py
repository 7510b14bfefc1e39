# Without pretrained weights and without distributed statistics: for small runs, also on a CPU.
_base_ = './resnet50_d8.py'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    backbone=dict(_base_.resnet18.backbone, norm_cfg=norm_cfg),
    decode_head=dict(_base_.resnet18.decode_head, norm_cfg=norm_cfg),
    auxiliary_head=dict(_base_.resnet18.auxiliary_head, norm_cfg=norm_cfg),
)
in_blocks = dict(_base_.in_blocks, position='after_conv2')
fpn = dict(_base_.fpn, neck=dict(_base_.fpn.neck, in_channels=[64, 128, 256, 512]))
