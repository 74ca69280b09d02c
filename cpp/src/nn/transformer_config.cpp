#include "nn/transformer_config.h"

namespace matinee::nn {
namespace {

using Fields = std::set<std::string, std::less<>>;

// Fields of config.json that do not change what an encoder computes at inference: training, generation and
// book-keeping. Files of older libraries carry all of them, with their defaults.
const Fields kHarmless = {"_attn_implementation_autoset",
                          "_commit_hash",
                          "_name_or_path",
                          "architectures",
                          "attention_dropout",
                          "attention_probs_dropout_prob",
                          "bad_words_ids",
                          "begin_suppress_tokens",
                          "bos_token_id",
                          "chunk_size_feed_forward",
                          "classifier_dropout",
                          "decoder_start_token_id",
                          "diversity_penalty",
                          "do_sample",
                          "dropout",
                          "dtype",
                          "early_stopping",
                          "encoder_no_repeat_ngram_size",
                          "eos_token_id",
                          "exponential_decay_length_penalty",
                          "finetuning_task",
                          "forced_bos_token_id",
                          "forced_eos_token_id",
                          "gradient_checkpointing",
                          "hidden_dropout_prob",
                          "id2label",
                          "initializer_factor",
                          "initializer_range",
                          "label2id",
                          "length_penalty",
                          "logit_scale_init_value",
                          "max_length",
                          "min_length",
                          "no_repeat_ngram_size",
                          "num_beam_groups",
                          "num_beams",
                          "num_return_sequences",
                          "output_attentions",
                          "output_hidden_states",
                          "output_scores",
                          "pad_token_id",
                          "prefix",
                          "problem_type",
                          "remove_invalid_values",
                          "repetition_penalty",
                          "return_dict",
                          "return_dict_in_generate",
                          "sep_token_id",
                          "suppress_tokens",
                          "task_specific_params",
                          "temperature",
                          "tf_legacy_loss",
                          "tie_encoder_decoder",
                          "tie_word_embeddings",
                          "tokenizer_class",
                          "top_k",
                          "top_p",
                          "torch_dtype",
                          "torchscript",
                          "transformers_version",
                          "typical_p",
                          "use_bfloat16",
                          "use_cache"};

void expect_nothing_else(const ModelConfig& config, const Fields& read) {
  Fields known = kHarmless;
  known.insert(read.begin(), read.end());
  config.expect_no_others(known);
}

// What no encoder here computes, wherever it stands.
const Fields kNeverOn = {"add_cross_attention", "cross_attention_hidden_size", "is_decoder", "is_encoder_decoder",
                         "pruned_heads"};

void expect_plain_encoder(const ModelConfig& config) {
  config.expect("is_decoder", false);
  config.expect("is_encoder_decoder", false);
  config.expect("add_cross_attention", false);
  config.expect("pruned_heads", nlohmann::json::object());
  config.expect("cross_attention_hidden_size", nullptr);
}

Activation read_activation(const ModelConfig& config, const std::vector<std::string>& allowed) {
  const std::string word = config.word("hidden_act", allowed);
  if (word == "quick_gelu") return Activation::kQuickGelu;
  if (word == "gelu_pytorch_tanh" || word == "gelu_new") return Activation::kGeluTanh;
  if (word == "relu") return Activation::kRelu;
  return Activation::kGelu;
}

StackShape read_stack(const ModelConfig& config, const std::vector<std::string>& activations) {
  StackShape stack;
  stack.hidden = config.size("hidden_size", 1, 16384);
  stack.num_layers = config.size("num_hidden_layers", 1, 256);
  stack.num_heads = config.size("num_attention_heads", 1, 1024);
  stack.intermediate = config.size("intermediate_size", 1, 65536);
  stack.epsilon = config.positive("layer_norm_eps", 1.0);
  stack.activation = read_activation(config, activations);
  if (stack.hidden % stack.num_heads != 0) {
    config.fail("num_attention_heads", "expected a divisor of hidden_size " + std::to_string(stack.hidden) + ", got " +
                                           std::to_string(stack.num_heads));
  }
  return stack;
}

const Fields kStackFields = {"model_type",        "hidden_size",    "num_hidden_layers", "num_attention_heads",
                             "intermediate_size", "layer_norm_eps", "hidden_act"};

Fields operator+(Fields a, const Fields& b) {
  a.insert(b.begin(), b.end());
  return a;
}

TokenConfig read_bert(const ModelConfig& config, const ModelConfig& matinee) {
  TokenConfig result;
  result.family = TokenFamily::kBert;
  config.word("model_type", {"bert"});
  config.expect("position_embedding_type", "absolute");
  expect_plain_encoder(config);
  result.stack = read_stack(config, {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"});
  result.stack.pre_norm = false;
  result.vocabulary = config.size("vocab_size", 1, 1U << 24);
  result.positions = config.size("max_position_embeddings", 1, 1U << 20);
  result.token_types = config.size("type_vocab_size", 1, 64);
  expect_nothing_else(
      config, kStackFields + kNeverOn +
                  Fields{"position_embedding_type", "vocab_size", "max_position_embeddings", "type_vocab_size"});
  matinee.word("kind", {"text"});
  result.pool_mean = matinee.word("pooling", {"mean", "cls"}) == "mean";
  result.normalize = matinee.flag("normalize");
  result.max_tokens = matinee.size("max_tokens", 1, result.positions);
  result.dimension = result.stack.hidden;
  if (matinee.size("dimension", 1, 16384) != result.dimension) {
    matinee.fail("dimension", "expected hidden_size of config.json, " + std::to_string(result.dimension));
  }
  return result;
}

TokenConfig read_sasrec(const ModelConfig& config, const ModelConfig& matinee) {
  TokenConfig result;
  result.family = TokenFamily::kSasRec;
  config.word("model_type", {"sasrec"});
  result.stack = read_stack(config, {"gelu", "relu"});
  result.stack.causal = true;
  result.vocabulary = config.size("vocab_size", 1, 1U << 24);
  result.positions = config.size("max_position_embeddings", 1, 1U << 20);
  expect_nothing_else(config, kStackFields + Fields{"vocab_size", "max_position_embeddings"});
  matinee.word("kind", {"items"});
  result.normalize = matinee.flag("normalize");
  result.max_tokens = result.positions;
  result.dimension = result.stack.hidden;
  return result;
}

// The whole file of CLIP, whose towers are objects within. `text_config_dict` is what older libraries wrote beside
// `text_config`; newer ones let it override, so the two must agree.
std::size_t read_clip(const ModelConfig& config) {
  config.word("model_type", {"clip"});
  expect_plain_encoder(config);
  config.expect_repeats("text_config_dict", config.object("text_config"));
  config.expect_repeats("vision_config_dict", config.object("vision_config"));
  expect_nothing_else(config, kNeverOn + Fields{"model_type", "projection_dim", "text_config", "vision_config",
                                                "text_config_dict", "vision_config_dict"});
  return config.size("projection_dim", 1, 16384);
}

void expect_dimension(const ModelConfig& matinee, std::size_t dimension) {
  matinee.word("kind", {"joint"});
  if (matinee.size("dimension", 1, 16384) != dimension) {
    matinee.fail("dimension", "expected projection_dim of config.json, " + std::to_string(dimension));
  }
}

const std::vector<std::string> kClipActivations = {"quick_gelu", "gelu", "gelu_pytorch_tanh"};

TokenConfig read_clip_text(const ModelConfig& config, const ModelConfig& matinee) {
  TokenConfig result;
  result.family = TokenFamily::kClip;
  result.dimension = read_clip(config);
  const ModelConfig text = config.object("text_config");
  expect_plain_encoder(text);
  result.stack = read_stack(text, kClipActivations);
  result.stack.causal = true;
  result.vocabulary = text.size("vocab_size", 1, 1U << 24);
  result.positions = text.size("max_position_embeddings", 1, 1U << 20);
  expect_nothing_else(text,
                      kStackFields + kNeverOn + Fields{"vocab_size", "max_position_embeddings", "projection_dim"});
  expect_dimension(matinee, result.dimension);
  result.max_tokens = result.positions;
  result.normalize = matinee.flag("normalize");
  return result;
}

}  // namespace

TokenConfig read_token_config(const std::filesystem::path& folder) {
  const ModelConfig config(folder / "config.json");
  const ModelConfig matinee(folder / "matinee.json");
  const std::string family = matinee.word("family", {"bert", "clip", "sasrec"});
  if (family == "clip") return read_clip_text(config, matinee);
  if (family == "sasrec") return read_sasrec(config, matinee);
  return read_bert(config, matinee);
}

VisionConfig read_vision_config(const std::filesystem::path& folder) {
  const ModelConfig config(folder / "config.json");
  const ModelConfig matinee(folder / "matinee.json");
  matinee.word("family", {"clip"});
  VisionConfig result;
  result.dimension = read_clip(config);
  const ModelConfig vision = config.object("vision_config");
  expect_plain_encoder(vision);
  result.stack = read_stack(vision, kClipActivations);
  result.image_size = vision.size("image_size", 1, 4096);
  result.patch_size = vision.size("patch_size", 1, result.image_size);
  vision.expect("num_channels", 3);
  if (result.image_size % result.patch_size != 0) {
    vision.fail("patch_size", "expected a divisor of image_size " + std::to_string(result.image_size) + ", got " +
                                  std::to_string(result.patch_size));
  }
  expect_nothing_else(vision,
                      kStackFields + kNeverOn + Fields{"image_size", "patch_size", "num_channels", "projection_dim"});
  expect_dimension(matinee, result.dimension);
  result.normalize = matinee.flag("normalize");
  return result;
}

}  // namespace matinee::nn
