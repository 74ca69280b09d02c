#include <png.h>

#include <cstring>

#include "codecs.h"

// PNG by libpng itself rather than through OpenCV: see docs/adr (image codecs). OpenCV lets libpng print to stderr and
// cannot tell 16-bit gray from gray, which Pillow treats differently.
// Errors leave libpng by longjmp: see Note [longjmp] in decode_jpeg.cpp.
namespace matinee::codecs {
namespace {

struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const std::uint8_t* next = nullptr;
  std::size_t left = 0;
  char message[128] = "";
  bool truncated = false;  // the bytes ended before the decoder was done

  Decoder() = default;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[noreturn]] void fail() const {
    throw_format_error("PNG", truncated ? "truncated" : std::string("corrupt: ") + message);
  }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto& decoder = *static_cast<Decoder*>(png_get_error_ptr(png));
  std::strncpy(decoder.message, message, sizeof(decoder.message) - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, std::size_t size) {
  auto& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
  if (size > decoder.left) {
    decoder.truncated = true;
    png_error(png, "truncated");
  }
  std::memcpy(out, decoder.next, size);
  decoder.next += size;
  decoder.left -= size;
}

bool read_header(Decoder& decoder) noexcept {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  png_set_read_fn(decoder.png, &decoder, read_bytes);
  // Sides are checked by checked_size(); libpng's own limit of a million would be reported as a corrupt file.
  png_set_user_limits(decoder.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  // Profiles and texts do not change what convert("RGB") gives; unread, they cannot be decompression bombs.
  png_set_keep_unknown_chunks(decoder.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_crc_action(decoder.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_read_info(decoder.png, decoder.info);
  return true;
}

bool is_gray16(const Decoder& decoder) {
  return png_get_color_type(decoder.png, decoder.info) == PNG_COLOR_TYPE_GRAY &&
         png_get_bit_depth(decoder.png, decoder.info) == 16;
}

// Fills `out` with rows of RGB, or of big-endian 16-bit gray. Rows are `stride` bytes apart, at least 3 a pixel.
bool read_pixels(Decoder& decoder, std::uint8_t* out, std::size_t stride) noexcept {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  if (!is_gray16(decoder)) {
    png_set_strip_16(decoder.png);  // keeps the high byte
    png_set_expand(decoder.png);    // palette to RGB, 1, 2 and 4 bits to 8, tRNS to alpha
    png_set_strip_alpha(decoder.png);
    png_set_gray_to_rgb(decoder.png);
  }
  const int passes = png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  if (png_get_rowbytes(decoder.png, decoder.info) > stride) png_error(decoder.png, "wider rows than its header says");
  const png_uint_32 height = png_get_image_height(decoder.png, decoder.info);
  for (int pass = 0; pass < passes; ++pass) {
    for (png_uint_32 y = 0; y < height; ++y) png_read_row(decoder.png, out + y * stride, nullptr);
  }
  return true;
}

bool read_end(Decoder& decoder) noexcept {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  png_read_end(decoder.png, nullptr);
  return true;
}

// In place, from the last pixel back: 2 bytes a pixel become 3. Pillow's I;16 is clipped to 8 bits, not scaled.
void rgb_from_gray16(std::uint8_t* row, int width) {
  for (int x = width - 1; x >= 0; --x) {
    const std::uint8_t high = row[2 * x];
    const std::uint8_t low = row[2 * x + 1];
    std::memset(row + 3 * x, high != 0 ? 255 : low, 3);
  }
}

ImageSize header_size(Decoder& decoder, Bytes data) {
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning);
  if (decoder.png == nullptr) throw InternalError("decode_rgb: libpng gave no reader");
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) throw InternalError("decode_rgb: libpng gave no reader");
  decoder.next = data.data();
  decoder.left = data.size();
  if (!read_header(decoder)) decoder.fail();
  return checked_size("PNG", png_get_image_height(decoder.png, decoder.info),
                      png_get_image_width(decoder.png, decoder.info));
}

}  // namespace

ImageSize png_size(Bytes data) {
  Decoder decoder;
  return header_size(decoder, data);
}

RgbImage decode_png(Bytes data, std::int64_t max_pixels) {
  Decoder decoder;
  const ImageSize size = header_size(decoder, data);
  check_pixels(size, max_pixels);
  const bool gray16 = is_gray16(decoder);
  RgbImage image(size.height, size.width);
  if (!read_pixels(decoder, image.pixels.get(), static_cast<std::size_t>(image.row_stride()))) decoder.fail();
  if (!read_end(decoder)) decoder.fail();
  if (gray16) {
    for (int y = 0; y < size.height; ++y) rgb_from_gray16(image.row(y), size.width);
  }
  return image;
}

}  // namespace matinee::codecs
