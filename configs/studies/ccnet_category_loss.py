# CCNet's journal version (https://arxiv.org/abs/1811.11721v2): its ablation of the category
# consistent loss, and of its terms.
question = 'What does the category consistent loss add to criss-cross attention?'
base = '../camvid_cpu/ccnet_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'without'
variants = dict(
    without=dict(),
    whole={'model.decode_head.category_loss': dict(type='CategoryConsistentLoss')},
    variance={
        'model.decode_head.category_loss': dict(
            type='CategoryConsistentLoss', dis_weight=0.0, reg_weight=0.0
        )
    },
    distance={
        'model.decode_head.category_loss': dict(
            type='CategoryConsistentLoss', var_weight=0.0, reg_weight=0.0
        )
    },
)
