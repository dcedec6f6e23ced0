#pragma once

/// Everything that a server needs; what this header exports is the API (docs/architecture.md).

#include <whence/address/endpoint.hpp>
#include <whence/address/network.hpp>
#include <whence/coro/channel.hpp>
#include <whence/coro/deadline.hpp>
#include <whence/coro/event.hpp>
#include <whence/coro/race.hpp>
#include <whence/coro/scope.hpp>
#include <whence/coro/semaphore.hpp>
#include <whence/coro/when_all.hpp>
#include <whence/coro/yield.hpp>
#include <whence/middleware/accept_header.hpp>
#include <whence/middleware/access_log.hpp>
#include <whence/middleware/pipeline.hpp>
#include <whence/net/connect.hpp>
#include <whence/net/serve.hpp>
#include <whence/observe/status_endpoint.hpp>
#include <whence/runtime/run.hpp>
