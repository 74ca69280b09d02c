"""config.json of OpenAI's and LAION's CLIP ViT-B/32, byte for byte as published (the tests compare with their sha256).

Both were written by transformers of 2022, which saved every default of every feature.
"""

from __future__ import annotations

import json
from typing import Any

_DEFAULTS: dict[str, Any] = {
    "_name_or_path": "", "add_cross_attention": False, "architectures": None, "attention_dropout": 0.0,
    "bad_words_ids": None, "chunk_size_feed_forward": 0, "cross_attention_hidden_size": None,
    "decoder_start_token_id": None, "diversity_penalty": 0.0, "do_sample": False, "dropout": 0.0,
    "early_stopping": False, "encoder_no_repeat_ngram_size": 0, "finetuning_task": None, "forced_bos_token_id": None,
    "forced_eos_token_id": None, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "initializer_factor": 1.0,
    "initializer_range": 0.02, "is_decoder": False, "is_encoder_decoder": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "layer_norm_eps": 1e-05, "length_penalty": 1.0, "max_length": 20,
    "min_length": 0, "no_repeat_ngram_size": 0, "num_beam_groups": 1, "num_beams": 1, "num_return_sequences": 1,
    "output_attentions": False, "output_hidden_states": False, "output_scores": False, "prefix": None,
    "problem_type": None, "pruned_heads": {}, "remove_invalid_values": False, "repetition_penalty": 1.0,
    "return_dict": True, "return_dict_in_generate": False, "sep_token_id": None, "task_specific_params": None,
    "temperature": 1.0, "tie_encoder_decoder": False, "tie_word_embeddings": True, "tokenizer_class": None,
    "top_k": 50, "top_p": 1.0, "torch_dtype": None, "torchscript": False, "use_bfloat16": False,
}  # fmt: skip
_TEXT: dict[str, Any] = {
    "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "hidden_size": 512, "intermediate_size": 2048,
    "max_position_embeddings": 77, "model_type": "clip_text_model", "num_attention_heads": 8,
    "num_hidden_layers": 12, "vocab_size": 49408,
}  # fmt: skip
_VISION: dict[str, Any] = {
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "hidden_size": 768, "image_size": 224,
    "intermediate_size": 3072, "model_type": "clip_vision_model", "num_attention_heads": 12,
    "num_hidden_layers": 12, "patch_size": 32,
}  # fmt: skip
_MODEL = {
    "architectures": ["CLIPModel"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "clip",
    "projection_dim": 512, "transformers_version": None,
}  # fmt: skip


def openai_config() -> str:
    """Of openai/clip-vit-base-patch32. Somebody wrote projection_dim into it by hand."""
    tower = _DEFAULTS | {"hidden_act": "quick_gelu", "transformers_version": "4.16.0.dev0"}
    document = _MODEL | {
        "_name_or_path": "openai/clip-vit-base-patch32",
        "text_config": tower | _TEXT,
        "text_config_dict": None,
        "vision_config": tower | _VISION,
        "vision_config_dict": None,
    }
    text, vision = json.dumps(document, indent=2, sort_keys=True).split('"vision_config": {')
    by_hand = '    "projection_dim"{}: 512,\n    "problem_type"'
    text = text.replace('    "problem_type"', by_hand.format(""))
    return text + '"vision_config": {' + vision.replace('    "problem_type"', by_hand.format(" ")) + "\n"


def laion_config() -> str:
    """Of laion/CLIP-ViT-B-32-laion2B-s34B-b79K."""
    later = {"exponential_decay_length_penalty": None, "tf_legacy_loss": False, "typical_p": 1.0}
    tower = _DEFAULTS | later | {"hidden_act": "gelu", "transformers_version": "4.21.3"}
    document = _MODEL | {
        "text_config": tower | _TEXT,
        "text_config_dict": {"hidden_act": "gelu"},
        "torch_dtype": "float32",
        "vision_config": tower | _VISION | {"num_channels": 3},
        "vision_config_dict": {"hidden_act": "gelu"},
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
