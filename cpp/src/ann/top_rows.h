#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace matinee::ann {

struct ScoredRow {
  float score;
  std::uint32_t row;
};

// Higher score first, equal scores by lower row: a total order, as scores are never NaN.
inline bool is_better(const ScoredRow& a, const ScoredRow& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

// Both as one number, the higher the better: the bits of the score, put in order, above those of its row, of which the
// lower is better. Such keys are put in order several times as fast.
inline std::uint64_t key_of(const ScoredRow& scored) {
  constexpr std::uint32_t kSign = 0x80000000;
  const auto bits = std::bit_cast<std::uint32_t>(scored.score + 0.0F);  // minus zero is zero
  return std::uint64_t{bits & kSign ? ~bits : bits | kSign} << 32U | ~scored.row;
}

inline ScoredRow scored_of(std::uint64_t key) {
  constexpr std::uint32_t kSign = 0x80000000;
  const auto bits = static_cast<std::uint32_t>(key >> 32U);
  return {std::bit_cast<float>(bits & kSign ? bits & ~kSign : ~bits), ~static_cast<std::uint32_t>(key)};
}

// The k best of what is offered. REQUIRES: k >= 1.
class TopRows {
 public:
  explicit TopRows(std::size_t k) : k_(k) {}

  void offer(const ScoredRow& offered) {
    if (heap_.size() == k_) {
      if (!is_better(offered, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), is_better);
      heap_.back() = offered;
    } else {
      heap_.push_back(offered);
    }
    std::push_heap(heap_.begin(), heap_.end(), is_better);
  }

  bool full() const { return heap_.size() == k_; }
  const ScoredRow& worst() const { return heap_.front(); }  // REQUIRES: not empty

  // Best first; leaves nothing behind.
  std::vector<ScoredRow> take() {
    std::sort_heap(heap_.begin(), heap_.end(), is_better);
    return std::move(heap_);
  }

 private:
  std::size_t k_;
  std::vector<ScoredRow> heap_;  // its front is the worst kept
};

}  // namespace matinee::ann
