#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h uses FILE without including it

#include <jpeglib.h>

#include "codecs.h"

// JPEG by libjpeg-turbo itself rather than through OpenCV: see docs/adr (image codecs). OpenCV offers neither CMYK by
// Pillow's formula nor an error for a truncated file.
//
// Note [longjmp]: libjpeg reports errors by calling error_exit, which must not return. We longjmp to a function that
// holds no object with a destructor; everything with one lives in the frame above it.
namespace matinee::codecs {
namespace {

// Files from real encoders have about ten scans; a file of thousands makes a decoder pass over all pixels for each.
constexpr int kMaxScans = 100;

struct Decoder {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf on_error{};
  char message[JMSG_LENGTH_MAX] = "";
  bool truncated = false;  // the bytes ended before the decoder was done

  Decoder() = default;
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }  // harmless where jpeg_create_decompress has not run
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[noreturn]] void fail() const {
    throw_format_error("JPEG", truncated ? "truncated" : std::string("corrupt: ") + message);
  }
};

Decoder& decoder_of(j_common_ptr jpeg) { return *static_cast<Decoder*>(jpeg->client_data); }

[[noreturn]] void on_fatal_error(j_common_ptr jpeg) {
  Decoder& decoder = decoder_of(jpeg);
  jpeg->err->format_message(jpeg, decoder.message);
  std::longjmp(decoder.on_error, 1);
}

[[noreturn]] void fail_with(Decoder& decoder, const char* message) {
  std::snprintf(decoder.message, sizeof(decoder.message), "%s", message);
  std::longjmp(decoder.on_error, 1);
}

// The source holds the whole file: being asked for more means that it is truncated.
boolean on_end_of_bytes(j_decompress_ptr jpeg) {
  Decoder& decoder = decoder_of(reinterpret_cast<j_common_ptr>(jpeg));
  decoder.truncated = true;
  fail_with(decoder, "truncated");
}

void skip_bytes(j_decompress_ptr jpeg, long count) {
  if (count <= 0) return;
  if (static_cast<std::size_t>(count) > jpeg->src->bytes_in_buffer) on_end_of_bytes(jpeg);
  jpeg->src->next_input_byte += count;
  jpeg->src->bytes_in_buffer -= static_cast<std::size_t>(count);
}

void check_scans(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMaxScans) {
    fail_with(decoder_of(jpeg), "more than 100 scans");
  }
}

bool read_header(Decoder& decoder, const std::uint8_t* data, std::size_t size) noexcept {
  decoder.jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = on_fatal_error;
  decoder.errors.output_message = [](j_common_ptr) {};  // warnings are counted by libjpeg, never printed
  decoder.jpeg.client_data = &decoder;
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_create_decompress(&decoder.jpeg);
  decoder.jpeg.client_data = &decoder;
  decoder.source.next_input_byte = data;
  decoder.source.bytes_in_buffer = size;
  decoder.source.init_source = [](j_decompress_ptr) {};
  decoder.source.fill_input_buffer = on_end_of_bytes;
  decoder.source.skip_input_data = skip_bytes;
  decoder.source.resync_to_restart = jpeg_resync_to_restart;
  decoder.source.term_source = [](j_decompress_ptr) {};
  decoder.jpeg.src = &decoder.source;
  decoder.progress.progress_monitor = check_scans;
  decoder.jpeg.progress = &decoder.progress;
  jpeg_read_header(&decoder.jpeg, TRUE);
  return true;
}

// Full-size rows of `channels` bytes a pixel into `out`, `stride` bytes from one to the next.
bool read_pixels(Decoder& decoder, J_COLOR_SPACE space, std::uint8_t* out, std::size_t stride) noexcept {
  if (setjmp(decoder.on_error) != 0) return false;
  decoder.jpeg.out_color_space = space;
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    JSAMPROW row = out + decoder.jpeg.output_scanline * stride;
    jpeg_read_scanlines(&decoder.jpeg, &row, 1);
  }
  return true;
}

// What follows the last row: normally the end marker.
bool read_end(Decoder& decoder) noexcept {
  if (setjmp(decoder.on_error) != 0) return false;
  jpeg_finish_decompress(&decoder.jpeg);
  return true;
}

// Rounded a * b / 255 for a, b in 0..255, as Pillow's MULDIV255.
int multiply_255(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Pillow reads every four-component JPEG as inverted CMYK (what Adobe writes) and takes
// R = (255 - K) - C (255 - K) / 255; G and B alike. `cmyk` holds the inverted values as they are in the file.
void rgb_from_inverted_cmyk(const std::uint8_t* cmyk, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i) {
    const int white = cmyk[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      rgb[3 * i + c] = static_cast<std::uint8_t>(white - multiply_255(255 - cmyk[4 * i + c], white));
    }
  }
}

ImageSize header_size(Decoder& decoder, Bytes data) {
  if (!read_header(decoder, data.data(), data.size())) decoder.fail();
  const int components = decoder.jpeg.num_components;
  if (components != 1 && components != 3 && components != 4) {
    throw_format_error("JPEG", "made of " + std::to_string(components) + " components, not 1, 3 or 4");
  }
  return checked_size("JPEG", decoder.jpeg.image_height, decoder.jpeg.image_width);
}

}  // namespace

ImageSize jpeg_size(Bytes data) {
  Decoder decoder;
  return header_size(decoder, data);
}

RgbImage decode_jpeg(Bytes data, std::int64_t max_pixels) {
  Decoder decoder;
  const ImageSize size = header_size(decoder, data);
  check_pixels(size, max_pixels);
  RgbImage image(size.height, size.width);
  if (decoder.jpeg.num_components == 4) {
    const std::size_t pixels = image.size_bytes() / 3;
    const auto cmyk = std::make_unique_for_overwrite<std::uint8_t[]>(pixels * 4);
    if (!read_pixels(decoder, JCS_CMYK, cmyk.get(), static_cast<std::size_t>(size.width) * 4)) decoder.fail();
    rgb_from_inverted_cmyk(cmyk.get(), image.pixels.get(), pixels);
  } else if (!read_pixels(decoder, JCS_RGB, image.pixels.get(), static_cast<std::size_t>(image.row_stride()))) {
    decoder.fail();
  }
  if (!read_end(decoder)) decoder.fail();
  return image;
}

}  // namespace matinee::codecs
