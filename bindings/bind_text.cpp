#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.h"
#include "matinee/core/error.h"
#include "matinee/text/clip_bpe.h"
#include "matinee/text/wordpiece.h"

namespace py = pybind11;

namespace {

// The UTF-8 of Python strings, without a copy where Python can lend it; valid while the strings and this object live.
// A lone surrogate has no UTF-8: it is passed on as the malformed bytes it would be, which count as U+FFFD.
class Utf8Views {
 public:
  void add(py::handle text, const char* where) {
    if (!PyUnicode_Check(text.ptr())) {
      throw matinee::InvalidArgument(std::string(where) + ": expected str, got " +
                                     py::str(py::type::of(text).attr("__name__")).cast<std::string>());
    }
    Py_ssize_t size = 0;
    if (const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size); data != nullptr) {
      kept_.push_back(py::reinterpret_borrow<py::object>(text));
      views_.emplace_back(data, static_cast<std::size_t>(size));
      return;
    }
    PyErr_Clear();
    auto encoded = py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
    if (!encoded) throw py::error_already_set();
    views_.emplace_back(encoded);
    kept_.push_back(std::move(encoded));
  }

  const std::vector<std::string_view>& views() const { return views_; }

 private:
  std::vector<py::object> kept_;  // another thread may drop the list's own references meanwhile
  std::vector<std::string_view> views_;
};

template <typename T>
py::array_t<T> to_array(const std::vector<T>& values) {
  py::array_t<T> array(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), array.mutable_data());
  return array;
}

// What every tokenizer offers: encode, encode_batch, words.
template <typename Tokenizer>
void def_encoding(py::class_<Tokenizer>& bound) {
  bound
      .def(
          "encode",
          [](const Tokenizer& self, const py::str& text) {
            Utf8Views texts;
            texts.add(text, "encode: text");
            const py::gil_scoped_release release;
            return self.encode(texts.views().front());  // not on the pool: that would take longer than the work
          },
          py::arg("text"), "Token ids of one text, the markers at its ends included, at most max_tokens.")
      .def(
          "encode_batch",
          [](const Tokenizer& self, const py::typing::Iterable<py::str>& texts) {
            Utf8Views views;
            if (PyUnicode_Check(texts.ptr())) {
              throw matinee::InvalidArgument(
                  "encode_batch: texts: expected several str, got one; use "
                  "encode");
            }
            for (const py::handle text : texts) views.add(text, "encode_batch: texts");
            const matinee::TokenBatch batch = [&] {
              const py::gil_scoped_release release;
              return self.encode_batch(views.views());
            }();
            return std::pair(to_array(batch.token_ids), to_array(batch.offsets));
          },
          py::arg("texts"),
          "(token_ids int32 (T,), offsets int64 (B+1,)): text b owns "
          "token_ids[offsets[b]:offsets[b+1]].")
      .def(
          "words",
          [](const Tokenizer& self, const py::str& text) {
            Utf8Views texts;
            texts.add(text, "words: text");
            const py::gil_scoped_release release;
            return self.words(texts.views().front());
          },
          py::arg("text"), "The cleaned words of a text, before they are cut into pieces.")
      .def_property_readonly(
          "max_tokens", [](const Tokenizer& self) { return self.options().max_tokens; },
          "Longest sequence, the markers at its ends included.");
}

matinee::ClipBpeOptions clip_options(const std::string& cleaning, std::size_t max_tokens, bool split_special_tokens) {
  using matinee::ClipCleaning;
  matinee::ClipBpeOptions options;
  if (cleaning == "reference") {
    options.cleaning = ClipCleaning::kReference;
  } else if (cleaning == "reference_after_ftfy") {
    options.cleaning = ClipCleaning::kReferenceAfterFtfy;
  } else if (cleaning == "huggingface") {
    options.cleaning = ClipCleaning::kHuggingFace;
  } else {
    throw matinee::InvalidArgument(
        "ClipBpe: cleaning: expected 'reference', 'reference_after_ftfy' or 'huggingface', got '" + cleaning + "'");
  }
  options.max_tokens = max_tokens;
  options.split_special_tokens = split_special_tokens;
  return options;
}

}  // namespace

void bind_text(py::module_& module) {
  using matinee::WordPiece;
  using matinee::WordPieceOptions;
  py::class_<WordPiece> wordpiece(module, "WordPiece", "BERT's tokenizer, token for token as Hugging Face's.");
  wordpiece
      .def(py::init([](const std::filesystem::path& vocab_path, bool lowercase, std::size_t max_tokens,
                       bool split_special_tokens) {
             const py::gil_scoped_release release;
             return WordPiece::from_file(vocab_path, {lowercase, max_tokens, split_special_tokens});
           }),
           py::arg("vocab_path"), py::kw_only(), py::arg("lowercase") = WordPieceOptions{}.lowercase,
           py::arg("max_tokens") = WordPieceOptions{}.max_tokens,
           py::arg("split_special_tokens") = WordPieceOptions{}.split_special_tokens,
           "Reads a vocab.txt; split_special_tokens=False lets \"[SEP]\" in a "
           "text become that token.")
      .def_property_readonly("vocabulary_size", &WordPiece::vocabulary_size, "Lines of the vocabulary.");
  def_encoding(wordpiece);

  using matinee::ClipBpe;
  using matinee::ClipBpeOptions;
  py::class_<ClipBpe> clip(module, "ClipBpe", "CLIP's tokenizer, token for token as OpenAI's or Hugging Face's.");
  clip.def(py::init([](const std::filesystem::path& folder, const std::string& cleaning, std::size_t max_tokens,
                       bool split_special_tokens) {
             const py::gil_scoped_release release;
             return ClipBpe::from_folder(folder, clip_options(cleaning, max_tokens, split_special_tokens));
           }),
           py::arg("folder"), py::kw_only(), py::arg("cleaning") = "reference",
           py::arg("max_tokens") = ClipBpeOptions{}.max_tokens,
           py::arg("split_special_tokens") = ClipBpeOptions{}.split_special_tokens,
           "Reads vocab.json and merges.txt; matinee.clip_tokenizer describes the options.")
      .def_static(
          "from_openai_merges",
          [](const py::bytes& merges, const std::string& cleaning, std::size_t max_tokens, bool split_special_tokens) {
            const std::string_view bytes = merges;
            const py::gil_scoped_release release;
            return ClipBpe::from_openai_merges(bytes, clip_options(cleaning, max_tokens, split_special_tokens));
          },
          py::arg("merges"), py::kw_only(), py::arg("cleaning") = "reference",
          py::arg("max_tokens") = ClipBpeOptions{}.max_tokens,
          py::arg("split_special_tokens") = ClipBpeOptions{}.split_special_tokens,
          "From the decompressed bytes of OpenAI's bpe_simple_vocab_16e6.txt.gz.")
      .def_property_readonly("vocabulary_size", &ClipBpe::vocabulary_size, "Tokens, the two markers included.")
      .def_property_readonly("start_token", &ClipBpe::start_token, "Id of <|startoftext|>.")
      .def_property_readonly("end_token", &ClipBpe::end_token, "Id of <|endoftext|>.");
  def_encoding(clip);
}
