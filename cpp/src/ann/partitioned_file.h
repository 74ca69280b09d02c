#pragma once

#include <memory>
#include <vector>

#include "ann/calibration.h"
#include "ann/centers.h"
#include "ann/index_file.h"
#include "ann/partition.h"

// How a partitioned index lies in its file; whoever makes one fills it by these.
namespace matinee::ann {

// The partitions as they lie in a file, which they keep.
std::vector<Partition> partitions_of(const std::shared_ptr<const IndexFile>& file);

void fill_centers(const IndexFile& file, const Centers& centers);
void fill_calibration(const IndexFile& file, const Calibration& calibration);
// Fills what follows from the ids and numbers of the rows at the slots.
void fill_orders(const IndexFile& file);
// Fills what follows from the codes of the rows.
void fill_sketches(const IndexFile& file);

}  // namespace matinee::ann
