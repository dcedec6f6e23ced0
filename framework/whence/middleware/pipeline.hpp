#pragma once

#include <whence/net/application.hpp>

#include <array>
#include <tuple>

namespace whence::inline v0 {

/// Is a layer that runs before the session and is gone when it starts.
template <class Layer>
concept gate = requires(const Layer& layer, connection& conn) {
    {
        layer(conn)
    } -> std::same_as<task<verdict>>;
};

namespace internal {

/// Stands for the rest of a pipeline where only its shape matters.
struct any_rest {
    task<> operator()(connection& conn) const;
};

}  // namespace internal

/// Is a layer that surrounds the rest of a connection's life: a coroutine with a hole in the
/// middle.
template <class Layer>
concept wrapper = requires(const Layer& layer, connection& conn, const internal::any_rest& next) {
    {
        layer(conn, next)
    } -> std::same_as<task<>>;
};

namespace internal {

template <class Layer, class Rest>
task<> through_gate(const Layer& layer, const Rest& rest, connection& conn)
{
    verdict answer = co_await layer(conn);
    if (!answer.passed())
        throw refused{std::move(answer)};
    co_await rest(conn);
}

/// Holds a layer and, by value, all that comes after it.
template <class Layer, class... Rest>
struct chain {
    Layer layer;
    chain<Rest...> rest;

    explicit chain(Layer first, Rest... others)
        : layer(std::move(first)), rest(std::move(others)...)
    {}

    task<> operator()(connection& conn) const
    {
        if constexpr (gate<Layer>)
            return through_gate(layer, rest, conn);
        else
            return layer(conn, rest);
    }
};

template <class Handler>
struct chain<Handler> {
    Handler layer;

    explicit chain(Handler last) : layer(std::move(last)) {}

    task<> operator()(connection& conn) const { return layer(conn); }
};

/// Counts the gates that stand before everything else.
template <class First, class... Rest>
constexpr std::size_t leading_gates()
{
    if constexpr (gate<First>)
        return 1 + leading_gates<Rest...>();
    else
        return 0;
}

/// Tells whether a layer judges clients (`static constexpr bool judges_client = true`), or makes
/// them known (`names_client`).
template <class Layer>
constexpr bool judges_client = requires { requires Layer::judges_client; };
template <class Layer>
constexpr bool names_client = requires { requires Layer::names_client; };

/// Tells whether no layer judges clients before a later one has made them known.
template <class First, class... Rest>
constexpr bool judges_behind_names()
{
    if constexpr (sizeof...(Rest) == 0)
        return true;
    else
        return !(judges_client<First> && (names_client<Rest> || ...)) &&
               judges_behind_names<Rest...>();
}

template <class... Layers>
class pipeline_application final : public application {
public:
    explicit pipeline_application(chain<Layers...> layers) : layers_(std::move(layers))
    {
        collect(layers_);
    }

    std::span<const gate_reference> gates() const noexcept override { return gates_; }
    task<> session(connection& conn) const override { return session_from<0>(layers_, conn); }

private:
    static constexpr std::size_t gates_count = leading_gates<Layers...>();

    template <std::size_t I = 0, class Chain>
    void collect(const Chain& at)
    {
        if constexpr (I < gates_count) {
            using layer = std::remove_cvref_t<decltype(at.layer)>;
            gates_[I] = {[](const void* self, connection& conn) {
                             return (*static_cast<const layer*>(self))(conn);
                         },
                         &at.layer};
            collect<I + 1>(at.rest);
        }
    }

    template <std::size_t I, class Chain>
    static task<> session_from(const Chain& at, connection& conn)
    {
        if constexpr (I < gates_count)
            return session_from<I + 1>(at.rest, conn);
        else
            return at(conn);
    }

    chain<Layers...> layers_;
    std::array<gate_reference, gates_count> gates_;
};

}  // namespace internal

/// Is what pipeline() returns: layers in order, the handler last. A value, until it serves.
template <class... Layers>
class pipeline_of {
public:
    explicit pipeline_of(Layers... layers) : layers_(std::move(layers)...) {}

    /// Puts it where it no longer moves, ready to serve.
    std::unique_ptr<const application> seal() &&
    {
        return std::make_unique<const internal::pipeline_application<Layers...>>(
            std::move(layers_));
    }

private:
    internal::chain<Layers...> layers_;
};

/// Composes layers and a handler, in the order in which the bytes of a connection meet them.
/// shape: a gate is `task<verdict>(connection&)`, a wrapper `task<>(connection&, auto const&
/// next)`, the handler `task<>(connection&)`; all callable when const, since all connections share
/// them.
template <class... Layers>
auto pipeline(Layers... layers)
{
    using all = std::tuple<Layers...>;
    constexpr std::size_t last = sizeof...(Layers) - 1;
    constexpr bool well_formed = []<std::size_t... I>(std::index_sequence<I...>) {
        return ((I == last ? handler<std::tuple_element_t<I, all>>
                           : gate<std::tuple_element_t<I, all>> ||
                                 wrapper<std::tuple_element_t<I, all>>) &&
                ...);
    }(std::index_sequence_for<Layers...>{});
    static_assert(well_formed,
                  "a pipeline is made of gates, task<verdict>(connection&), and wrappers, "
                  "task<>(connection&, auto const& next), and ends with a handler, "
                  "task<>(connection&); each is callable when const");
    static_assert(!well_formed || internal::judges_behind_names<Layers...>(),
                  "a layer that judges clients stands behind the layer that knows them: "
                  "proxy_protocol::accept comes first");
    if constexpr (well_formed)
        return pipeline_of<Layers...>{std::move(layers)...};
}

}  // namespace whence::inline v0
