"""What mmattn uses of mmengine, mmcv, mmseg and torch beyond their documented interfaces.

A new version of theirs may change these without notice; a test looks at each, so that the change is
met there and not in a run.
"""

# place ('module:attribute'): what mmattn does with it
PRIVATE = {
    'mmengine.runner.checkpoint:load_url': 'replaced by a safe one (engine.checkpoints)',
    'mmengine.runner.checkpoint:torch': 'replaced, so that torch.load there is safe',
    'mmengine.runner.checkpoint:CheckpointLoader.register_scheme': 'local files are read safely',
    'mmengine.fileio.io:backend_instances': 'emptied, so that files are written whole at once',
    'mmengine.hooks:CheckpointHook._save_checkpoint_with_step': 'replaced: outdated ones go last',
    'mmengine.hooks:CheckpointHook._save_best_checkpoint': 'wrapped, the same for the best one',
    'mmengine.runner:IterBasedTrainLoop._decide_current_val_interval': 'is a validation due?',
    'mmengine.runner:IterBasedTrainLoop.run_iter': 'wrapped: each iteration is seeded',
    'mmengine.runner:Runner.resume': 'its refusals are explained',
    'mmengine.utils:ManagerMixin._instance_dict': 'one run does not meet the logger of another',
    'mmengine.runner:Runner.load_checkpoint': 'the config text in a checkpoint is not executed',
    'mmengine.logging.logger:MMFormatter.format': 'the screen has another format',
    'mmengine.runner:Runner.build_train_loop': 'loops are exchanged for resumable ones',
    'mmengine.runner:Runner.set_randomness': 'the seed of a run (_randomness_cfg); paired starts',
    'mmengine.runner:Runner._init_model_weights': 'wrapped: initial weights by name (pairing)',
    'torch.utils._python_dispatch:TorchDispatchMode': 'records what is drawn (pairing)',
    'mmengine.runner.loops:IterBasedTrainLoop.run_iter': 'each iteration is seeded',
    'mmseg.evaluation:IoUMetric.total_area_to_metrics': 'the IoU of each class is kept',
    'torch.utils.flop_counter:sdpa_flop_count': 'attention on CPUs is counted (cost)',
    'torch.multiprocessing.reductions:StorageWeakRef': 'memory is counted once (cost)',
    'mmengine.runner:Runner.build_logger': 'the screen gets less than the log file',
    'mmengine.model:revert_sync_batchnorm': 'processes on CPUs',
    'mmseg.models.backbones.resnet:BasicBlock.norm1': 'blocks of the backbone run in our forward',
    'mmseg.models.backbones.resnet:Bottleneck.norm3': 'the same',
    'mmseg.models.backbones:ResNet.make_stage_plugins': 'plugins of a stage are checked',
    'mmseg.models.backbones:ResNet.make_res_layer': 'stages are built of our blocks',
    'mmseg.models.decode_heads.decode_head:BaseDecodeHead._transform_inputs': 'their inputs',
    'mmseg.models.decode_heads.decode_head:BaseDecodeHead._stack_batch_gt': 'their labels',
    'mmseg.models.decode_heads:FCNHead._forward_feature': 'overridden: context blocks',
    'torch:_C._current_graph_task_id': 'tells a recomputation (attention.norms)',
    'torch:_softmax_backward_data': 'the gradient of a softmax (attention.chunks)',
    'torch.nn.modules.batchnorm:_BatchNorm': 'the base of all batch norms (attention.norms)',
    'torch._subclasses.fake_tensor:FakeTensorMode': 'models without values',
}

# The same for only one of the two distributions.
PRIVATE_ONEDL = {
    'mmengine.runner.checkpoint:_safe_torch_load': 'replaced, since it may load unsafely',
}
