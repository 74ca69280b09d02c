#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "matinee/nn/batcher.h"
#include "matinee/nn/convnet.h"
#include "matinee/nn/transformer.h"
#include "numpy_views.h"

namespace py = pybind11;
using matinee::BatcherOptions;
using matinee::BertEncoder;
using matinee::ConvNet;
using matinee::MatrixView;
using matinee::bindings::contiguous_view;

namespace {

using Ids = std::int32_t;
using Vectors = py::array_t<float>;
// What submit takes and gives, for the type stubs.
using OnDone = py::typing::Callable<void(py::typing::Optional<Vectors>, py::typing::Optional<MatineeErrorObject>)>;
using Cancel = py::typing::Callable<bool()>;

// The network keeps a reference to what it batches for (keep_alive), and to the size of an image.
struct TextBatcher {
  TextBatcher(const BertEncoder& encoder, const BatcherOptions& options)
      : batcher([&encoder](auto ids, auto offsets, auto vectors) { encoder.encode(ids, offsets, vectors); },
                encoder.dimension(), options) {}
  matinee::Batcher<Ids> batcher;
};

struct ImageBatcher {
  ImageBatcher(const ConvNet& net, const BatcherOptions& options)
      : batcher([&net](auto pixels, auto, auto features) { net.features(pixels, features); }, net.dimension(), options),
        size(static_cast<py::ssize_t>(net.image_size())) {}
  matinee::Batcher<float> batcher;
  py::ssize_t size;  // S
};

// A batcher that ends waits for threads that may want the GIL.
struct EndWithoutGil {
  template <typename T>
  void operator()(T* batcher) const {
    const py::gil_scoped_release release;
    delete batcher;
  }
};

// A Python callable that any thread may call and let go of.
class Callback {
 public:
  explicit Callback(py::function function)
      : function_(new py::function(std::move(function)), [](py::function* held) {
          if (Py_IsInitialized() == 0) return;  // the interpreter went first
          const py::gil_scoped_acquire acquire;
          delete held;
        }) {}

  void operator()(const std::vector<float>& vectors, std::size_t dimension, const std::exception_ptr& error) const {
    if (Py_IsInitialized() == 0) return;
    const py::gil_scoped_acquire acquire;
    try {
      if (error) {
        (*function_)(py::none(), python_error(error));
      } else {
        const auto rows = static_cast<py::ssize_t>(vectors.size() / dimension);
        (*function_)(Vectors({rows, static_cast<py::ssize_t>(dimension)}, vectors.data()), py::none());
      }
    } catch (py::error_already_set& raised) {
      raised.discard_as_unraisable("the callback of submit");
    }
  }

 private:
  std::shared_ptr<py::function> function_;
};

template <typename Value>
Vectors encode(matinee::Batcher<Value>& batcher, std::span<const Value> values, std::span<const std::int64_t> offsets) {
  const std::size_t rows = offsets.empty() ? 0 : offsets.size() - 1;
  Vectors vectors({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(batcher.dimension())});
  const MatrixView<float> out(vectors.mutable_data(), rows, batcher.dimension());
  const py::gil_scoped_release release;
  batcher.encode(values, offsets, out);
  return vectors;
}

template <typename Value>
Cancel submit(matinee::Batcher<Value>& batcher, std::span<const Value> values, std::span<const std::int64_t> offsets,
              const OnDone& on_done) {
  const std::size_t dimension = batcher.dimension();
  auto tell = [callback = Callback(on_done), dimension](const std::vector<float>& vectors,
                                                        const std::exception_ptr& error) {
    callback(vectors, dimension, error);
  };
  auto cancel = [&] {
    const py::gil_scoped_release release;
    return batcher.submit({values.begin(), values.end()}, {offsets.begin(), offsets.end()}, std::move(tell));
  }();
  return py::cpp_function(std::move(cancel), py::call_guard<py::gil_scoped_release>());
}

std::span<const Ids> ids_of(const py::array& token_ids) {
  return contiguous_view<Ids>(token_ids, "encode: token_ids", "(T,)", 1);
}

std::span<const std::int64_t> offsets_of(const py::array& offsets) {
  return contiguous_view<std::int64_t>(offsets, "encode: offsets", "(B + 1,)", 1);
}

std::span<const float> pixels_of(const ImageBatcher& self, const py::array& pixels) {
  const std::string size = std::to_string(self.size);
  const std::string shape = "(B, 3, " + size + ", " + size + ")";
  const auto values = contiguous_view<float>(pixels, "encode: pixels", shape.c_str(), 4);
  if (pixels.shape(1) != 3 || pixels.shape(2) != self.size || pixels.shape(3) != self.size) {
    throw matinee::InvalidArgument("encode: pixels: expected " + shape + " float32, got " +
                                   matinee::bindings::describe(pixels));
  }
  return values;
}

std::vector<std::int64_t> image_offsets(const ImageBatcher& self, const py::array& pixels) {
  std::vector<std::int64_t> offsets;
  for (py::ssize_t b = 0; b <= pixels.shape(0); ++b) offsets.push_back(b * 3 * self.size * self.size);
  return offsets;
}

// What both have in common.
template <typename Held, typename Network>
py::class_<Held, std::unique_ptr<Held, EndWithoutGil>> bind(py::module_& module, const char* name, const char* network,
                                                            const char* doc) {
  const BatcherOptions defaults;
  return py::class_<Held, std::unique_ptr<Held, EndWithoutGil>>(module, name, doc)
      .def(py::init([](const Network& net, std::size_t max_batch, std::size_t max_queue, double max_delay_ms,
                       double max_wait_ms, std::size_t max_running) {
             return std::unique_ptr<Held, EndWithoutGil>(
                 new Held(net, {max_batch, max_queue, max_delay_ms, max_wait_ms, max_running}));
           }),
           py::arg(network), py::kw_only(), py::arg("max_batch") = defaults.max_batch,
           py::arg("max_queue") = defaults.max_queue, py::arg("max_delay_ms") = defaults.max_delay_ms,
           py::arg("max_wait_ms") = defaults.max_wait_ms, py::arg("max_running") = defaults.max_running,
           py::keep_alive<1, 2>())
      .def_property_readonly(
          "statistics",
          [](const Held& self) {
            const matinee::BatcherStatistics now = self.batcher.statistics();
            return std::map<std::string, std::uint64_t>{{"requests", now.requests},   {"batches", now.batches},
                                                        {"items", now.items},         {"refused", now.refused},
                                                        {"cancelled", now.cancelled}, {"waiting", now.waiting}};
          },
          "Counts since it was made: requests admitted, batches computed and their items, requests refused and "
          "cancelled; and items waiting now.");
}

}  // namespace

void bind_batcher(py::module_& module) {
  bind<TextBatcher, BertEncoder>(module, "TextBatcher", "encoder",
                                 "Computes texts of many callers together; for each, what the encoder alone gives.")
      .def(
          "encode",
          [](TextBatcher& self, const py::array& token_ids, const py::array& offsets) {
            return encode(self.batcher, ids_of(token_ids), offsets_of(offsets));
          },
          py::arg("token_ids").noconvert(), py::arg("offsets").noconvert(),
          "Packed token ids (T,) int32 and offsets (B + 1,) int64 to vectors (B, D) float32, when their turn comes.")
      .def(
          "submit",
          [](TextBatcher& self, const py::array& token_ids, const py::array& offsets, const OnDone& on_done) {
            return submit(self.batcher, ids_of(token_ids), offsets_of(offsets), on_done);
          },
          py::arg("token_ids").noconvert(), py::arg("offsets").noconvert(), py::arg("on_done"),
          "Returns at once; on_done(vectors, error), one of them None, is called on some thread. The answer cancels: "
          "True where the request still waited and on_done will not be called.");

  bind<ImageBatcher, ConvNet>(module, "ImageBatcher", "net",
                              "Computes images of many callers together; for each, what the network alone gives.")
      .def(
          "encode",
          [](ImageBatcher& self, const py::array& pixels) {
            const auto values = pixels_of(self, pixels);
            return encode<float>(self.batcher, values, image_offsets(self, pixels));
          },
          py::arg("pixels").noconvert(),
          "Normalised pixels (B, 3, S, S) float32 to vectors (B, D) float32, when their turn comes.")
      .def(
          "submit",
          [](ImageBatcher& self, const py::array& pixels, const OnDone& on_done) {
            const auto values = pixels_of(self, pixels);
            return submit<float>(self.batcher, values, image_offsets(self, pixels), on_done);
          },
          py::arg("pixels").noconvert(), py::arg("on_done"),
          "Returns at once; on_done(vectors, error), one of them None, is called on some thread. The answer cancels: "
          "True where the request still waited and on_done will not be called.");
}
