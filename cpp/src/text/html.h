#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace matinee::text {

// Replaces the character references of HTML 5 as Python's html.unescape does: once, also where the ; is left out
// ("&lt", "&ampx"); an unknown name stays.
void unescape_html(std::u32string& text);

// The characters of one whole reference, text[begin] == '&' to its ';' at the end, as ftfy reads it: a name with its
// case as in HTML 5, or all in capitals ("&EACUTE;"), or a number other than that of ';'. Nothing where it is none.
std::optional<std::u32string> strict_reference(const std::u32string& text, std::size_t begin);

// Windows-1252 for the control characters U+0080 to U+009F, which nobody means; others stay.
char32_t windows_1252(char32_t c);

}  // namespace matinee::text
