#include <whence/coro/task_dump.hpp>

#include <whence/base/text.hpp>

#include <algorithm>
#include <cstring>
#include <functional>

namespace whence::inline v0 {

namespace {

// Names of template instances and paths have no bound of their own.
constexpr std::size_t text_max = 160;
constexpr std::size_t scopes_max = 8;

/// Is a place in the source, and how many tasks wait there.
struct place {
    std::source_location at;
    u64 count = 0;
    time_point oldest = time_point::max();

    bool is_at(const std::source_location& other) const noexcept
    {
        return at.line() == other.line() && std::strcmp(at.file_name(), other.file_name()) == 0;
    }
    void add(const strand& task) noexcept
    {
        ++count;
        oldest = std::min(oldest, task.since);
    }
};

void add_text(std::string& out, std::string_view key, std::string_view value)
{
    out += ",\"";
    out += key;
    out += "\":";
    json_text(out, value);
}

void add_number(std::string& out, std::string_view key, u64 value)
{
    out += ",\"";
    out += key;
    out += "\":" + std::to_string(value);
}

void add_milliseconds(std::string& out, std::string_view key, nanoseconds time)
{
    const auto whole = std::chrono::duration_cast<milliseconds>(time).count();
    add_number(out, key, static_cast<u64>(std::max<i64>(whole, 0)));
}

/// Appends `"at":..., "function":...`, a path's end and a name's begin.
void add_place(std::string& out, const std::source_location& where)
{
    const std::string_view file = where.file_name();
    out += "\"at\":";
    json_text(out, std::string{file.substr(file.size() - std::min(file.size(), text_max))} + ":" +
                       std::to_string(where.line()));
    add_text(out, "function", std::string_view{where.function_name()}.substr(0, text_max));
}

std::string path_of(const cancel_scope* scope)
{
    std::string path;
    for (std::size_t depth = 0; scope; scope = scope->parent()) {
        if (++depth > scopes_max)
            return ".../" + path;
        path = path.empty() ? scope->name() : scope->name() + ("/" + path);
    }
    return path;
}

const char* state_of(const strand& task) noexcept
{
    if (task.state == operation_state::idle)
        return "running";
    if (task.state == operation_state::ready)
        return "ready";
    return task.stopped ? "stopped" : "waiting";
}

/// Counts the tasks by place; the last place stands for what found no room.
class census {
public:
    explicit census(std::size_t places_max) : places_max_(places_max) {}

    void add(const strand& task)
    {
        ++tasks_;
        auto found = std::ranges::find_if(
            places_, [&task](const place& each) { return each.is_at(task.where); });
        if (found == places_.end() && places_.size() == places_max_)
            return elsewhere_.add(task);
        if (found == places_.end())
            found = places_.insert(places_.end(), place{.at = task.where});
        found->add(task);
    }

    void print(time_point now, std::string& out)
    {
        std::ranges::sort(places_, std::greater{}, &place::count);
        out += "{\"event\":\"tasks\"";
        add_number(out, "count", tasks_);
        add_number(out, "places", places_.size() + (elsewhere_.count != 0));
        out += "}\n";
        for (const place& each : places_) {
            out += "{\"event\":\"tasks_at\",";
            add_place(out, each.at);
            finish(each, now, out);
        }
        if (elsewhere_.count != 0) {
            out += R"({"event":"tasks_at","at":"elsewhere","function":"")";
            finish(elsewhere_, now, out);
        }
    }

private:
    static void finish(const place& each, time_point now, std::string& out)
    {
        add_number(out, "count", each.count);
        add_milliseconds(out, "oldest_ms", now - each.oldest);
        out += "}\n";
    }

    std::size_t places_max_;
    u64 tasks_ = 0;
    std::vector<place> places_;
    place elsewhere_;
};

}  // namespace

std::vector<const strand*> oldest_tasks(cancel_scope& top, std::size_t count_max)
{
    const auto older = [](const strand* a, const strand* b) { return a->since < b->since; };
    std::vector<const strand*> oldest;  // a heap: the youngest of them in front
    top.for_each_below([&](const strand& task) {
        if (oldest.size() == count_max) {
            if (oldest.empty() || !older(&task, oldest.front()))
                return;
            std::ranges::pop_heap(oldest, older);
            oldest.pop_back();
        }
        oldest.push_back(&task);
        std::ranges::push_heap(oldest, older);
    });
    std::ranges::sort_heap(oldest, older);
    return oldest;
}

void describe_task(const strand& task, time_point now, std::string& out, std::string_view first)
{
    out += '{';
    out += first;
    add_place(out, task.where);
    add_text(out, "state", state_of(task));
    add_milliseconds(out, "for_ms", now - task.since);
    add_text(out, "in", path_of(task.owner));
    if (task.name)
        add_text(out, "name", task.name);
    const scope_label* const label = task.owner->label();
    if (task.subject && label && label->describe)
        label->describe(task.subject, out);
    out += '}';
}

void dump_tasks(cancel_scope& top, time_point now, std::string& out,
                const task_dump_options& options)
{
    census all{options.places_max};
    top.for_each_below([&all](const strand& task) { all.add(task); });
    all.print(now, out);
    for (const strand* task : oldest_tasks(top, options.tasks_max)) {
        describe_task(*task, now, out, R"("event":"task",)");
        out += '\n';
    }
}

}  // namespace whence::inline v0
