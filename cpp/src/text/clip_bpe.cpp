#include "matinee/text/clip_bpe.h"

#include <algorithm>
#include <utility>

#include "matinee/core/error.h"
#include "matinee/core/file.h"
#include "text/clip_merges.h"
#include "text/clip_splitter.h"
#include "text/encode_rows.h"

namespace matinee {
namespace {

std::string_view as_text(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

struct ClipBpe::Impl {
  text::ClipMerges merges;
  ClipBpeOptions options;

  Impl(text::ClipMerges read, const ClipBpeOptions& wanted) : merges(std::move(read)), options(wanted) {
    if (options.max_tokens < 2) {
      throw InvalidArgument("ClipBpe: max_tokens: expected at least 2, for <|startoftext|> and <|endoftext|>, got " +
                            std::to_string(options.max_tokens));
    }
  }

  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> ids = {merges.start_token()};
    const std::size_t full = options.max_tokens - 1;  // <|endoftext|> is the last
    const auto append = [&](const text::ClipWord& word) {
      switch (word.special) {
        case text::ClipSpecial::kNone:
          merges.append_tokens(word.utf8, ids);
          break;
        case text::ClipSpecial::kStart:
          ids.push_back(merges.start_token());
          break;
        case text::ClipSpecial::kEnd:
          ids.push_back(merges.end_token());
          break;
      }
      return ids.size() < full;
    };
    if (full > 1) text::split_clip_words(text, options, append);
    ids.resize(std::min(ids.size(), full));
    ids.push_back(merges.end_token());
    return ids;
  }
};

ClipBpe::ClipBpe(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

ClipBpe::ClipBpe(std::string_view vocab_json, std::string_view merges, const ClipBpeOptions& options)
    : impl_(std::make_shared<const Impl>(text::ClipMerges::from_json(vocab_json, merges), options)) {}

ClipBpe ClipBpe::from_folder(const std::filesystem::path& folder, const ClipBpeOptions& options) {
  const std::vector<std::uint8_t> vocab = read_file(folder / "vocab.json");
  const std::vector<std::uint8_t> merges = read_file(folder / "merges.txt");
  try {
    return {as_text(vocab), as_text(merges), options};
  } catch (const FormatError& error) {  // which begins with the file's name
    throw FormatError((folder / error.what()).string());
  }
}

ClipBpe ClipBpe::from_openai_merges(std::string_view merges, const ClipBpeOptions& options) {
  return ClipBpe(std::make_shared<const Impl>(text::ClipMerges::from_openai(merges), options));
}

std::vector<std::int32_t> ClipBpe::encode(std::string_view text) const { return impl_->encode(text); }

TokenBatch ClipBpe::encode_batch(std::span<const std::string_view> texts) const {
  return text::encode_rows(texts, [this](std::string_view one) { return impl_->encode(one); });
}

std::vector<std::string> ClipBpe::words(std::string_view text) const {
  std::vector<std::string> found;
  text::split_clip_words(text, impl_->options, [&](const text::ClipWord& word) {
    found.emplace_back(word.utf8);
    return true;
  });
  return found;
}

std::size_t ClipBpe::vocabulary_size() const noexcept { return impl_->merges.vocabulary_size(); }
std::int32_t ClipBpe::start_token() const noexcept { return impl_->merges.start_token(); }
std::int32_t ClipBpe::end_token() const noexcept { return impl_->merges.end_token(); }
const ClipBpeOptions& ClipBpe::options() const noexcept { return impl_->options; }

}  // namespace matinee
