#include "text/html.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "text/html_tables.h"
#include "text/unicode.h"

namespace matinee::text {
namespace {

constexpr std::size_t kLongestName = 32;  // in characters, without its ;
constexpr std::size_t kLongestOpen = 6;   // of those that need no ;

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char32_t c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
char32_t hex_value(char32_t c) { return is_digit(c) ? c - '0' : (c | 0x20U) - 'a' + 10; }

// What may not follow & in a name.
bool ends_name(char32_t c) {
  return c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' || c == ';';
}

// The characters of a table's entry, none where there is no such name.
template <typename Table>
std::u32string_view find_name(const Table& table, std::string_view name) {
  const auto found = std::lower_bound(table.begin(), table.end(), name,
                                      [](const HtmlEntity& e, std::string_view value) { return e.name < value; });
  if (found == table.end() || found->name != name) return {};
  return found->characters;
}

const HtmlNumber* find_number(char32_t number) {
  const auto found = std::lower_bound(kHtmlNumbers.begin(), kHtmlNumbers.end(), number,
                                      [](const HtmlNumber& n, char32_t value) { return n.number < value; });
  return found != kHtmlNumbers.end() && found->number == number ? &*found : nullptr;
}

// The character a number stands for, 0 for none.
char32_t of_number(char32_t number) {
  if (const HtmlNumber* replaced = find_number(number)) return replaced->character;
  if (number > 0x10FFFF || (number >= 0xD800 && number < 0xE000)) return kReplacement;
  if ((number >= 0xFDD0 && number < 0xFDF0) || (number & 0xFFFEU) == 0xFFFE) return 0;  // never a character
  return number;
}

struct Number {
  std::size_t end;  // after the last digit; where it began when there is none
  char32_t value;   // one above U+10FFFF stands for all of them
};

// The digits after "&#", which may begin with x.
Number read_number(const std::u32string& text, std::size_t begin) {
  const bool hex = begin < text.size() && (text[begin] == 'x' || text[begin] == 'X');
  Number number{begin, 0};
  std::size_t at = begin + (hex ? 1 : 0);
  for (; at < text.size() && (hex ? is_hex_digit(text[at]) : is_digit(text[at])); ++at) {
    number.value = std::min<char32_t>(number.value * (hex ? 16 : 10) + hex_value(text[at]), 0x110000);
    number.end = at + 1;
  }
  return number;
}

}  // namespace

void unescape_html(std::u32string& text) {
  if (text.find(U'&') == std::u32string::npos) return;
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = text[at++];
    if (c != '&') {
      out.push_back(c);
      continue;
    }
    if (at < text.size() && text[at] == '#') {
      const Number number = read_number(text, at + 1);
      if (number.end == at + 1) {
        out.push_back('&');
        continue;
      }
      if (const char32_t meant = of_number(number.value); meant != 0) out.push_back(meant);
      at = number.end < text.size() && text[number.end] == ';' ? number.end + 1 : number.end;
      continue;
    }
    // The longest known beginning of what can be a name. All known names are ASCII.
    std::string name;
    std::size_t end = at;
    while (end < text.size() && end - at < kLongestName && !ends_name(text[end])) {
      name.push_back(text[end] < 0x80 ? static_cast<char>(text[end]) : '\x7F');
      ++end;
    }
    if (!name.empty() && end < text.size() && text[end] == ';') name.push_back(';');
    std::u32string_view meant = find_name(kHtmlEntities, name);
    while (meant.empty() && name.size() > 2) {
      name.resize(std::min(name.size() - 1, kLongestOpen));
      meant = find_name(kHtmlEntities, name);
    }
    out.append(meant.empty() ? U"&" : meant);
    if (!meant.empty()) at += name.size();
  }
  text = std::move(out);
}

std::optional<std::u32string> strict_reference(const std::u32string& text, std::size_t begin) {
  const std::size_t last = text.size() - 1;  // the ;
  if (text[begin + 1] == '#') {
    const Number number = read_number(text, begin + 2);
    if (number.end != last || last == begin + 2) return std::nullopt;
    const char32_t meant = of_number(number.value);
    if (meant == ';') return std::nullopt;
    return meant == 0 ? std::u32string() : std::u32string(1, meant);
  }
  const std::string name(text.begin() + static_cast<std::ptrdiff_t>(begin) + 1, text.end());
  if (const auto meant = find_name(kHtmlEntities, name); !meant.empty()) return std::u32string(meant);
  // In capitals, where html.unescape makes nothing of it: not even of its beginning.
  if (std::any_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return std::nullopt;
  std::u32string unescaped = text.substr(begin);
  unescape_html(unescaped);
  if (text.compare(begin, std::u32string::npos, unescaped) != 0) return std::nullopt;
  std::string lower = name;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (const auto meant = find_name(kUpperCaseEntities, lower); !meant.empty()) return std::u32string(meant);
  if (const auto meant = find_name(kHtmlEntities, lower); !meant.empty()) return std::u32string(meant);
  return std::nullopt;
}

char32_t windows_1252(char32_t c) {
  const HtmlNumber* replaced = c >= 0x80 && c < 0xA0 ? find_number(c) : nullptr;
  return replaced == nullptr ? c : replaced->character;
}

}  // namespace matinee::text
