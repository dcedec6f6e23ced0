#pragma once

#include <whence/base/check.hpp>

namespace whence::inline v0 {

/// Links an object into one intrusive_list; the tag tells several such bases of one class apart.
/// An object leaves its list before it dies.
template <class Tag>
struct list_node {
    list_node() = default;
    list_node(const list_node&) = delete;
    list_node& operator=(const list_node&) = delete;

    bool linked() const noexcept { return next != nullptr; }

    void unlink() noexcept
    {
        previous->next = next;
        next->previous = previous;
        previous = next = nullptr;
    }

    list_node* previous = nullptr;
    list_node* next = nullptr;
};

/// Chains objects that live elsewhere, without allocation; every step is O(1).
/// shape: circular through a sentinel, so the list itself must not move.
template <class T, class Tag = T>
class intrusive_list {
public:
    using node = list_node<Tag>;

    intrusive_list() noexcept { ends_.previous = ends_.next = &ends_; }
    intrusive_list(const intrusive_list&) = delete;
    intrusive_list& operator=(const intrusive_list&) = delete;

    bool empty() const noexcept { return ends_.next == &ends_; }
    T& front() noexcept { return static_cast<T&>(*ends_.next); }

    void push_back(T& item) noexcept
    {
        node& link = item;
        expects(!link.linked(), "an object can be in one list at a time");
        link.previous = ends_.previous;
        link.next = &ends_;
        ends_.previous->next = &link;
        ends_.previous = &link;
    }

    T& pop_front() noexcept
    {
        T& item = front();
        static_cast<node&>(item).unlink();
        return item;
    }

    /// Moves everything of `other` behind what is here.
    void splice(intrusive_list& other) noexcept
    {
        if (other.empty())
            return;
        node& first = *other.ends_.next;
        node& last = *other.ends_.previous;
        other.ends_.previous = other.ends_.next = &other.ends_;
        first.previous = ends_.previous;
        ends_.previous->next = &first;
        last.next = &ends_;
        ends_.previous = &last;
    }

    /// Calls `visit` for each; the visited object may unlink itself, no other may leave meanwhile.
    template <class Visit>
    void for_each(Visit visit)
    {
        for (node* at = ends_.next; at != &ends_;) {
            T& item = static_cast<T&>(*at);
            at = at->next;
            visit(item);
        }
    }

private:
    node ends_;
};

}  // namespace whence::inline v0
