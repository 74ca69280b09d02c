#include "text/html.h"

#include <gtest/gtest.h>

#include <string>

#include "text/html_tables.h"

namespace matinee::text {
namespace {

std::u32string unescaped(std::u32string text) {
  unescape_html(text);
  return text;
}

TEST(UnescapeHtml, ReadsReferencesAsPythonDoes) {
  EXPECT_EQ(unescaped(U"no reference"), U"no reference");
  EXPECT_EQ(unescaped(U"&lt;&gt &amp;lt; &eacute;x &eacutex"), U"<> &lt; \u00E9x \u00E9x");
  EXPECT_EQ(unescaped(U"&notit; &notin; &bogus; & &; &a &#; &#x; &#xg;"),
            U"\u00ACit; \u2209 &bogus; & &; &a &#; &#x; &#xg;");
  EXPECT_EQ(unescaped(U"&#65;&#65&#x41;&#X41g"), U"AAAAg");
  EXPECT_EQ(unescaped(U"&#0;&#1;&#128;&#xD800;&#x110000;&#99999999999999999999;&#xFFFE;"),
            U"\uFFFD\u20AC\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(unescaped(U"&fjlig;&lt\u00E9;"), U"fj<\u00E9;");
}

TEST(StrictReference, ReadsWholeReferencesAndSomeCapitals) {
  EXPECT_EQ(strict_reference(U"x&eacute;", 1), U"\u00E9");
  EXPECT_EQ(strict_reference(U"&EACUTE;", 0), U"\u00C9");
  EXPECT_EQ(strict_reference(U"&SZLIG;", 0), U"SS");
  EXPECT_EQ(strict_reference(U"&RARR;", 0), U"\u2192");
  EXPECT_EQ(strict_reference(U"&AMPX;", 0), std::nullopt);  // html.unescape reads its beginning
  EXPECT_EQ(strict_reference(U"&eACUTE;", 0), std::nullopt);
  EXPECT_EQ(strict_reference(U"&#59;", 0), std::nullopt);
  EXPECT_EQ(strict_reference(U"&#12ab;", 0), std::nullopt);
  EXPECT_EQ(strict_reference(U"&#1;", 0), U"");
}

TEST(HtmlTables, AreSortedAsTheLookupNeedsThem) {
  for (std::size_t i = 1; i < kHtmlEntities.size(); ++i) ASSERT_LT(kHtmlEntities[i - 1].name, kHtmlEntities[i].name);
  for (std::size_t i = 1; i < kUpperCaseEntities.size(); ++i) {
    ASSERT_LT(kUpperCaseEntities[i - 1].name, kUpperCaseEntities[i].name);
  }
  for (std::size_t i = 1; i < kHtmlNumbers.size(); ++i) ASSERT_LT(kHtmlNumbers[i - 1].number, kHtmlNumbers[i].number);
}

}  // namespace
}  // namespace matinee::text
