"""Networks of the package transformers, built small from their configs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.zoo.feeds import Random, pictures, sounds, spectra, text, words
from benchmarks.zoo.net import COUNT, Feeds, Net, foreign

WORDS, LENGTH = 200, 16
Build = Callable[[], Any]
Samples = Callable[[Random], Feeds]


def made(model: str, config: str, **options: Any) -> Build:
    """A factory of a model from a config; `initializer_range` fits a width of about 64."""

    def build() -> Any:
        package = foreign("transformers")
        chosen = getattr(package, config)(**{"initializer_range": 0.1, **options})
        return getattr(package, model)(chosen)

    return build


def sentences(r: Random) -> Feeds:
    """Padded tokens with their mask."""
    return text(r, WORDS, LENGTH)


def pairs(r: Random) -> Feeds:
    """The same with the part of each token."""
    found = text(r, WORDS, LENGTH)
    return {**found, "token_type_ids": (found["attention_mask"] * (np.arange(LENGTH) > 6)).astype(np.int64)}


def captions(r: Random) -> Feeds:
    """Padded tokens that end with the last word of the vocabulary, as CLIP's do."""
    found = text(r, WORDS, LENGTH)
    found["input_ids"][np.arange(COUNT), found["attention_mask"].sum(1) - 1] = WORDS - 1
    return found


def pages(r: Random) -> Feeds:
    """Words with their boxes on a page, 0 to 1000."""
    found = text(r, WORDS, LENGTH)
    corner = r.integers(0, 900, (COUNT, LENGTH, 2))
    box = np.concatenate([corner, corner + r.integers(10, 100, (COUNT, LENGTH, 2))], 2)
    return {"input_ids": found["input_ids"], "bbox": box.astype(np.int64), "attention_mask": found["attention_mask"]}


def history(r: Random) -> Feeds:
    """A source with its mask, and what was written so far."""
    return {**text(r, WORDS, LENGTH), "decoder_input_ids": words(r, WORDS, 6)}


def bands(r: Random) -> Feeds:
    """Spectra as whisper takes them."""
    return {"input_features": spectra(r, 100, 16).transpose(0, 2, 1).copy()}


SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
TEXT = {"vocab_size": WORDS, **SMALL, "max_position_embeddings": 64}
GPT = {
    "vocab_size": WORDS,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5 = {"vocab_size": WORDS, "d_model": 48, "d_kv": 12, "d_ff": 96, "num_layers": 2, "num_heads": 4}
BART = {
    "vocab_size": WORDS,
    "d_model": 48,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 64,
    "init_std": 0.1,
    "use_cache": False,
}
WAVE = {
    **SMALL,
    "conv_dim": (32, 32, 32),
    "conv_kernel": (10, 3, 3),
    "conv_stride": (5, 4, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 32,
}
SIGHT = {**SMALL, "image_size": 64, "patch_size": 16}
WHISPER = {
    "d_model": 48,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_layers": 1,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 96,
    "num_mel_bins": 16,
    "max_source_positions": 50,
    "init_std": 0.1,
}


def encoder(build: Build) -> Build:
    """The encoder of a model that has one."""
    return lambda: build().get_encoder()


# Name, kind, factory, samples. Transformers are quantized dynamically, networks of convolutions statically.
ROWS: tuple[tuple[str, str, Build, Samples], ...] = (
    ("bert", "text", made("BertForSequenceClassification", "BertConfig", **TEXT), pairs),
    ("bert-tokens", "text", made("BertForTokenClassification", "BertConfig", **TEXT, num_labels=7), sentences),
    (
        "distilbert",
        "text",
        made(
            "DistilBertForSequenceClassification",
            "DistilBertConfig",
            vocab_size=WORDS,
            dim=64,
            n_layers=2,
            n_heads=4,
            hidden_dim=128,
            max_position_embeddings=64,
        ),
        sentences,
    ),
    ("roberta", "text", made("RobertaModel", "RobertaConfig", **TEXT, pad_token_id=0), sentences),
    ("albert", "text", made("AlbertModel", "AlbertConfig", **TEXT, embedding_size=32), sentences),
    (
        "electra",
        "text",
        made("ElectraForSequenceClassification", "ElectraConfig", **TEXT, embedding_size=32),
        sentences,
    ),
    ("mpnet", "text", made("MPNetModel", "MPNetConfig", **TEXT), sentences),
    (
        "deberta",
        "text",
        made(
            "DebertaV2Model",
            "DebertaV2Config",
            **TEXT,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            position_buckets=16,
        ),
        sentences,
    ),
    (
        "mobilebert",
        "text",
        made(
            "MobileBertModel",
            "MobileBertConfig",
            vocab_size=WORDS,
            hidden_size=64,
            num_hidden_layers=2,
            intra_bottleneck_size=32,
            embedding_size=32,
            intermediate_size=64,
            num_attention_heads=4,
            max_position_embeddings=64,
        ),
        sentences,
    ),
    ("squeezebert", "text", made("SqueezeBertModel", "SqueezeBertConfig", **TEXT, embedding_size=64), sentences),
    (
        "modernbert",
        "text",
        made(
            "ModernBertModel",
            "ModernBertConfig",
            **TEXT,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            cls_token_id=1,
            sep_token_id=2,
            reference_compile=False,
        ),
        sentences,
    ),
    ("bert-spans", "text", made("BertForQuestionAnswering", "BertConfig", **TEXT), pairs),
    ("gpt2", "text", made("GPT2LMHeadModel", "GPT2Config", **GPT, use_cache=False), sentences),
    ("gpt2-with-cache", "text", made("GPT2LMHeadModel", "GPT2Config", **GPT), sentences),
    (
        "llama",
        "text",
        made("LlamaForCausalLM", "LlamaConfig", **TEXT, num_key_value_heads=2, use_cache=False),
        sentences,
    ),
    (
        "qwen2",
        "text",
        made("Qwen2ForCausalLM", "Qwen2Config", **TEXT, num_key_value_heads=2, use_cache=False),
        sentences,
    ),
    ("gpt-neox", "text", made("GPTNeoXForCausalLM", "GPTNeoXConfig", **TEXT, use_cache=False), sentences),
    (
        "opt",
        "text",
        made(
            "OPTForCausalLM",
            "OPTConfig",
            vocab_size=WORDS,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=128,
            max_position_embeddings=64,
            word_embed_proj_dim=64,
            init_std=0.1,
            use_cache=False,
        ),
        sentences,
    ),
    ("t5-encoder", "text", made("T5EncoderModel", "T5Config", **T5), sentences),
    ("t5", "text", made("T5ForConditionalGeneration", "T5Config", **T5, use_cache=False), history),
    ("bart", "text", made("BartForConditionalGeneration", "BartConfig", **BART), history),
    (
        "marian",
        "text",
        made("MarianMTModel", "MarianConfig", **BART, pad_token_id=0, eos_token_id=2, decoder_start_token_id=0),
        history,
    ),
    ("layoutlm", "text", made("LayoutLMForTokenClassification", "LayoutLMConfig", **TEXT), pages),
    (
        "wav2vec2",
        "speech",
        made("Wav2Vec2ForCTC", "Wav2Vec2Config", **WAVE),
        lambda r: {"input_values": sounds(r, 4000)},
    ),
    ("hubert", "speech", made("HubertModel", "HubertConfig", **WAVE), lambda r: {"input_values": sounds(r, 4000)}),
    (
        "whisper-encoder",
        "speech",
        encoder(
            made(
                "WhisperModel",
                "WhisperConfig",
                **WHISPER,
                vocab_size=WORDS,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                decoder_start_token_id=1,
            )
        ),
        bands,
    ),
    (
        "audio-spectrogram",
        "speech",
        made(
            "ASTForAudioClassification",
            "ASTConfig",
            **SMALL,
            num_mel_bins=32,
            max_length=64,
            patch_size=8,
            frequency_stride=8,
            time_stride=8,
        ),
        lambda r: {"input_values": spectra(r, 64, 32)},
    ),
    (
        "clip-text",
        "text",
        made(
            "CLIPTextModelWithProjection",
            "CLIPTextConfig",
            **TEXT,
            projection_dim=32,
            bos_token_id=1,
            pad_token_id=0,
            eos_token_id=WORDS - 1,
        ),
        captions,
    ),
    (
        "clip-picture",
        "vision",
        made(
            "CLIPVisionModelWithProjection", "CLIPVisionConfig", **SMALL, image_size=32, patch_size=8, projection_dim=32
        ),
        lambda r: {"pixel_values": pictures(r, 32)},
    ),
    (
        "vit",
        "vision",
        made("ViTForImageClassification", "ViTConfig", **SIGHT, num_labels=10),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "deit",
        "vision",
        made("DeiTForImageClassification", "DeiTConfig", **SIGHT, num_labels=10),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "swin",
        "vision",
        made(
            "SwinForImageClassification",
            "SwinConfig",
            image_size=64,
            patch_size=4,
            embed_dim=24,
            depths=[1, 2],
            num_heads=[2, 4],
            window_size=4,
            num_labels=10,
        ),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "mobilevit",
        "vision",
        made(
            "MobileViTForImageClassification",
            "MobileViTConfig",
            image_size=64,
            hidden_sizes=[32, 40, 48],
            neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 64],
            num_labels=10,
        ),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "segformer",
        "segmenter",
        made(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            depths=[1, 1, 1, 1],
            hidden_sizes=[16, 24, 32, 48],
            num_attention_heads=[1, 2, 2, 4],
            decoder_hidden_size=32,
            num_labels=6,
        ),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "dpt",
        "segmenter",
        made(
            "DPTForDepthEstimation",
            "DPTConfig",
            **{**SIGHT, "num_hidden_layers": 4},
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[16, 24, 32, 32],
            fusion_hidden_size=24,
            reassemble_factors=[4, 2, 1, 0.5],
        ),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "yolos",
        "detector",
        made(
            "YolosForObjectDetection",
            "YolosConfig",
            **{**SIGHT, "image_size": [64, 64]},
            num_detection_tokens=10,
            num_labels=5,
        ),
        lambda r: {"pixel_values": pictures(r, 64)},
    ),
    (
        "super-resolution-swin",
        "super-resolution",
        made(
            "Swin2SRForImageSuperResolution",
            "Swin2SRConfig",
            image_size=32,
            embed_dim=24,
            depths=[2],
            num_heads=[2],
            window_size=8,
            upscale=2,
        ),
        lambda r: {"pixel_values": pictures(r, 32)},
    ),
)
CONVOLUTIONS = ("mobilevit",)
NETS = tuple(
    Net(name, kind, build, samples, source="transformers", int8="static" if name in CONVOLUTIONS else "dynamic")
    for name, kind, build, samples in ROWS
)
