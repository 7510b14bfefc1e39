_base_ = './hrnet18.py'
branches = [48, 96, 192, 384]
model = dict(
    pretrained='open-mmlab://msra/hrnetv2_w48',
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=branches[:2]),
            stage3=dict(num_channels=branches[:3]),
            stage4=dict(num_channels=branches),
        )
    ),
    decode_head=dict(in_channels=branches),
    auxiliary_head=dict(in_channels=branches, channels=sum(branches)),
)
