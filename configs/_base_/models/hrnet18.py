# HRNetV2-W18: heads read its four branches, resized to the first and concatenated.
_base_ = './common.py'
branches = [18, 36, 72, 144]
head = dict(
    in_channels=branches,
    in_index=(0, 1, 2, 3),
    input_transform='resize_concat',
    dropout_ratio=0,
)
model = dict(
    pretrained='open-mmlab://msra/hrnetv2_w18',
    backbone=dict(
        type='HRNet',
        norm_cfg=_base_.norm_cfg,
        norm_eval=False,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(4,),
                num_channels=(64,),
            ),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block='BASIC',
                num_blocks=(4, 4),
                num_channels=branches[:2],
            ),
            stage3=dict(
                num_modules=4,
                num_branches=3,
                block='BASIC',
                num_blocks=(4, 4, 4),
                num_channels=branches[:3],
            ),
            stage4=dict(
                num_modules=3,
                num_branches=4,
                block='BASIC',
                num_blocks=(4, 4, 4, 4),
                num_channels=branches,
            ),
        ),
    ),
    decode_head=head,
    auxiliary_head=dict(head, channels=sum(branches), kernel_size=1),
)
# HRNetV2-W48: `model = _base_.hrnet48`.
wide = [48, 96, 192, 384]
hrnet48 = dict(
    pretrained='open-mmlab://msra/hrnetv2_w48',
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=wide[:2]),
            stage3=dict(num_channels=wide[:3]),
            stage4=dict(num_channels=wide),
        )
    ),
    decode_head=dict(in_channels=wide),
    auxiliary_head=dict(in_channels=wide, channels=sum(wide)),
)
