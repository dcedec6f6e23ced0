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
#include <whence/middleware/allow_deny.hpp>
#include <whence/middleware/client_limits.hpp>
#include <whence/middleware/expect_no_header.hpp>
#include <whence/middleware/limits.hpp>
#include <whence/middleware/pipeline.hpp>
#include <whence/middleware/time_limits.hpp>
#include <whence/net/activation.hpp>
#include <whence/net/connect.hpp>
#include <whence/net/outbox.hpp>
#include <whence/net/serve.hpp>
#include <whence/observe/prometheus.hpp>
#include <whence/observe/status_endpoint.hpp>
#include <whence/runtime/invoke_on.hpp>
#include <whence/runtime/json_line.hpp>
#include <whence/runtime/offload.hpp>
#include <whence/runtime/run.hpp>
#include <whence/runtime/service_manager.hpp>
#include <whence/runtime/sharded.hpp>
