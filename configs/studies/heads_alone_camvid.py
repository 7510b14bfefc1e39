# The CPU benchmark, with heads of mmseg as controls: its DAHead computes what our DANetHead does.
question = 'Which of the six heads does better than an FCN, and how do heads of mmseg do?'
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
baseline = 'fcn'
variants = dict(
    fcn=dict(),
    danet='../camvid_cpu/danet_r18-d8_1xb8-1200it_camvid-180x240.py',
    ccnet='../camvid_cpu/ccnet_r18-d8_1xb8-1200it_camvid-180x240.py',
    anl='../camvid_cpu/anl_r18-d8_1xb8-1200it_camvid-180x240.py',
    gcnet='../camvid_cpu/gcnet_r18-d8_1xb8-1200it_camvid-180x240.py',
    ocrnet='../camvid_cpu/ocrnet_r18-d8_1xb8-1200it_camvid-180x240.py',
    fla='../camvid_cpu/fla_r18-d8_1xb8-1200it_camvid-180x240.py',
    **{
        'mmseg-danet': '../camvid_cpu/mmseg-danet_r18-d8_1xb8-1200it_camvid-180x240.py',
        'mmseg-pspnet': {'model.decode_head.type': 'PSPHead'},
    },
)
class_groups = dict(thin=['pole', 'sign', 'pedestrian', 'bicyclist'])
