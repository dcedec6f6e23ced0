#pragma once

#include <whence/coro/task.hpp>

#include <exception>
#include <string>

namespace whence::inline v0 {

/// Stops what lies below it: a node of the tree along which cancellation travels.
/// resumes: stop() cancels every operation below at once and returns; the strands run on later,
/// each seeing its cancellation at the await where it waits or at the next one it starts.
class cancel_scope : list_node<cancel_scope> {
public:
    cancel_scope(const cancel_scope&) = delete;
    cancel_scope& operator=(const cancel_scope&) = delete;

    /// Stops everything below, now and for what starts later. Idempotent.
    void stop() noexcept;
    bool stopped() const noexcept { return stopped_; }

    /// Calls `visit` for each strand below.
    template <class Visit>
    void for_each_below(Visit visit)
    {
        walk([](void* to, const strand& each) { (*static_cast<Visit*>(to))(each); }, &visit);
    }

    /// The scope in which it was made; null for a root.
    const cancel_scope* parent() const noexcept { return parent_; }
    /// Names it for dumps.
    virtual const char* name() const noexcept = 0;

protected:
    using visitor = void (*)(void*, const strand&);

    /// A child of `parent`, stopped if that is.
    explicit cancel_scope(cancel_scope* parent) noexcept;
    virtual ~cancel_scope();

private:
    friend class intrusive_list<cancel_scope>;
    virtual void stop_strands() noexcept = 0;
    virtual void walk_strands(visitor visit, void* to) = 0;
    void walk(visitor visit, void* to);

protected:
    cancel_scope* parent_;
    bool stopped_ = false;
    bool shielded_ = false;  // a stop from above does not reach it

private:
    intrusive_list<cancel_scope> children_;
};

namespace internal {

/// Is what a scope spawns: a coroutine whose promise is the strand, so that a session needs one
/// frame. Framework code only; users spawn tasks.
/// shape: owns its frame until a scope takes it over. Whoever spawns several makes all of them
/// first: what fails for want of memory fails there, while no scope has anything to join.
class [[nodiscard]] spawned {
public:
    struct promise_type : strand {
        static void* operator new(std::size_t size) { return allocate_frame(size); }
        static void operator delete(void* frame, std::size_t size) noexcept
        {
            free_frame(frame, size);
        }
        spawned get_return_object() noexcept
        {
            return spawned{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        struct final_awaiter {
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> ended) const noexcept
            {
                internal::ctx.finished = &ended.promise();
            }
            void await_resume() const noexcept {}
        };
        std::suspend_always initial_suspend() const noexcept { return {}; }
        final_awaiter final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() noexcept;
    };

    spawned(spawned&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    spawned& operator=(spawned&&) = delete;
    ~spawned()
    {
        if (handle_)
            handle_.destroy();
    }

    /// For dumps; static.
    void set_name(const char* name) noexcept { handle_.promise().name = name; }
    std::coroutine_handle<promise_type> release() noexcept { return std::exchange(handle_, {}); }

private:
    explicit spawned(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

    std::coroutine_handle<promise_type> handle_;
};

/// Makes a task ready to be spawned.
/// errors: std::bad_alloc.
spawned strand_of(task<> work);

}  // namespace internal

/// Says in dumps what a scope is for and, if its strands have a subject, whom one works for.
/// shape: a constant with static lifetime. `describe` appends members of a JSON object, each with a
/// comma in front.
struct scope_label {
    const char* name;
    void (*describe)(const void* subject, std::string& out) = nullptr;
};

/// Owns the strands that it spawns, and joins them: nothing runs on when its scope has gone.
/// A child that throws stops its siblings; join() rethrows the first error when all have ended.
/// limits: joined before it is destroyed (in_scope() does it on every way out); one joiner.
class scope final : public cancel_scope, carrier {
public:
    /// A child of the innermost scope of the running strand, or a root outside of any.
    scope() noexcept;
    /// A root, wherever it is made: a runtime's.
    struct root_tag {};
    explicit scope(root_tag) noexcept : cancel_scope(nullptr) {}
    ~scope() override;

    /// Starts `work` in a strand of its own.
    /// resumes: `work` first runs in a later turn of the caller's strand, never inside the call.
    /// shape: `name`, for dumps, is static.
    void spawn(task<> work, std::source_location where = std::source_location::current());
    void spawn(task<> work, const char* name,
               std::source_location where = std::source_location::current());
    void spawn(internal::spawned body,
               std::source_location where = std::source_location::current()) noexcept;

    /// Takes over a strand from another scope; its deadlines must have been left.
    void adopt(strand& child) noexcept;

    /// Waits until every child has ended. A stop of the waiting strand is passed on to the
    /// children; the wait still lasts until they have ended.
    /// errors: the first exception of a child, `cancelled` aside.
    class join_awaiter;
    join_awaiter join(std::source_location where = std::source_location::current()) noexcept;

    /// Labels it for dumps.
    void set_label(const scope_label& label) noexcept { label_ = &label; }
    const scope_label* label() const noexcept { return label_; }
    const char* name() const noexcept override
    {
        if (label_)
            return label_->name;
        return parent_ ? "scope" : "root";
    }

    /// Counts the children that have not ended.
    std::size_t size() const noexcept { return size_; }

private:
    friend void internal::run_ready() noexcept;
    friend struct internal::spawned::promise_type;
    void stop_strands() noexcept override;
    void walk_strands(visitor visit, void* to) override;
    void submit(operation& op) noexcept override;
    void cancel(operation& op) noexcept override;
    void child_failed(std::exception_ptr error) noexcept;
    void child_ended(strand& child) noexcept;

    intrusive_list<strand> strands_;
    std::size_t size_ = 0;
    const scope_label* label_ = nullptr;
    operation* joiner_ = nullptr;
    std::exception_ptr error_;
};

class [[nodiscard]] scope::join_awaiter {
public:
    explicit join_awaiter(scope& joined) noexcept : joined_(joined) {}

    bool await_ready() const noexcept { return joined_.size_ == 0; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept;
    void await_resume();
    /// Gives the first exception of a child, or null; as_result(join()) asks for it.
    std::exception_ptr outcome() noexcept { return std::exchange(joined_.error_, {}); }

private:
    scope& joined_;
};

/// Runs `body(scope&)` and joins what it spawned, on every way out: the shape for concurrency
/// inside a task. When the body throws, the children are stopped first.
/// errors: what the body threw, else the first exception of a child.
template <class Body>
task<> in_scope(Body body)
{
    scope children;
    std::exception_ptr failure;
    try {
        co_await body(children);
    } catch (...) {
        failure = std::current_exception();
        children.stop();
    }
    auto join = as_result(children.join());
    std::exception_ptr failure_of_child = co_await join;
    if (!failure)
        failure = std::move(failure_of_child);
    if (failure)
        std::rethrow_exception(failure);
}

}  // namespace whence::inline v0
