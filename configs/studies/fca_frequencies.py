# FcaNet (https://arxiv.org/abs/2012.11879), its ablation of the number of frequencies and of their
# choice: 'top' by the accuracy of each alone on ImageNet, 'low' the lowest ones, 'bot' the worst.
# The one lowest frequency is the mean, so that 'low1' is SE.
_base_ = '../_base_/studies/plugin_camvid.py'
question = 'How many frequencies does channel attention need, and which ones?'
baseline = 'low1'
variants = {
    frequencies: {'model.backbone.plugins.0.cfg': dict(type='FCA', frequencies=frequencies)}
    for frequencies in (
        *('low1', 'low2', 'low4', 'low8', 'low16', 'low32'),
        *('top2', 'top4', 'top8', 'top16', 'top32'),
        *('bot1', 'bot2', 'bot4', 'bot8', 'bot16', 'bot32'),
    )
}
