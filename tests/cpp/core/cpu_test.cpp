#include "matinee/core/cpu.h"

#include <gtest/gtest.h>

#include "matinee/core/error.h"

namespace matinee {
namespace {

TEST(IsaLevel, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(IsaLevel::kAmx); ++i) {
    const auto level = static_cast<IsaLevel>(i);
    EXPECT_EQ(isa_level_from_name(isa_level_name(level)), level);
  }
}

TEST(IsaLevel, UnknownNameIsAnInvalidArgument) { EXPECT_THROW(isa_level_from_name("sse9"), InvalidArgument); }

TEST(IsaLevel, CanBeLoweredButNotRaisedAboveTheProcessor) {
  const IsaLevel before = isa_level();
  set_isa_level(IsaLevel::kScalar);
  EXPECT_EQ(isa_level(), IsaLevel::kScalar);
  EXPECT_FALSE(has_native_bf16());
  if (detected_isa_level() < IsaLevel::kAmx) {
    EXPECT_THROW(set_isa_level(IsaLevel::kAmx), InvalidArgument);
  }
  set_isa_level(before);
}

}  // namespace
}  // namespace matinee
