#include <whence/net/application.hpp>

namespace whence::inline v0 {

verdict verdict::refuse(const char* reason, std::string detail)
{
    verdict refused;
    refused.reason_ = reason;
    if (!detail.empty())
        refused.detail_ = std::make_unique<const std::string>(std::move(detail));
    return refused;
}

verdict verdict::refuse_quietly(const char* reason) noexcept
{
    verdict refused;
    refused.reason_ = reason;
    refused.quiet_ = true;
    return refused;
}

}  // namespace whence::inline v0
