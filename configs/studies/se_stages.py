# SE-Net (https://arxiv.org/abs/1709.01507), in one stage at a time and in all.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'In which stages does SE help?'
variants = dict(
    all={'model.backbone.plugins.0.stages': [True] * 4},
    **{
        f'stage{stage + 1}': {
            'model.backbone.plugins.0.stages': [stage == other for other in range(4)]
        }
        for stage in range(4)
    },
)
