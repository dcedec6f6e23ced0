// Run at configure time (cmake/compilers.cmake). Exit status: 0, or the sum of the bugs that this
// compiler has: 1 = case A, a coroutine without locals and a co_await in a condition never finishes
// (GCC PR106188, PR106713); 2 = case B, a lambda with captures in the same expression as a co_await
// is destroyed twice (PR100611, PR101367). g++ 12 has both.
#include <coroutine>
#include <exception>
#include <utility>

namespace {

struct task {
    struct promise_type {
        struct final_awaiter {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept
            {
                return done.promise().continuation;
            }
            void await_resume() noexcept {}
        };
        task get_return_object()
        {
            return task{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        final_awaiter final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
        std::coroutine_handle<> continuation = std::noop_coroutine();
    };

    explicit task(std::coroutine_handle<promise_type> h) : handle(h) {}
    task(task&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
    ~task()
    {
        if (handle)
            handle.destroy();
    }
    bool await_ready() { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter)
    {
        handle.promise().continuation = waiter;
        return handle;
    }
    void await_resume() {}

    std::coroutine_handle<promise_type> handle;
};

struct ready {
    bool await_ready() { return true; }
    void await_suspend(std::coroutine_handle<>) {}
    bool await_resume() { return true; }
};

bool leaf_ran = false;
task leaf()
{
    leaf_ran = true;
    co_return;
}
task case_a(int)
{
    if (co_await ready{})
        co_await leaf();
}

int alive = 0;
struct counted {
    counted() { ++alive; }
    counted(const counted&) { ++alive; }
    counted(counted&&) noexcept { ++alive; }
    ~counted() { --alive; }
};
template <class Function>
task call(Function f)
{
    f();
    co_return;
}
task case_b()
{
    counted captured;
    co_await call([captured] { (void)captured; });
}

bool finishes(task t)
{
    t.handle.resume();
    return t.handle.done();
}

}  // namespace

int main()
{
    int bugs = 0;
    if (!finishes(case_a(1)) || !leaf_ran)
        bugs += 1;
    if (!finishes(case_b()) || alive != 0)
        bugs += 2;
    return bugs;
}
