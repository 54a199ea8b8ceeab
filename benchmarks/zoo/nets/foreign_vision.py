"""Networks of torchvision and timm, built from their configs, with weights at random."""

from __future__ import annotations

from typing import Any

from benchmarks.zoo.feeds import pictures
from benchmarks.zoo.net import Net, foreign


def torchvision(module: str, name: str, **options: Any) -> Any:
    """A network of torchvision."""
    return getattr(foreign(f"torchvision.models{module}"), name)(weights=None, **options)


def timm(name: str, **options: Any) -> Any:
    """A network of timm, ten classes."""
    return foreign("timm").create_model(name, pretrained=False, num_classes=10, **options)


def _densenet() -> Any:
    return foreign("torchvision.models.densenet").DenseNet(12, (2, 4, 4), 16, num_classes=10)


def _convnext() -> Any:
    package = foreign("torchvision.models.convnext")
    sizes = ((24, 48, 1), (48, 96, 2), (96, None, 1))
    return package.ConvNeXt([package.CNBlockConfig(*size) for size in sizes], num_classes=10)


def _mixer() -> Any:
    package = foreign("timm.models.mlp_mixer")
    return package.MlpMixer(num_classes=10, img_size=64, patch_size=16, num_blocks=2, embed_dim=64)


def _poolformer() -> Any:
    package = foreign("timm.models.metaformer")
    return package.MetaFormer(num_classes=10, depths=(1, 1, 1, 1), dims=(16, 24, 32, 48))


# Name, size of pictures, factory, how a script would quantize it.
TORCHVISION = (
    ("resnet18", 64, lambda: torchvision("", "resnet18", num_classes=10)),
    ("mobilenet-v2", 64, lambda: torchvision("", "mobilenet_v2", num_classes=10)),
    ("mobilenet-v3", 64, lambda: torchvision("", "mobilenet_v3_small", num_classes=10)),
    ("efficientnet-b0", 64, lambda: torchvision("", "efficientnet_b0", num_classes=10)),
    ("shufflenet-v2", 64, lambda: torchvision("", "shufflenet_v2_x0_5", num_classes=10)),
    ("squeezenet", 64, lambda: torchvision("", "squeezenet1_1", num_classes=10)),
    ("mnasnet", 64, lambda: torchvision("", "mnasnet0_5", num_classes=10)),
    ("regnet", 64, lambda: torchvision("", "regnet_y_400mf", num_classes=10)),
    ("densenet", 64, _densenet),
    ("convnext", 64, _convnext),
    ("googlenet", 64, lambda: torchvision("", "googlenet", num_classes=10, aux_logits=False, init_weights=False)),
    (
        "lraspp",
        64,
        lambda: torchvision(".segmentation", "lraspp_mobilenet_v3_large", weights_backbone=None, num_classes=6),
    ),
)
TIMM = (
    ("timm-mobilenetv4", 64, lambda: timm("mobilenetv4_conv_small")),
    ("timm-ghostnet", 64, lambda: timm("ghostnet_100")),
    ("timm-repvgg", 64, lambda: timm("repvgg_a0")),
    ("timm-mixer", 64, _mixer),
    ("timm-vit", 64, lambda: timm("vit_tiny_patch16_224", img_size=64, embed_dim=64, depth=2, num_heads=4)),
    ("timm-poolformer", 64, _poolformer),
    ("timm-edgenext", 64, lambda: timm("edgenext_xx_small")),
    ("timm-mobileone", 64, lambda: timm("mobileone_s0")),
    ("timm-efficientformer", 224, lambda: timm("efficientformer_l1", depths=(1, 1, 1, 2), embed_dims=(16, 24, 32, 48))),
)


ATTENTION = {"timm-mixer", "timm-vit", "timm-edgenext", "timm-efficientformer"}
NETS = tuple(
    Net(
        name,
        "segmenter" if name == "lraspp" else "vision",
        build,
        lambda r, size=size, name=name: {"input" if name == "lraspp" else "x": pictures(r, size)},
        source=source,
        int8="dynamic" if name in ATTENTION else "static",
    )
    for source, table in (("torchvision", TORCHVISION), ("timm", TIMM))
    for name, size, build in table
)
