#include "ann/partition.h"

#include <utility>

namespace matinee::ann {

PartitionTable::PartitionTable(std::vector<Partition> partitions) : size_(partitions.size()) {
  for (std::size_t begin = 0; begin < size_; begin += kPage) {
    auto page = std::make_shared<Page>();
    for (std::size_t i = begin; i < size_ && i < begin + kPage; ++i) {
      (*page)[i - begin] = std::make_shared<const Partition>(std::move(partitions[i]));
    }
    pages_.push_back(std::move(page));
  }
}

void PartitionTable::set(std::size_t index, Partition partition) {
  auto page = std::make_shared<Page>(*pages_[index / kPage]);
  (*page)[index % kPage] = std::make_shared<const Partition>(std::move(partition));
  pages_[index / kPage] = std::move(page);
}

void PartitionTable::append(Partition partition) {
  if (size_ % kPage == 0) pages_.push_back(std::make_shared<const Page>());
  ++size_;
  set(size_ - 1, std::move(partition));
}

}  // namespace matinee::ann
