#include <whence/middleware/client_limits.hpp>

#include <whence/middleware/client_table.hpp>

#include <random>
#include <stdexcept>
#include <string>

namespace whence::inline v0 {

namespace {

using internal::client_entry;
using internal::client_kind;
using internal::client_table;

/// Keeps a client's place for as long as a connection lives.
class client_place final : public connection_guest {
public:
    explicit client_place(std::shared_ptr<client_table> table) noexcept : table_(std::move(table))
    {}
    ~client_place() override
    {
        // A connection may outlive its runtime, and the clock with it; a later sweep knows better.
        if (entry_)
            table_->give(*entry_, internal::ctx.running ? now() : time_point::min());
    }

    /// Takes the place, or tells why there is none.
    const char* take(const internal::client_identity& client)
    {
        const client_table::answer answer = table_->take(client, now());
        entry_ = answer.entry;
        return answer.refusal;
    }

private:
    std::shared_ptr<client_table> table_;
    client_entry* entry_ = nullptr;
};

/// Makes the seed of a hash: a secret that changes no decision, so chance does no harm here.
internal::client_hash::seed random_seed()
{
    std::random_device source;
    internal::client_hash::seed seed;
    for (u64& word : seed)
        word = u64{source()} << 32 | source();
    return seed;
}

void check(bool sensible, const char* what)
{
    if (!sensible)
        throw std::invalid_argument(std::string{"client_limits: "} + what);
}

client_limits_options checked(const client_limits_options& options)
{
    check(options.connections_per_client_max != 0,
          "connections_per_client_max is 0, so nobody would be served");
    check(options.new_per_second_max != 0, "new_per_second_max is 0, so nobody would be served");
    check(options.new_burst_max == 0 ||
              options.new_per_second_max != client_limits_options::unlimited,
          "new_burst_max without new_per_second_max");
    check(options.clients_max != 0, "clients_max is 0, so nobody would be served");
    check(options.ipv4_prefix <= 32, "ipv4_prefix is above 32");
    check(options.ipv6_prefix <= 128, "ipv6_prefix is above 128");
    return options;
}

}  // namespace

client_limits::client_limits(client_limits_options options)
    : table_(std::make_shared<client_table>(checked(options), random_seed()))
{}

task<verdict> client_limits::operator()(connection& conn) const
{
    co_return judge(conn);
}

verdict client_limits::judge(connection& conn) const
{
    const internal::client_identity client = internal::identify_client(conn);
    if (client.kind == client_kind::local || client.kind == client_kind::unknown) {
        const bool local = client.kind == client_kind::local;
        const bool placed =
            internal::take_place(conn, {table_, local ? &table_->local : &table_->unknown});
        if (!placed)
            return verdict::refuse(local ? "local_connections" : "unknown_connections");
        return verdict::pass();
    }
    // The place is made first: without memory nothing has been counted.
    auto place = std::make_unique<client_place>(table_);
    if (const char* refusal = place->take(client))
        return verdict::refuse(refusal);
    conn.keep(std::move(place));
    return verdict::pass();
}

u32 client_limits::clients() const noexcept
{
    return table_->clients();
}

}  // namespace whence::inline v0
