#include <whence/sim/world.hpp>

#include <whence/sim/host_driver.hpp>

#include <algorithm>
#include <utility>

namespace whence::inline v0::sim {

namespace {

constexpr u64 turns_to_end = 1'000'000;  // that a killed program may take
constexpr time_point beginning{1h};

}  // namespace

// ---- host ---------------------------------------------------------------------------------------

host::host(internal::network& on, std::string name, const host_options& options)
    : name_(std::move(name)), system_(std::make_unique<internal::stack>(on, options))
{
    on.join(*system_);
}

host::~host() = default;

void host::start(task<> main)
{
    expects(finished_, "a simulated host runs one program at a time");
    runtime_.reset();
    system_->dead = system_->silent = false;
    auto driver = std::make_unique<internal::host_driver>(*system_);
    driver_ = driver.get();
    runtime_ = std::make_unique<runtime>(std::move(driver));
    due_ = {};
    finished_ = killed_ = false;
    error_ = nullptr;
    runtime_->start(std::move(main));
}

void host::kill()
{
    end(true);
}

void host::switch_off()
{
    end(false);
}

void host::end(bool told)
{
    if (!system_->dead || !told)
        system_->net.leave(*system_, told);
    if (finished_)
        return;
    killed_ = true;
    runtime_->ask_to_stop();
}

runtime& host::here() noexcept
{
    expects(runtime_ != nullptr, "a simulated host has a runtime once it was started");
    return *runtime_;
}

bool host::ended() const noexcept
{
    return finished_;
}

const std::string& host::output() const noexcept
{
    return system_->output[1];
}

const std::string& host::errors() const noexcept
{
    return system_->output[2];
}

std::size_t host::descriptors_open() const noexcept
{
    return system_->descriptors_open();
}

host_options& host::options() noexcept
{
    return system_->options;
}

/// Gives the program a turn, if it has something to do. False: it has not.
bool host::step()
{
    if (finished_ || (due_ > driver_->now() && !driver_->has_work()))
        return false;
    if (!runtime_->ended()) {
        due_ = later(driver_->now(), runtime_->step());
        if (!runtime_->ended())
            return true;
        runtime_->output().flush(1s);
        runtime_->errors().flush(1s);
    }
    // What was abandoned (a listener's accept) lives until its cancellation has come through.
    driver_->wait(nanoseconds::zero());
    due_ = time_point::max();
    finished_ = driver_->in_flight() == 0;
    if (!finished_)
        return true;
    try {
        runtime_->finish();
    } catch (...) {
        if (!killed_)
            error_ = std::current_exception();
    }
    return true;
}

/// Names what the program has left behind.
std::string host::left_behind() const
{
    std::string all;
    const auto complain = [&](std::size_t count, const char* what) {
        if (count != 0)
            all += name_ + " has left " + std::to_string(count) + ' ' + what + "; ";
    };
    if (!runtime_)
        return all;
    const buffer_pool& buffers = system_->buffers;
    complain(descriptors_open(), "descriptors open");
    complain(buffers.count() - buffers.available(), "buffers out");
    complain(runtime_->timers().size(), "timers armed");
    return all;
}

// ---- world --------------------------------------------------------------------------------------

world::world(const world_options& options)
    : options_(options), frames_(frames_in_use()),
      network_(std::make_unique<internal::network>(options.seed, options.network))
{}

world::~world()
{
    for (const auto& one : hosts_)
        one->kill();
    for (u64 turns = 0; turn(time_point::max()); ++turns)
        expects(turns < turns_to_end, "a program in a simulation ignores its cancellation");
}

host& world::add_host(std::string name, const host_options& options)
{
    hosts_.emplace_back(new host(*network_, std::move(name), options));
    return *hosts_.back();
}

host& world::add_host(std::string name, std::vector<std::string> addresses)
{
    return add_host(std::move(name), host_options{.addresses = std::move(addresses)});
}

/// Lets all that is possible now happen, or what is next by `until`. False: nothing is.
bool world::turn(time_point until)
{
    bool happened = false;
    const std::size_t first = hosts_.empty() ? 0 : network_->chance.below(hosts_.size());
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        if (hosts_[(first + i) % hosts_.size()]->step()) {
            happened = true;
            ++turns_;
        }
    }
    auto next = network_->next_due();
    if (happened && (!next || *next > network_->now()))
        return true;
    bool by_host = false;
    for (const auto& one : hosts_) {
        if (!one->ended() && (!next || one->due_ < *next)) {
            next = one->due_;
            by_host = true;
        }
    }
    if (!next || *next == time_point::max() || *next > until)
        return false;
    if (by_host)
        network_->pass(std::max(*next - network_->now(), nanoseconds::zero()));
    else
        network_->step();
    return true;
}

bool world::all_ended() const noexcept
{
    return std::ranges::all_of(hosts_, [](const auto& one) { return one->ended(); });
}

void world::go_on(time_point until)
{
    while (!all_ended() && network_->now() < until && turn(until)) {
        if (turns_ >= options_.turns_max)
            fail("it has not ended after " + std::to_string(turns_) + " turns");
    }
}

void world::run()
{
    go_on(later(network_->now(), options_.time_max));
    for (const auto& one : hosts_) {
        if (one->error_)
            std::rethrow_exception(std::exchange(one->error_, nullptr));
    }
    std::string waiting;
    for (const auto& one : hosts_) {
        if (!one->ended())
            waiting += "\nat " + one->name() + ":\n" + one->here().dump_tasks();
    }
    if (!waiting.empty())
        fail("it has not ended:" + waiting);
    check();
}

void world::run_for(nanoseconds time)
{
    const time_point until = later(network_->now(), time);
    go_on(until);
    if (network_->now() < until)
        network_->pass(until - network_->now());
}

void world::check() const
{
    std::string complaints;
    for (const auto& one : hosts_)
        complaints += one->left_behind();
    const auto frames = frames_in_use().frames - frames_.frames;
    if (frames != 0)
        complaints += std::to_string(frames) + " coroutine frames are left; ";
    if (!complaints.empty())
        fail(complaints);
}

void world::fail(const std::string& why) const
{
    throw failure(
        "seed " + std::to_string(options_.seed) + ", after " +
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(elapsed()).count()) +
        " us: " + why);
}

void world::at(nanoseconds since_start, std::function<void()> act)
{
    network_->at(later(beginning, since_start), std::move(act));
}

void world::connect(const host& a, const host& b, const network_options& options)
{
    network_->set_options(*a.system_, *b.system_, options);
}

void world::part(const host& a, const host& b)
{
    network_->cut(*a.system_, *b.system_);
}

void world::join(const host& a, const host& b)
{
    network_->mend(*a.system_, *b.system_);
}

nanoseconds world::elapsed() const noexcept
{
    return network_->now() - beginning;
}

random& world::chance() noexcept
{
    return network_->chance;
}

u64 world::digest() const noexcept
{
    return network_->digest();
}

void world::set_trace(std::function<void(std::string_view)> to)
{
    network_->set_trace(std::move(to));
}

// ---- a world of one -----------------------------------------------------------------------------

namespace {

struct small_world {
    small_world(const world_options& options, const host_options& host)
        : net(options.seed, options.network), system(net, host)
    {
        net.join(system);
        system.writes_through = true;
    }

    internal::network net;
    internal::stack system;
};

/// Brings its world along.
class lone_driver final : small_world, public internal::host_driver {
public:
    lone_driver(const world_options& options, const host_options& host)
        : small_world(options, host), host_driver(system)
    {}
    ~lone_driver() override
    {
        settle();
        expects(system.descriptors_open() == 0, "a simulated program closes its descriptors");
    }
};

}  // namespace

std::unique_ptr<driver> open_driver(const world_options& options, const host_options& host)
{
    return std::make_unique<lone_driver>(options, host);
}

}  // namespace whence::inline v0::sim
