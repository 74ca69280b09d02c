#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "matinee/core/thread_pool.h"
#include "matinee/image/decode.h"
#include "matinee/image/preprocess.h"
#include "matinee/image/resize.h"
#include "matinee/nn/convnet.h"
#include "numpy_views.h"

namespace py = pybind11;

namespace {

using Array8 = py::array_t<std::uint8_t>;
// What Preprocessor's methods take and give, for the type stubs.
using Images = py::typing::Iterable<py::typing::Union<py::bytes, py::array>>;
using Statuses = py::typing::List<py::typing::Optional<MatineeErrorObject>>;
using WithStatuses = py::typing::Tuple<py::array_t<float>, Statuses>;

std::span<const std::uint8_t> byte_view(const py::bytes& data) {
  const std::string_view view = data;
  return {reinterpret_cast<const std::uint8_t*>(view.data()), view.size()};
}

// Hands the pixels to numpy without copying them.
Array8 to_array(matinee::RgbImage image) {
  const py::ssize_t height = image.height;
  const py::ssize_t width = image.width;
  std::uint8_t* pixels = image.pixels.get();
  const py::capsule owner(image.pixels.release(), [](void* p) { delete[] static_cast<std::uint8_t*>(p); });
  return Array8({height, width, py::ssize_t{3}}, pixels, owner);
}

// Long work runs on the compute pool (Note [Compute threads]), without the GIL.
template <typename Work>
matinee::RgbImage compute(const Work& work) {
  const py::gil_scoped_release release;
  matinee::RgbImage image;
  matinee::compute_pool()->run([&] { image = work(); });
  return image;
}

matinee::PreprocessOptions::Resize resize_mode(const std::string& name) {
  using Resize = matinee::PreprocessOptions::Resize;
  if (name == "none") return Resize::kNone;
  if (name == "shortest_edge") return Resize::kShortestEdge;
  if (name == "squash") return Resize::kSquash;
  throw matinee::InvalidArgument("Preprocessor: resize: expected squash, shortest_edge or none, got '" + name + "'");
}

matinee::Preprocessor make_preprocessor(int height, int width, const std::string& resize, int shortest_edge,
                                        const std::string& filter, bool center_crop, double rescale_factor,
                                        const std::array<float, 3>& mean, const std::array<float, 3>& std,
                                        std::size_t max_bytes, std::int64_t max_pixels) {
  matinee::PreprocessOptions options;
  options.height = options.resize_height = height;
  options.width = options.resize_width = width;
  options.resize = resize_mode(resize);
  options.shortest_edge = shortest_edge;
  options.filter = matinee::resize_filter_from_name(filter);
  options.center_crop = center_crop;
  options.rescale_factor = rescale_factor;
  options.mean = mean;
  options.std = std;
  return matinee::Preprocessor(options, {max_bytes, max_pixels});
}

// Images of one call: what the core reads, and what is wrong with each.
class Batch {
 public:
  explicit Batch(const Images& images) {
    for (const py::handle image : images) owners_.push_back(py::reinterpret_borrow<py::object>(image));
    sources_.resize(owners_.size());
    statuses_.assign(owners_.size(), py::none());
    for (std::size_t i = 0; i < owners_.size(); ++i) {
      try {
        sources_[i] = source(owners_[i]);
      } catch (const matinee::InvalidArgument&) {
        statuses_[i] = python_error(std::current_exception());
        sources_[i] = matinee::ImageView{};  // the core reports it too and leaves zeros
      }
    }
  }

  const std::vector<matinee::ImageSource>& sources() const { return sources_; }

  Statuses statuses(const std::vector<std::exception_ptr>& errors) const {
    py::list result(errors.size());
    for (std::size_t i = 0; i < errors.size(); ++i) {
      result[i] = errors[i] && statuses_[i].is_none() ? python_error(errors[i]) : statuses_[i];
    }
    return Statuses(result);
  }

 private:
  static matinee::ImageSource source(const py::object& image) {
    if (py::isinstance<py::bytes>(image)) return byte_view(py::reinterpret_borrow<py::bytes>(image));
    if (py::isinstance<py::array>(image)) {
      return matinee::bindings::image_view(py::reinterpret_borrow<py::array>(image), "Preprocessor: images");
    }
    throw matinee::InvalidArgument("Preprocessor: images: expected bytes of an image file or (H, W, 3) uint8, got " +
                                   py::str(py::type::of(image)).cast<std::string>());
  }

  std::vector<py::object> owners_;  // kept alive while the GIL is released
  std::vector<matinee::ImageSource> sources_;
  std::vector<py::object> statuses_;
};

WithStatuses run(const matinee::Preprocessor& preprocessor, const Images& images) {
  const Batch batch(images);
  const auto& options = preprocessor.options();
  py::array_t<float> planes(
      std::vector<py::ssize_t>{static_cast<py::ssize_t>(batch.sources().size()), 3, options.height, options.width});
  float* out = planes.mutable_data();
  std::vector<std::exception_ptr> errors;
  {
    const py::gil_scoped_release release;
    errors = preprocessor.run(batch.sources(), out);
  }
  return WithStatuses(py::make_tuple(planes, batch.statuses(errors)));
}

// From files to features, an image staying on one thread all the way.
WithStatuses features_of(const matinee::Preprocessor& preprocessor, const Images& images,
                         const matinee::ConvNet& network) {
  const auto& options = preprocessor.options();
  const auto size = static_cast<int>(network.image_size());
  if (options.height != size || options.width != size) {
    throw matinee::InvalidArgument("features: expected a preprocessor for (" + std::to_string(size) + ", " +
                                   std::to_string(size) + "), got (" + std::to_string(options.height) + ", " +
                                   std::to_string(options.width) + ")");
  }
  const Batch batch(images);
  const std::size_t count = batch.sources().size();
  py::array_t<float> features({static_cast<py::ssize_t>(count), static_cast<py::ssize_t>(network.dimension())});
  const matinee::MatrixView<float> out(features.mutable_data(), count, network.dimension());
  std::vector<std::exception_ptr> errors(count);
  {
    const py::gil_scoped_release release;
    network.features_from(
        [&](std::size_t row, float* pixels) {
          try {
            preprocessor.run_one(batch.sources()[row], pixels);
          } catch (...) {
            errors[row] = std::current_exception();
            std::fill_n(pixels, preprocessor.floats_per_image(), 0.0F);
          }
        },
        out);
    for (std::size_t i = 0; i < count; ++i) {
      if (errors[i]) std::fill_n(out.row(i), out.cols, 0.0F);
    }
  }
  return WithStatuses(py::make_tuple(features, batch.statuses(errors)));
}

}  // namespace

void bind_image(py::module_& module) {
  const matinee::DecodeLimits limits;
  module.def(
      "sniff_format",
      [](const py::bytes& data) -> std::optional<std::string> {
        const auto format = matinee::sniff_format(byte_view(data));
        if (!format) return std::nullopt;
        return std::string(matinee::image_format_name(*format));
      },
      py::arg("data"), "'jpeg', 'png' or 'webp' by the first bytes; None for anything else.");
  module.def(
      "image_size",
      [](const py::bytes& data) {
        const auto size = matinee::image_size(byte_view(data));
        return std::make_pair(size.width, size.height);
      },
      py::arg("data"), "(width, height) from the header of a JPEG, PNG or WebP file.");
  module.def(
      "decode_rgb",
      [](const py::bytes& data, std::size_t max_bytes, std::int64_t max_pixels) {
        const auto bytes = byte_view(data);
        return to_array(compute([&] { return matinee::decode_rgb(bytes, {max_bytes, max_pixels}); }));
      },
      py::arg("data"), py::kw_only(), py::arg("max_bytes") = limits.max_bytes,
      py::arg("max_pixels") = limits.max_pixels,
      "(H, W, 3) uint8 pixels of a JPEG, PNG or WebP file, as Pillow's convert('RGB') gives them.");
  module.def(
      "resize",
      [](const py::array& image, int height, int width, const std::string& filter) {
        const auto view = matinee::bindings::image_view(image, "resize: image");
        const auto kind = matinee::resize_filter_from_name(filter);
        return to_array(compute([&] { return matinee::resize(view, height, width, kind); }));
      },
      py::arg("image").noconvert(), py::kw_only(), py::arg("height"), py::arg("width"), py::arg("filter") = "bicubic",
      "A new (height, width, 3) uint8 image, bit for bit Pillow's 'bicubic' or 'bilinear' resize.");

  py::class_<matinee::Preprocessor>(module, "Preprocessor",
                                    "Images to the float32 (B, 3, H, W) input of a model; immutable, thread-safe.")
      .def(py::init(&make_preprocessor), py::kw_only(), py::arg("height") = 224, py::arg("width") = 224,
           py::arg("resize") = "squash", py::arg("shortest_edge") = 0, py::arg("filter") = "bicubic",
           py::arg("center_crop") = false, py::arg("rescale_factor") = 1.0,
           py::arg("mean") = std::array<float, 3>{0, 0, 0}, py::arg("std") = std::array<float, 3>{1, 1, 1},
           py::arg("max_bytes") = limits.max_bytes, py::arg("max_pixels") = limits.max_pixels)
      .def_static(
          "from_json",
          [](const std::string& text, bool squash, std::size_t max_bytes, std::int64_t max_pixels) {
            const auto options = matinee::PreprocessOptions::from_json(text);
            return matinee::Preprocessor(squash ? options.squashed() : options, {max_bytes, max_pixels});
          },
          py::arg("text"), py::kw_only(), py::arg("squash") = false, py::arg("max_bytes") = limits.max_bytes,
          py::arg("max_pixels") = limits.max_pixels,
          "From the text of a preprocessor_config.json; `squash` keeps the whole image instead of a centre crop.")
      .def_static(
          "from_folder",
          [](const std::filesystem::path& folder, bool squash, std::size_t max_bytes, std::int64_t max_pixels) {
            const auto options = matinee::PreprocessOptions::from_folder(folder);
            return matinee::Preprocessor(squash ? options.squashed() : options, {max_bytes, max_pixels});
          },
          py::arg("folder"), py::kw_only(), py::arg("squash") = false, py::arg("max_bytes") = limits.max_bytes,
          py::arg("max_pixels") = limits.max_pixels, "From the preprocessor_config.json of a model folder.")
      .def_property_readonly("height", [](const matinee::Preprocessor& self) { return self.options().height; })
      .def_property_readonly("width", [](const matinee::Preprocessor& self) { return self.options().width; })
      .def("run", &run, py::arg("images"),
           "Planes (B, 3, H, W) of image files and (H, W, 3) arrays, and an error or None for each; failed ones are 0.")
      .def("features", &features_of, py::arg("images"), py::arg("network"),
           "Features (B, D) of the same by a ConvNet, and an error or None for each; failed ones are 0.");
}
