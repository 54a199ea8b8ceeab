"""The reference models; a new one is one file and one line here."""

from __future__ import annotations

from edgekit.core.system.registry import Registry

MODELS = Registry(
    "model",
    {
        "digits": ("edgekit.train.models.images.digits:MODEL", "small CNN for 8x8 handwritten digits"),
        "mnist": ("edgekit.train.models.images.mnist:MODEL", "three-layer CNN for 28x28 handwritten digits"),
        "fashion": ("edgekit.train.models.images.fashion:MODEL", "three-layer CNN for 28x28 images of clothing"),
        "cifar-resnet8": (
            "edgekit.train.models.images.cifar_resnet8:MODEL",
            "MLPerf Tiny's ResNet-8 for 32x32 colour images",
        ),
        "detect-digits": (
            "edgekit.train.models.objects.detect_digits:MODEL",
            "anchor-free detector of handwritten digits on photographs",
        ),
        "segment-digits": (
            "edgekit.train.models.objects.segment_digits:MODEL",
            "U-Net for handwritten digits on photographs",
        ),
        "kws-dscnn": ("edgekit.train.models.audio.kws_dscnn:MODEL", "DS-CNN for keyword spotting in raw audio"),
        "kws-crnn": ("edgekit.train.models.audio.kws_crnn:MODEL", "CRNN for keyword spotting in raw audio"),
        "kws-stream": (
            "edgekit.train.models.audio.kws_stream:MODEL",
            "DS-CNN for keyword spotting in a stream of audio",
        ),
        "sentiment-lstm": (
            "edgekit.train.models.sequences.sentiment_lstm:MODEL",
            "LSTM for the sentiment of a sentence",
        ),
        "forecast-lstm": (
            "edgekit.train.models.sequences.forecast_lstm:MODEL",
            "LSTM that forecasts 24 hours from the last 96",
        ),
        "anomaly-ae": ("edgekit.train.models.sequences.anomaly_ae:MODEL", "autoencoder for anomalies in sensor data"),
        "xor": ("edgekit.train.models.tables.xor:MODEL", "2-2-1 perceptron for exclusive or"),
        "regression": (
            "edgekit.train.models.tables.regression:MODEL",
            "a line and a small perceptron fitted to y = x²",
        ),
        "dcgan": ("edgekit.train.models.images.dcgan:MODEL", "generator of handwritten digits from noise"),
        "mobilenetv2": ("edgekit.train.models.images.mobilenetv2:MODEL", "MobileNetV2, untrained, for latency tests"),
        "mobilenetv3-small": (
            "edgekit.train.models.images.mobilenetv3:MODEL",
            "MobileNetV3-Small, untrained, for latency tests",
        ),
        "caption-gpt": (
            "edgekit.train.models.sequences.caption_gpt:MODEL",
            "small GPT that continues a sentence, with a cache",
        ),
        "translate-transformer": (
            "edgekit.train.models.sequences.translate_transformer:MODEL",
            "encoder-decoder Transformer, English to German",
        ),
    },
    group="edgekit.models",
)
