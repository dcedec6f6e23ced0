#pragma once

#include <whence/runtime/invoke_on.hpp>

#include <deque>

namespace whence::inline v0 {

/// Holds one T for each runtime of the group, so that what counts or caches needs no lock.
/// shape: all are made and destroyed by the strand that owns this; each is used by its runtime
/// only. limits: destroyed when no call is under way, in any runtime.
template <class T>
class sharded {
public:
    /// Makes each T from the same arguments.
    template <class... Arguments>
    explicit sharded(const Arguments&... arguments) : group_(runtime::current().group())
    {
        for (std::size_t i = 0; i < group_.size(); ++i)
            shards_.emplace_back(arguments...);
    }
    sharded(const sharded&) = delete;
    sharded& operator=(const sharded&) = delete;

    /// The one of the running runtime.
    T& local() noexcept { return shards_[runtime::current().index()].value; }

    std::size_t size() const noexcept { return shards_.size(); }

    /// Runs `work(T&)`, a task, where the shard lives.
    template <class Work>
    auto invoke_on(std::size_t index, Work work)
        -> task<typename std::invoke_result_t<Work&, T&>::value_type>
    {
        expects(index < shards_.size(), "a shard for each runtime, no more");
        return whence::invoke_on(*group_[index], bound<Work>{work, shards_[index].value});
    }

    /// Runs `work(T&)` at each shard, one after the other, and adds up what it gives.
    template <class Work>
    auto sum(Work work) -> task<typename std::invoke_result_t<Work&, T&>::value_type>
    {
        typename std::invoke_result_t<Work&, T&>::value_type all{};
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            auto asking = invoke_on(i, work);
            auto one = co_await asking;
            all += one;
        }
        co_return all;
    }

private:
    template <class Work>
    struct bound {
        Work work;
        T& at;
        auto operator()() { return work(at); }
    };

    // A line each, so that neighbours do not slow each other down.
    struct alignas(64) shard {
        template <class... Arguments>
        explicit shard(const Arguments&... arguments) : value(arguments...)
        {}
        T value;
    };

    std::span<runtime* const> group_;
    std::deque<shard> shards_;
};

}  // namespace whence::inline v0
