#include <whence/observe/prometheus.hpp>

#include <whence/base/text.hpp>
#include <whence/net/server_metrics.hpp>

#include <map>

namespace whence::inline v0 {

namespace {

constexpr u64 nanoseconds_per_second = 1'000'000'000;

/// Prints a number in the unit in which it is told; nanoseconds as seconds, exactly.
std::string value_text(i64 value, metric_unit unit)
{
    if (unit == metric_unit::count)
        return std::to_string(value);
    const u64 size = value < 0 ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value);
    std::string text = (value < 0 ? "-" : "") + std::to_string(size / nanoseconds_per_second);
    if (const u64 rest = size % nanoseconds_per_second) {
        const std::string digits = std::to_string(rest + nanoseconds_per_second);
        text += '.' + digits.substr(1, digits.find_last_not_of('0'));
    }
    return text;
}

/// Appends a label's value, escaped; what is not UTF-8 becomes U+FFFD.
void add_escaped(std::string& out, std::string_view text)
{
    while (!text.empty()) {
        const std::size_t size = utf8_size(text);
        if (size == 0)
            out += "\xef\xbf\xbd";
        else if (text.front() == '\n')
            out += "\\n";
        else if (text.front() == '\\' || text.front() == '"')
            (out += '\\') += text.front();
        else
            out += text.substr(0, size);
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
}

void add_label(std::string& out, std::string_view name, std::string_view value)
{
    if (!out.empty())
        out += ',';
    out += name;
    out += "=\"";
    add_escaped(out, value);
    out += '"';
}

/// Gathers the values of all runtimes, by metric and labels.
class gathering final : public metric_reader {
public:
    /// What is read next belongs to this runtime.
    void enter(std::size_t runtime) { runtime_ = std::to_string(runtime); }

    std::string text() const
    {
        std::string out;
        for (const family& each : families_)
            print(each, out);
        return out;
    }

private:
    struct family {
        const metric* which;
        std::map<std::string, i64> numbers;  // by the text of their labels
        std::map<std::string, histogram_values> histograms;
    };

    void number(const metric& which, metric_labels labels, i64 value) override
    {
        auto [at, is_new] = family_of(which).numbers.try_emplace(text_of(which, labels), value);
        if (is_new)
            return;
        if (which.merge == metric_merge::smallest)
            at->second = std::min(at->second, value);
        else
            at->second += value;
    }

    void histogram(const metric& which, metric_labels labels,
                   const histogram_values& values) override
    {
        auto [at, is_new] = family_of(which).histograms.try_emplace(text_of(which, labels), values);
        if (!is_new)
            at->second.merge(values);
    }

    family& family_of(const metric& which)
    {
        for (family& each : families_) {
            if (each.which == &which)
                return each;
        }
        return families_.emplace_back(family{&which, {}, {}});
    }

    std::string text_of(const metric& which, metric_labels labels) const
    {
        std::string text;
        for (const metric_label& label : labels)
            add_label(text, label.name, label.value);
        if (which.merge == metric_merge::per_runtime)
            add_label(text, "runtime", runtime_);
        return text;
    }

    static void print(const family& from, std::string& out)
    {
        constexpr std::string_view types[] = {"counter", "gauge", "histogram"};
        const std::string name{from.which->name};
        // Meanings are ours: no line ends or backslashes in them.
        out += "# HELP " + name + ' ';
        out += from.which->meaning;
        out += "\n# TYPE " + name + ' ';
        out += types[static_cast<std::size_t>(from.which->type)];
        out += '\n';
        for (const auto& [labels, value] : from.numbers)
            add_sample(out, name, labels, value_text(value, from.which->unit));
        for (const auto& [labels, values] : from.histograms)
            print(name, labels, values, from.which->unit, out);
    }

    static void print(const std::string& name, const std::string& labels,
                      const histogram_values& values, metric_unit unit, std::string& out)
    {
        u64 up_to_here = 0;
        for (std::size_t i = 0; i <= values.bounds.size(); ++i) {
            up_to_here += values.counts[i];
            const bool last = i == values.bounds.size();
            std::string with_bound = labels;
            add_label(with_bound, "le",
                      last ? "+Inf" : value_text(static_cast<i64>(values.bounds[i]), unit));
            add_sample(out, name + "_bucket", with_bound, std::to_string(up_to_here));
        }
        add_sample(out, name + "_sum", labels, value_text(static_cast<i64>(values.sum), unit));
        add_sample(out, name + "_count", labels, std::to_string(up_to_here));
    }

    static void add_sample(std::string& out, const std::string& name, const std::string& labels,
                           const std::string& value)
    {
        out += name;
        if (!labels.empty())
            out += '{' + labels + '}';
        out += ' ' + value + '\n';
    }

    std::string runtime_;
    std::vector<family> families_;
};

}  // namespace

std::string prometheus_text(std::span<const runtime_metrics* const> runtimes)
{
    gathering all;
    for (std::size_t i = 0; i < runtimes.size(); ++i) {
        all.enter(i);
        runtimes[i]->read(all);
    }
    return all.text();
}

std::vector<const metric*> known_metrics()
{
    std::vector<const metric*> known;
    for (const auto all : {runtime_metrics::all(), server_metrics::all()}) {
        for (const metric& each : all)
            known.push_back(&each);
    }
    return known;
}

}  // namespace whence::inline v0
