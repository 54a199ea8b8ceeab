"""The reference models: a new one is one file and one line here."""

from __future__ import annotations

from edgekit.core.system.registry import Registry

MODELS = Registry(
    "model",
    {
        "digits": ("edgekit.train.models.digits:MODEL", "small CNN, 8x8 handwritten digits of scikit-learn"),
        "mnist": ("edgekit.train.models.mnist:MODEL", "three-layer CNN, 28x28 handwritten digits"),
        "fashion": ("edgekit.train.models.fashion:MODEL", "three-layer CNN, 28x28 articles of clothing"),
        "cifar-resnet8": ("edgekit.train.models.cifar_resnet8:MODEL", "ResNet-8 of MLPerf Tiny, 32x32 colour images"),
        "kws-dscnn": ("edgekit.train.models.kws_dscnn:MODEL", "DS-CNN keyword spotting, raw audio in"),
        "kws-crnn": ("edgekit.train.models.kws_crnn:MODEL", "convolution and GRU keyword spotting, raw audio in"),
        "sentiment-lstm": ("edgekit.train.models.sentiment_lstm:MODEL", "embedding and LSTM, polarity of a sentence"),
        "forecast-lstm": ("edgekit.train.models.forecast_lstm:MODEL", "LSTM, 96 hours in, 24 hours out"),
        "anomaly-ae": ("edgekit.train.models.anomaly_ae:MODEL", "autoencoder, unusual windows of a sensor"),
        "xor": ("edgekit.train.models.xor:MODEL", "perceptron 2-2-1 with sigmoid, the truth table"),
        "regression": ("edgekit.train.models.regression:MODEL", "a line and a small perceptron on y = x²"),
        "dcgan": ("edgekit.train.models.dcgan:MODEL", "generator of handwritten digits from noise"),
        "mobilenetv2": ("edgekit.train.models.mobilenetv2:MODEL", "MobileNetV2, untrained; a latency fixture"),
        "mobilenetv3-small": (
            "edgekit.train.models.mobilenetv3:MODEL",
            "MobileNetV3-Small, untrained; a latency fixture",
        ),
        "translate-transformer": (
            "edgekit.train.models.translate_transformer:MODEL",
            "encoder-decoder Transformer, English to German",
        ),
    },
    group="edgekit.models",
)
