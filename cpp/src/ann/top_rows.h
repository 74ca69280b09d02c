#pragma once

#include <algorithm>
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
