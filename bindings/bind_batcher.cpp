#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <algorithm>
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
using matinee::ConvNet;
using matinee::MatrixView;
using matinee::TokenEncoder;
using matinee::VisionTransformer;
using matinee::bindings::contiguous_view;

namespace {

using Ids = std::int32_t;
using Vectors = py::array_t<float>;
// What submit takes and gives, for the type stubs.
using OnDone = py::typing::Callable<void(py::typing::Optional<Vectors>, py::typing::Optional<MatineeErrorObject>)>;
using Cancel = py::typing::Callable<bool()>;

// Held by any thread, and let go of with the GIL.
std::shared_ptr<py::object> share(py::object object) {
  return {new py::object(std::move(object)), [](py::object* held) {
            if (Py_IsInitialized() == 0) return;  // the interpreter went first
            const py::gil_scoped_acquire acquire;
            delete held;
          }};
}

void copy_rows(const py::object& answer, MatrixView<float> out) {
  const auto array = py::cast<py::array>(answer);
  const auto rows = matinee::bindings::matrix_view<float>(array, "encode: the network's answer", out.cols);
  if (rows.rows != out.rows) {
    throw matinee::InternalError("encode: expected " + std::to_string(out.rows) + " vectors of the network, got " +
                                 std::to_string(rows.rows));
  }
  for (std::size_t b = 0; b < out.rows; ++b) std::copy_n(rows.row(b), out.cols, out.row(b));
}

template <typename Value, typename... Shape>
py::array_t<Value> to_array(std::span<const Value> values, Shape... shape) {
  return py::array_t<Value>({static_cast<py::ssize_t>(shape)...}, values.data());
}

// Encoders of the core are called directly; what else has their methods is called as Python.
matinee::Batcher<Ids>::Encode text_encode(const py::object& network) {
  if (py::isinstance<TokenEncoder>(network)) {
    return [held = share(network), &encoder = network.cast<const TokenEncoder&>()](
               auto ids, auto offsets, auto vectors) { encoder.encode(ids, offsets, vectors); };
  }
  return [held = share(network.attr("encode"))](std::span<const Ids> ids, std::span<const std::int64_t> offsets,
                                                MatrixView<float> vectors) {
    const py::gil_scoped_acquire acquire;
    copy_rows((*held)(to_array(ids, ids.size()), to_array(offsets, offsets.size())), vectors);
  };
}

template <typename Network>
matinee::Batcher<float>::Encode core_image_encode(const py::object& network) {
  return [held = share(network), &net = network.cast<const Network&>()](auto pixels, auto, auto vectors) {
    net.features(pixels, vectors);
  };
}

matinee::Batcher<float>::Encode image_encode(const py::object& network, std::size_t height, std::size_t width) {
  if (py::isinstance<ConvNet>(network)) return core_image_encode<ConvNet>(network);
  if (py::isinstance<VisionTransformer>(network)) return core_image_encode<VisionTransformer>(network);
  return [held = share(network.attr("features")), height, width](
             std::span<const float> pixels, std::span<const std::int64_t> offsets, MatrixView<float> vectors) {
    const py::gil_scoped_acquire acquire;
    copy_rows((*held)(to_array(pixels, offsets.size() - 1, 3, height, width)), vectors);
  };
}

std::size_t dimension_of(const py::object& network) { return network.attr("dimension").cast<std::size_t>(); }

struct TextBatcher {
  TextBatcher(const py::object& network, const BatcherOptions& options)
      : batcher(text_encode(network), dimension_of(network), options) {}
  matinee::Batcher<Ids> batcher;
};

struct ImageBatcher {
  ImageBatcher(const py::object& network, std::size_t height_, std::size_t width_, const BatcherOptions& options)
      : batcher(image_encode(network, height_, width_), dimension_of(network), options),
        height(static_cast<py::ssize_t>(height_)),
        width(static_cast<py::ssize_t>(width_)) {}
  matinee::Batcher<float> batcher;
  py::ssize_t height;
  py::ssize_t width;
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
  Callback(py::object function, std::size_t dimension) : function_(share(std::move(function))), dimension_(dimension) {}

  void operator()(const std::vector<float>& vectors, const std::exception_ptr& error) const {
    if (Py_IsInitialized() == 0) return;
    const py::gil_scoped_acquire acquire;
    try {
      if (error) {
        (*function_)(py::none(), python_error(error));
      } else {
        (*function_)(to_array<float>(vectors, vectors.size() / dimension_, dimension_), py::none());
      }
    } catch (py::error_already_set& raised) {
      raised.discard_as_unraisable("the callback of submit");
    }
  }

 private:
  std::shared_ptr<py::object> function_;
  std::size_t dimension_;
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
  Callback tell(on_done, batcher.dimension());
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
  const std::string shape = "(B, 3, " + std::to_string(self.height) + ", " + std::to_string(self.width) + ")";
  const auto values = contiguous_view<float>(pixels, "encode: pixels", shape.c_str(), 4);
  if (pixels.shape(1) != 3 || pixels.shape(2) != self.height || pixels.shape(3) != self.width) {
    throw matinee::InvalidArgument("encode: pixels: expected " + shape + " float32, got " +
                                   matinee::bindings::describe(pixels));
  }
  return values;
}

std::vector<std::int64_t> image_offsets(const ImageBatcher& self, const py::array& pixels) {
  std::vector<std::int64_t> offsets;
  for (py::ssize_t b = 0; b <= pixels.shape(0); ++b) offsets.push_back(b * 3 * self.height * self.width);
  return offsets;
}

// What both have in common; `Size` are the arguments between the network and the options.
template <typename Held, typename... Size, typename... SizeNames>
py::class_<Held, std::unique_ptr<Held, EndWithoutGil>> bind(py::module_& module, const char* name, const char* doc,
                                                            SizeNames... size_names) {
  const BatcherOptions defaults;
  py::class_<Held, std::unique_ptr<Held, EndWithoutGil>> bound(module, name, doc);
  bound.def(py::init([](const py::object& network, Size... size, std::size_t max_batch, std::size_t max_queue,
                        double max_delay_ms, double max_wait_ms, std::size_t max_running) {
              return std::unique_ptr<Held, EndWithoutGil>(
                  new Held(network, size..., {max_batch, max_queue, max_delay_ms, max_wait_ms, max_running}));
            }),
            py::arg("network"), py::kw_only(), size_names..., py::arg("max_batch") = defaults.max_batch,
            py::arg("max_queue") = defaults.max_queue, py::arg("max_delay_ms") = defaults.max_delay_ms,
            py::arg("max_wait_ms") = defaults.max_wait_ms, py::arg("max_running") = defaults.max_running);
  bound.def_property_readonly(
      "statistics",
      [](const Held& self) {
        const matinee::BatcherStatistics now = self.batcher.statistics();
        return std::map<std::string, std::uint64_t>{{"requests", now.requests},   {"batches", now.batches},
                                                    {"items", now.items},         {"refused", now.refused},
                                                    {"cancelled", now.cancelled}, {"waiting", now.waiting}};
      },
      "Counts so far: requests, batches, items in them, refused, cancelled; and items waiting now.");
  return bound;
}

}  // namespace

void bind_batcher(py::module_& module) {
  bind<TextBatcher>(module, "TextBatcher",
                    "Computes texts of many callers together, by a TokenEncoder or what has its encode and dimension.")
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
          "At once; on_done(vectors, error) follows on some thread. The answer cancels: True where it still waited.");

  bind<ImageBatcher, std::size_t, std::size_t>(
      module, "ImageBatcher",
      "Computes images of many callers together, by a ConvNet or what has its features and dimension.",
      py::arg("height"), py::arg("width"))
      .def(
          "encode",
          [](ImageBatcher& self, const py::array& pixels) {
            const auto values = pixels_of(self, pixels);
            return encode<float>(self.batcher, values, image_offsets(self, pixels));
          },
          py::arg("pixels").noconvert(),
          "Normalised pixels (B, 3, H, W) float32 to vectors (B, D) float32, when their turn comes.")
      .def(
          "submit",
          [](ImageBatcher& self, const py::array& pixels, const OnDone& on_done) {
            const auto values = pixels_of(self, pixels);
            return submit<float>(self.batcher, values, image_offsets(self, pixels), on_done);
          },
          py::arg("pixels").noconvert(), py::arg("on_done"),
          "At once; on_done(vectors, error) follows on some thread. The answer cancels: True where it still waited.");
}
