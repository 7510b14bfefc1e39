# What the data sets share: loaders, metric, and the steps of the zoo's pipelines. A data set adds
# its type, folders and sizes: `dict(_base_.random_crop, crop_size=(512, 1024))`.
load_image = dict(type='LoadImageFromFile')
load_labels = dict(type='LoadAnnotations')
random_resize = dict(type='RandomResize', ratio_range=(0.5, 2.0), keep_ratio=True)
random_crop = dict(type='RandomCrop', cat_max_ratio=0.75)
flip = dict(type='RandomFlip', prob=0.5)
distort = dict(type='PhotoMetricDistortion')
resize = dict(type='Resize', keep_ratio=True)
pack = dict(type='PackSegInputs')
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='SegmentationMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
