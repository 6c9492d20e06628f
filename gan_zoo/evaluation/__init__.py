"""What an evaluation leaves behind: evaluation.json, pictures, the blind test, report.html."""

from typing import Literal

FeatureChoice = Literal["auto", "digits", "pixels", "inception", "torchvision"]
SegmentationNetwork = Literal[
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
]  # torchvision's
VGG = "vgg16:classifier.4"  # fc2, which improved precision and recall were published with
