# A third of the CPU benchmark. The control is all mmseg's: head, auxiliary head, float32.
question = 'Does DANet with --amp reach what MMSegmentation reaches in float32?'
base = '../camvid_cpu/danet_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'mmseg-float32'
options = {
    'param_scheduler.0.end': 400,
    'train_cfg.max_iters': 400,
    'train_cfg.val_interval': 400,
    'default_hooks.checkpoint.interval': 400,
}
variants = {
    'mmseg-float32': {
        'model.decode_head.type': 'DAHead',
        'model.auxiliary_head.type': 'FCNHead',
    },
    'amp': {'optim_wrapper.type': 'AutocastOptimWrapper'},
}
class_groups = dict(thin=['pole', 'sign', 'pedestrian', 'bicyclist'])
