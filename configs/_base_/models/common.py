# What all segmentors share; a backbone adds itself and what it decides of the heads, a recipe adds
# the data set's classes, and a method what is its own: `decode_head=dict(type='CCNetHead')`.
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
    ),
    decode_head=dict(
        channels=512,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='BandedFCNHead',
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
# For OCRNet, whose decode head refines what the auxiliary head predicts:
# `model = dict(_base_.cascade, decode_head=[_base_.model.auxiliary_head, ocr_head])`.
cascade = dict(type='CascadeEncoderDecoder', num_stages=2, auxiliary_head=None)
