#include <whence/proxy_protocol/encode.hpp>

#include <whence/base/text.hpp>
#include <whence/proxy_protocol/crc32c.hpp>

#include <algorithm>
#include <charconv>

namespace whence::inline v0::proxy_protocol {
namespace {

constexpr std::size_t entry_size_min = 3;
constexpr std::size_t crc_entry_size = 7;
constexpr std::size_t ssl_value_size_min = 5;

/// Two endpoints in the one family that can carry both.
struct address_pair {
    proxy_protocol::family family = proxy_protocol::family::unspec;
    ip_address source, destination;
};

address_pair join(const endpoint& source, const endpoint& destination) noexcept
{
    if (source.is_unix() && destination.is_unix())
        return {family::unix_socket, {}, {}};
    if (!source.is_ip() || !destination.is_ip())
        return {};
    const auto from = source.address().canonical();
    const auto to = destination.address().canonical();
    if (from.is_v4() && to.is_v4())
        return {family::inet, from, to};
    return {family::inet6, from.mapped(), to.mapped()};
}

/// The sub-entries of an SSL entry, in the order of their types.
struct ssl_entries {
    std::array<tlv, 8> list{};
    std::size_t count = 0;
    std::size_t size = 0;

    explicit ssl_entries(const ssl_fields& ssl) noexcept
    {
        add(tlv_type::ssl_version, as_bytes(ssl.version));
        if (ssl.client_cert)
            add(tlv_type::ssl_cn, as_bytes(ssl.client_cert->cn));
        add_text(tlv_type::ssl_cipher, ssl.cipher);
        add_text(tlv_type::ssl_sig_alg, ssl.sig_alg);
        add_text(tlv_type::ssl_key_alg, ssl.key_alg);
        add_text(tlv_type::ssl_group, ssl.group);
        add_text(tlv_type::ssl_sig_scheme, ssl.sig_scheme);
        if (ssl.client_cert && !ssl.client_cert->der.empty())
            add(tlv_type::ssl_client_cert, ssl.client_cert->der);
    }
    void add_text(tlv_type type, std::string_view text) noexcept
    {
        if (!text.empty())
            add(type, as_bytes(text));
    }
    void add(tlv_type type, const_bytes value) noexcept
    {
        list[count++] = {type, value};
        size += entry_size_min + value.size();
    }
};

/// Everything about a version 2 header that must be known before its first byte is written.
struct plan {
    address_pair pair;
    std::size_t padding = 0;  // the NOOP entry, type and length included
    std::size_t size = v2_fixed_size;
};

std::optional<encode_error> wrong_entry(const tlv& entry, bool allow_experimental) noexcept
{
    const auto type = static_cast<u8>(entry.type);
    if (entry.type == tlv_type::crc32c || entry.type == tlv_type::noop)
        return encode_error::tlv_reserved;
    if (type >= 0xf8)
        return encode_error::tlv_future;
    if (type >= 0xf0 && !allow_experimental)
        return encode_error::tlv_experimental;
    if (entry.type == tlv_type::unique_id && entry.value.size() > unique_id_size_max)
        return encode_error::unique_id_too_long;
    const bool is_ssl = entry.type == tlv_type::ssl;
    if (is_ssl &&
        (entry.value.size() < ssl_value_size_min || !ssl_tlv{entry.value}.tlvs().well_formed()))
        return encode_error::tlv_malformed;
    return std::nullopt;
}

std::size_t padding_for(std::size_t size, const encode_options& options) noexcept
{
    const auto padded = [&options](std::size_t at_least) {
        const auto wanted = std::max<std::size_t>(at_least, options.pad_to);
        const std::size_t align = std::max(options.align, 1u);
        return (wanted + align - 1) / align * align;
    };
    const auto gap = padded(size) - size;
    return gap == 0 || gap >= entry_size_min ? gap : padded(size + entry_size_min) - size;
}

result<plan, encode_error> make_plan(const endpoint& source, const endpoint& destination,
                                     const encode_options& options) noexcept
{
    plan made;
    if (options.command == command::local) {
        if (!options.tlvs.empty() || options.ssl != nullptr)
            return encode_error::local_no_tlvs;
        return made;
    }
    if (options.transport != transport::unspec)
        made.pair = join(source, destination);
    made.size += address_block_size(made.pair.family) + (options.crc32c ? crc_entry_size : 0);
    for (const auto& entry : options.tlvs) {
        if (const auto wrong = wrong_entry(entry, options.allow_experimental))
            return *wrong;
        made.size += entry_size_min + entry.value.size();
    }
    if (options.ssl != nullptr) {
        if (options.ssl->version.empty())
            return encode_error::ssl_version_missing;
        made.size += entry_size_min + ssl_value_size_min + ssl_entries{*options.ssl}.size;
    }
    made.padding = padding_for(made.size, options);
    made.size += made.padding;
    if (made.size > v2_fixed_size + 0xffff)
        return encode_error::too_large;
    return made;
}

/// Appends to room whose size the plan has settled.
class writer {
public:
    explicit writer(std::byte* at) noexcept : at_(at) {}

    template <class Integer>
    void integer(Integer value) noexcept
    {
        store_big(at_, value);
        at_ += sizeof(Integer);
    }
    void bytes(const_bytes from) noexcept { at_ = std::ranges::copy(from, at_).out; }
    void zeros(std::size_t count) noexcept { at_ = std::fill_n(at_, count, std::byte{0}); }
    void entry_head(tlv_type type, std::size_t size) noexcept
    {
        integer(static_cast<u8>(type));
        integer(static_cast<u16>(size));
    }
    void entry(const tlv& one) noexcept
    {
        entry_head(one.type, one.value.size());
        bytes(one.value);
    }
    void unix_name(const endpoint& from) noexcept
    {
        const auto* const begin = at_;
        if (from.kind() == endpoint_kind::unix_abstract)
            zeros(1);
        bytes(as_bytes(from.unix_name()));
        zeros(endpoint::unix_path_size_max - static_cast<std::size_t>(at_ - begin));
    }
    std::byte* at() const noexcept { return at_; }

private:
    std::byte* at_;
};

void write_addresses(writer& to, const address_pair& pair, const endpoint& source,
                     const endpoint& destination) noexcept
{
    switch (pair.family) {
    case family::unspec:
        return;
    case family::inet:
        to.bytes(pair.source.v4_bytes());
        to.bytes(pair.destination.v4_bytes());
        break;
    case family::inet6:
        to.bytes(pair.source.bytes());
        to.bytes(pair.destination.bytes());
        break;
    case family::unix_socket:
        to.unix_name(source);
        to.unix_name(destination);
        return;
    }
    to.integer(source.port());
    to.integer(destination.port());
}

void write_ssl(writer& to, const ssl_fields& ssl) noexcept
{
    const ssl_entries entries{ssl};
    const auto& cert = ssl.client_cert;
    const auto cert_bits = !cert ? 0
                           : cert->this_connection
                               ? ssl_tlv::client_cert_conn | ssl_tlv::client_cert_sess
                               : ssl_tlv::client_cert_sess;
    to.entry_head(tlv_type::ssl, ssl_value_size_min + entries.size);
    to.integer(static_cast<u8>(ssl_tlv::client_ssl | cert_bits));
    to.integer(cert ? cert->verify : u32{1});
    for (std::size_t i = 0; i < entries.count; ++i)
        to.entry(entries.list[i]);
}

void write_v2(std::byte* out, const plan& made, const endpoint& source, const endpoint& destination,
              const encode_options& options) noexcept
{
    writer to{out};
    const bool usable = made.pair.family != family::unspec;
    to.bytes(as_bytes(v2_signature));
    to.integer(static_cast<u8>(0x20 | static_cast<u8>(options.command)));
    to.integer(usable ? static_cast<u8>(static_cast<unsigned>(made.pair.family) << 4 |
                                        static_cast<unsigned>(options.transport))
                      : u8{0});
    to.integer(static_cast<u16>(made.size - v2_fixed_size));
    write_addresses(to, made.pair, source, destination);
    for (const auto& entry : options.tlvs)
        to.entry(entry);
    if (options.ssl != nullptr)
        write_ssl(to, *options.ssl);
    if (made.padding != 0) {
        to.entry_head(tlv_type::noop, made.padding - entry_size_min);
        to.zeros(made.padding - entry_size_min);
    }
    if (options.crc32c && options.command == command::proxy) {
        to.entry_head(tlv_type::crc32c, 4);
        auto* const sum = to.at();
        to.zeros(4);
        store_big(sum, crc32c({out, made.size}));
    }
}

result<std::size_t, encode_error> encode_v1(const endpoint& source, const endpoint& destination,
                                            const encode_options& options,
                                            mutable_bytes out) noexcept
{
    if (options.command == command::local)
        return encode_error::v1_local;
    if (options.transport == transport::dgram)
        return encode_error::v1_datagram;
    if (!options.tlvs.empty() || options.ssl != nullptr || options.crc32c || options.pad_to != 0 ||
        options.align != 0)
        return encode_error::v1_no_tlvs;
    std::array<char, v1_size_max> line;
    auto* at = line.data();
    const auto put = [&at](std::string_view text) { at = std::ranges::copy(text, at).out; };
    const auto pair = join(source, destination);
    if (pair.family == family::inet || pair.family == family::inet6) {
        put(pair.family == family::inet ? "PROXY TCP4 " : "PROXY TCP6 ");
        for (const auto& address : {pair.source, pair.destination}) {
            std::array<char, ip_address::text_size_max> text;
            put(address.print(text));
            put(" ");
        }
        at = std::to_chars(at, at + 5, source.port()).ptr;
        put(" ");
        at = std::to_chars(at, at + 5, destination.port()).ptr;
    } else {
        put("PROXY UNKNOWN");
    }
    put("\r\n");
    const auto size = static_cast<std::size_t>(at - line.data());
    if (out.size() < size)
        return encode_error::room_too_small;
    std::ranges::copy(as_bytes({line.data(), size}), out.begin());
    return size;
}

}  // namespace

std::string_view to_string(encode_error value) noexcept
{
    constexpr auto names = std::to_array<std::string_view>({
        "version_unknown",
        "room_too_small",
        "too_large",
        "v1_datagram",
        "v1_local",
        "v1_no_tlvs",
        "local_no_tlvs",
        "tlv_reserved",
        "tlv_future",
        "tlv_experimental",
        "tlv_malformed",
        "unique_id_too_long",
        "ssl_version_missing",
    });
    static_assert(names.size() == static_cast<std::size_t>(encode_error::ssl_version_missing) + 1);
    return names[static_cast<std::size_t>(value)];
}

result<std::size_t, encode_error> encode(const endpoint& source, const endpoint& destination,
                                         const encode_options& options, mutable_bytes out) noexcept
{
    if (options.version == 1)
        return encode_v1(source, destination, options, out);
    if (options.version != 2)
        return encode_error::version_unknown;
    const auto made = make_plan(source, destination, options);
    if (!made)
        return made.error();
    if (out.size() < made->size)
        return encode_error::room_too_small;
    write_v2(out.data(), *made, source, destination, options);
    return made->size;
}

result<std::vector<std::byte>, encode_error>
encode(const endpoint& source, const endpoint& destination, const encode_options& options)
{
    std::vector<std::byte> out(v1_size_max);
    if (options.version == 2) {
        const auto made = make_plan(source, destination, options);
        if (!made)
            return made.error();
        out.resize(made->size);
    }
    const auto size = encode(source, destination, options, out);
    if (!size)
        return size.error();
    out.resize(*size);
    return out;
}

}  // namespace whence::inline v0::proxy_protocol
