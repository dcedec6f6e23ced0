#pragma once

#include <whence/base/check.hpp>

#include <system_error>
#include <utility>
#include <variant>

namespace whence::inline v0 {

/// Carries a value or the reason why there is none.
/// Read it by name (`r.value()`, `r.error()`): it is no tuple on purpose (g++ 15 and 16 forget the
/// destructor of a structured binding of an awaited tuple, PR124584).
template <class T, class Error = std::error_code>
class [[nodiscard]] result {
public:
    using value_type = T;
    using error_type = Error;

    result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    T& value() & { return checked(); }
    const T& value() const& { return const_cast<result&>(*this).checked(); }
    T&& value() && { return std::move(checked()); }
    T& operator*() & { return checked(); }
    const T& operator*() const& { return const_cast<result&>(*this).checked(); }
    T&& operator*() && { return std::move(checked()); }
    T* operator->() { return &checked(); }
    const T* operator->() const { return &const_cast<result&>(*this).checked(); }

    const Error& error() const&
    {
        expects(!has_value(), "error() of a result that holds a value");
        return *std::get_if<1>(&content_);
    }

private:
    T& checked()
    {
        expects(has_value(), "value of a result that holds an error");
        return *std::get_if<0>(&content_);
    }

    std::variant<T, Error> content_;
};

}  // namespace whence::inline v0
