# The FCN of the CPU benchmark, and the six heads in its place.
base = '../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py'
data = 'CamVid'
heads = dict(
    fcn='../camvid_cpu/fcn_r18-d8_1xb8-1200it_camvid-180x240.py',
    danet='../camvid_cpu/danet_r18-d8_1xb8-1200it_camvid-180x240.py',
    ccnet='../camvid_cpu/ccnet_r18-d8_1xb8-1200it_camvid-180x240.py',
    anl='../camvid_cpu/anl_r18-d8_1xb8-1200it_camvid-180x240.py',
    gcnet='../camvid_cpu/gcnet_r18-d8_1xb8-1200it_camvid-180x240.py',
    ocrnet='../camvid_cpu/ocrnet_r18-d8_1xb8-1200it_camvid-180x240.py',
    fla='../camvid_cpu/fla_r18-d8_1xb8-1200it_camvid-180x240.py',
)
