"""The model and the learning rate that a prompt names are extracted."""

import pytest

import lrgen
from lrgen.config import Settings
from lrgen.extraction import detect_model, extract_lr

MODELS = {
    "model_ResNet18 <<<ACTIVE>>>": "ResNet18",
    "model_ResNet <<<ACTIVE>>>": "ResNet",
    "model_VGG\nmodel_ResNet18 <<<ACTIVE>>>\nmodel_DenseNet": "ResNet18",
    "Models: model_VGG, model_DenseNet <<<ACTIVE>>>, model_ResNet": "DenseNet",
    "- ResNet50\n- MobileNetV2 <<<ACTIVE>>>\n": "MobileNetV2",
    "model_VGG <<<ACTIVE>>>\nmodel_ResNet <<<ACTIVE>>>": None,
    "Fine-tune model_MobileNetV3 on CIFAR-10": "MobileNetV3",
    "Load model_vgg and train": "VGG",
    "model_ResNet34 against a ResNet50 baseline": "ResNet34",
    "model_VGG or model_AlexNet?": None,
    "Fine-tune the checkpoint of ResNet101 with cosine annealing": "ResNet101",
    "Compare with VGG.\nThe checkpoint is DenseNet's.": "DenseNet",
    "We fine-tune SwinTransformer. AlexNet is old.": "SwinTransformer",
    "Please write a learning-rate schedule for GoogLeNet.": "GoogLeNet",
    "train resnet-18 for 90 epochs": "ResNet18",
    "train resnet 18 for 90 epochs": "ResNet18",
    "ResNet_50 with warm restarts": "ResNet50",
    "Use a ResNet with warm restarts": "ResNet",
    "mobilenet v2, please": "MobileNetV2",
    "InceptionV3 at 299 pixels": "InceptionV3",
    "inception-v3 at 299 pixels": "InceptionV3",
    "DPN68 or nothing": "DPN68",
    "dpn-68 or nothing": "DPN68",
    "EfficientNet-B0": "EfficientNet",
    "EfficientNetV2 small": "EfficientNetV2",
    "A VisionTransformer of 12 layers": "VisionTransformer",
    "ResNet-152 from torchvision": None,
    "ResNet152 from torchvision": None,
    "PreResNet18": None,
    "VGG19": None,
    "the squeezenets of this world": None,
    "compare ResNet18 and ResNet34": None,
    "ResNet18, and again ResNet18": "ResNet18",
    "Just a network.": None,
    "": None,
    "<<<ACTIVE>>>": None,
}

DEFAULT = lrgen.PROMPT_CONFIG["lr_extraction"]["default_lr"]
RATES = {
    "lr = 1/10": DEFAULT,
    "lr→0.3, please": 0.3,
    "lr=0.01": 0.01,
    "lr = 0.01": 0.01,
    "lr: 0.05": 0.05,
    "lr 0.2": 0.2,
    "LR=0.02": 0.02,
    "--lr 0.03": 0.03,
    "--learning-rate 0.03": 0.03,
    "--learning_rate=0.03": 0.03,
    "learning rate of 1e-3": 1e-3,
    "a learning rate of 1e-3 and momentum 0.9": 1e-3,
    "Learning Rate: 0.5": 0.5,
    "learning_rate=0.01, momentum=0.9": 0.01,
    "'lr': 0.04,": 0.04,
    '{"lr": 0.04, "batch": 128}': 0.04,
    '"learning_rate": 5e-2': 0.05,
    "prm['lr'] = 0.07": 0.07,
    "the learning rate is 0.3": 0.3,
    "the learning rate was set to 0.3": 0.3,
    "set the learning rate to 0.3 please": 0.3,
    "the learning rate is about 0.3": 0.3,
    "optimizer = SGD(params, lr=0.1, momentum=0.9)": 0.1,
    "Adam(lr=1E-3)": 1e-3,
    "lr=.05": 0.05,
    "lr=0,01": 0.01,
    "eine learning rate von, na ja, lr 0,25": 0.25,
    "learning rate of 1%": 0.01,
    "learning rate: 2.5 %": 0.025,
    "lr=1": 1.0,
    "lr = 1.0": 1.0,
    "lr=0.001": 0.001,
    "**learning rate**: 0.06": 0.06,
    "`lr`: 0.06": 0.06,
    "lr0 = 0.06": 0.06,
    "learning rates: 0.06": 0.06,
    "momentum 0.9, then lr=0.01": 0.01,
    "lr=50, no, lr=0.5": 0.5,
    "lr=50": DEFAULT,
    "lr=1e-9": DEFAULT,
    "learning rate of 300%": DEFAULT,
    "train for 90 epochs": DEFAULT,
    "momentum=0.9": DEFAULT,
    "clr=0.5": DEFAULT,
    "lrgen 0.1": DEFAULT,
    "the learning rate schedule has 3 phases": DEFAULT,
    "lr=auto": DEFAULT,
    "lr=": DEFAULT,
    "": DEFAULT,
}


@pytest.mark.parametrize(("text", "model"), MODELS.items())
def test_the_active_model_is_detected(text, model):
    """A model is detected when marked, prefixed, near a keyword or simply named; otherwise the result is None."""
    assert detect_model(text, Settings()) == model


@pytest.mark.parametrize(("text", "rate"), RATES.items())
def test_the_learning_rate_is_extracted(text, rate):
    """The learning rate is the first number after a keyword that lies within the range, else the default."""
    assert extract_lr(text) == pytest.approx(rate, rel=1e-12)


def test_there_are_enough_texts():
    """The two tables have at least 60 texts together."""
    assert len(MODELS) + len(RATES) >= 60
