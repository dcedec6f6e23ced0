#pragma once

#include <whence/runtime/metrics.hpp>

#include <initializer_list>
#include <string_view>

namespace whence::inline v0 {

/// Says how Prometheus takes a metric.
enum class metric_type : u8 { counter, gauge, histogram };

/// Names the unit in which a metric is counted.
enum class metric_unit : u8 {
    count,
    time,  // in nanoseconds, told in seconds
};

/// Says how the values of several runtimes become one.
enum class metric_merge : u8 {
    sum,
    per_runtime,  // they do not: each has a label `runtime`
    smallest,
};

/// Describes one metric: a constant with static lifetime, whose address identifies it.
struct metric {
    std::string_view name;    // whence_..., the unit and _total last, as Prometheus has it
    std::string_view labels;  // their names, "listener, reason"; empty: none
    std::string_view meaning;
    metric_type type = metric_type::counter;
    metric_unit unit = metric_unit::count;
    metric_merge merge = metric_merge::sum;
};

/// Is one label of a sample, such as reason="idle".
struct metric_label {
    std::string_view name;
    std::string_view value;
};
/// Are a sample's labels, in the order in which they are told.
using metric_labels = std::initializer_list<metric_label>;

/// Takes the values of metric blocks, one by one.
class metric_reader {
public:
    virtual ~metric_reader() = default;
    virtual void number(const metric& which, metric_labels labels, i64 value) = 0;
    virtual void histogram(const metric& which, metric_labels labels,
                           const histogram_values& values) = 0;
};

/// Is a set of counters that one thread writes: a runtime's, a server's, an application's own.
/// limits: lives in the runtime_metrics that it was added to, and as long.
class metric_block {
public:
    metric_block() = default;
    metric_block(const metric_block&) = delete;
    metric_block& operator=(const metric_block&) = delete;
    virtual ~metric_block() = default;

    /// Tells all values. From any thread.
    virtual void read(metric_reader& to) const = 0;

private:
    friend class runtime_metrics;
    metric_block* next_ = nullptr;
};

}  // namespace whence::inline v0
