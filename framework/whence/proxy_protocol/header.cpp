#include <whence/proxy_protocol/header.hpp>

#include <whence/base/text.hpp>

#include <algorithm>

namespace whence::inline v0::proxy_protocol {
namespace {

/// Reads a UNIX name of 108 bytes: a path up to its NUL; behind a leading NUL an abstract name, the
/// NULs at its end being padding; or nothing at all.
endpoint unix_endpoint(std::string_view bytes)
{
    const auto end = bytes.find_last_not_of('\0') + 1;
    if (end == 0)
        return endpoint::unix_unnamed();
    if (bytes.front() == '\0')
        return endpoint::unix_abstract(bytes.substr(1, end - 1));
    return endpoint::unix_path(bytes.substr(0, bytes.find('\0')));
}

/// Reads the first (0) or the second (1) address of a block.
endpoint block_endpoint(family kind, const_bytes block, std::size_t which)
{
    const auto port = [&](std::size_t ports) { return load_big<u16>(&block[ports + 2 * which]); };
    switch (kind) {
    case family::unspec:
        break;
    case family::inet:
        return {ip_address::v4(block.subspan(4 * which).first<4>()), port(8)};
    case family::inet6:
        return {ip_address::v6(block.subspan(16 * which).first<16>()), port(32)};
    case family::unix_socket:
        return unix_endpoint(as_text(block.subspan(108 * which, 108)));
    }
    return {};
}

}  // namespace

std::string_view to_string(command value) noexcept
{
    return value == command::local ? "LOCAL" : "PROXY";
}

std::string_view to_string(family value) noexcept
{
    constexpr std::array<std::string_view, 4> names{"UNSPEC", "INET", "INET6", "UNIX"};
    return names[static_cast<std::size_t>(value)];
}

std::string_view to_string(transport value) noexcept
{
    constexpr std::array<std::string_view, 3> names{"UNSPEC", "STREAM", "DGRAM"};
    return names[static_cast<std::size_t>(value)];
}

endpoint header_view::source_as_sent() const
{
    return block_endpoint(family(), address_block(), 0);
}

endpoint header_view::destination_as_sent() const
{
    return block_endpoint(family(), address_block(), 1);
}

header::header(const header_view& view) : fields_(view.fields())
{
    const auto block = view.address_block();
    const auto tlvs = view.tlvs().bytes();
    if (block.size() + tlvs.size() == 0)
        return;
    bytes_.reset(new std::byte[block.size() + tlvs.size()]);
    std::ranges::copy(tlvs, std::ranges::copy(block, bytes_.get()).out);
}

header_view header::view() const noexcept
{
    // The sizes follow from the fields: only a version 2 header with addresses has entries.
    const auto block_size = address_block_size(fields_.family);
    const auto with_tlvs = fields_.version == 2 && fields_.family != family::unspec;
    const auto tlvs_size = with_tlvs ? fields_.size - v2_fixed_size - block_size : 0;
    return {fields_, bytes_.get(), tlv_range{const_bytes{bytes_.get() + block_size, tlvs_size}}};
}

}  // namespace whence::inline v0::proxy_protocol
