#pragma once

#include <whence/runtime/runtime_metrics.hpp>

#include <string>
#include <vector>

namespace whence::inline v0 {

/// Prints what runtimes count, summed over them, in Prometheus' text format. From any thread.
/// shape: the order of `runtimes` gives the label `runtime`, "0", "1", ..., of those few metrics
/// that are told by runtime. A metric without a value is left out.
/// units: bytes and seconds.
/// errors: std::bad_alloc.
/// source: Prometheus, "Exposition formats", text-based format 0.0.4; docs/metrics.md lists all.
std::string prometheus_text(std::span<const runtime_metrics* const> runtimes);

/// Lists the metrics of the framework: what docs/metrics.md documents.
std::vector<const metric*> known_metrics();

}  // namespace whence::inline v0
