// Cancellation by each of the language's means, and what ends with a client.
#include "support.hpp"

#include <atomic>
#include <doctest/doctest.h>
#include <future>
#include <stdexcept>

using obsabort::errc;
using obsabort::progress;

namespace {

const std::vector<std::string> hangs_forever{"--uploads", "backups:1000:172800", "--fault",
                                             "silence;then=stall;method=DELETE;always"};

const auto old = obsabort::selection().older_than(24h).idle(24h);

// The newest level has the newest means; the C++17 build has `call`.
#if defined(__cpp_lib_jthread)
struct canceller {
    std::stop_source source;
    void cancel() { source.request_stop(); }
    auto abort(const obsabort::client &client)
    {
        return client.try_abort(source.get_token(), "backups", "key", "id").code;
    }
    auto many(const obsabort::client &client, const std::vector<obsabort::upload> &list)
    {
        return client.abort_many(source.get_token(), "backups", list, nullptr);
    }
    auto stale(const obsabort::client &client) { return client.abort_stale(source.get_token(), "backups", 24h); }
    auto sweep(const obsabort::client &client) { return client.sweep(source.get_token(), "backups", old); }
    auto buckets(const obsabort::client &client) { return client.buckets(source.get_token()); }
};
#else
struct canceller {
    obsabort::call call;
    void cancel() { call.cancel(); }
    auto abort(const obsabort::client &client) { return client.try_abort("backups", "key", "id", &call).code; }
    auto many(const obsabort::client &client, const std::vector<obsabort::upload> &list)
    {
        return client.abort_many("backups", list, nullptr, &call);
    }
    auto stale(const obsabort::client &client) { return client.abort_stale("backups", 24h, {}, nullptr, &call); }
    auto sweep(const obsabort::client &client) { return client.sweep("backups", old, {}, nullptr, &call); }
    auto buckets(const obsabort::client &client) { return client.buckets(&call); }
};
#endif

/// Cancels once a further request has arrived, and returns how long the call took to end.
template <class Verb>
std::chrono::milliseconds time_to_cancel(const server &obs, canceller &cancel, const Verb &verb)
{
    const auto before = obs.requests();
    auto result = std::async(std::launch::async, verb);
    REQUIRE(eventually([&] { return obs.requests() > before; }));
    std::this_thread::sleep_for(20ms);
    const auto begin = clock_type::now();
    cancel.cancel();
    CHECK(result.get() == errc::cancelled);
    return since(begin);
}

} // namespace

// For older.cpp.
obsabort::outcome abort_in_newer_part(const obsabort::client &client, const obsabort::call &call)
{
    try {
        client.abort("backups", "key", "id", &call);
        return {};
    } catch (const obsabort::failure &failure) {
        return failure.details();
    }
}

TEST_CASE("20 cancellations, each under 250 ms")
{
    const server obs(hangs_forever);
    const obsabort::client client = obs.client();
    const auto uploads = obs.uploads("backups");
    for (int i = 0; i < 20; ++i) {
        canceller cancel;
        const auto took = time_to_cancel(obs, cancel, [&] {
            switch (i % 4) {
            case 0:
                return cancel.abort(client);
            case 1:
                return cancel.many(client, uploads).code;
            case 2:
                return cancel.sweep(client).code;
            default:
                return cancel.stale(client).code;
            }
        });
        CHECK(took < with_patience(250ms));
        // It stays cancelled: what begins later sends nothing.
        const auto sent = obs.requests();
        CHECK(cancel.abort(client) == errc::cancelled);
        CHECK_THROWS_AS((void)cancel.buckets(client), obsabort::failure);
        CHECK(obs.requests() == sent);
    }
}

TEST_CASE("one call object cancels all that run with it, and no others")
{
    const server obs(hangs_forever);
    const obsabort::client client = obs.client();
    const obsabort::call together, alone;
    std::vector<std::future<obsabort::outcome>> cancelled;
    for (int i = 0; i < 8; ++i)
        cancelled.push_back(
            std::async(std::launch::async, [&] { return client.try_abort("backups", "key", "id", &together); }));
    auto other = std::async(std::launch::async, [&] { return client.try_abort("backups", "key", "id", &alone); });
    REQUIRE(eventually([&] { return obs.requests() == 9; }));
    together.cancel();
    for (auto &result : cancelled) {
        const auto outcome = result.get();
        CHECK(outcome.code == errc::cancelled);
        CHECK(outcome.attempts == 1);
    }
    CHECK(other.wait_for(50ms) == std::future_status::timeout);
    alone.cancel();
    CHECK(other.get().code == errc::cancelled);
}

TEST_CASE("a deadline ends each verb")
{
    const server obs(hangs_forever);
    const obsabort::client client = obs.client();
    const auto uploads = obs.uploads("backups");
    const obsabort::call call(300ms);
    for (int verb = 0; verb < 4; ++verb) {
        const auto begin = clock_type::now();
        CHECK((verb == 0   ? client.try_abort("backups", "key", "id", &call).code
               : verb == 1 ? client.abort_many("backups", uploads, nullptr, &call).code
               : verb == 2 ? client.sweep("backups", old, {}, nullptr, &call).code
                           : client.abort_stale("backups", 24h, {}, nullptr, &call).code) == errc::timeout);
        CHECK(since(begin) >= 300ms);
        CHECK(since(begin) < with_patience(300ms + 250ms));
    }
}

TEST_CASE("progress stops a sweep within 300 ms while the server hangs")
{
    // 50 aborts go well, then silence.
    const server obs(
        {"--uploads", "backups:3000:172800", "--fault", "silence;then=stall;method=DELETE;skip=50;always"});
    const obsabort::call call;
    clock_type::time_point stopped;
    int calls_after = 0;
    const auto report = obs.client().abort_stale(
        "backups", 24h, {},
        [&](const progress &now) {
            if (stopped != clock_type::time_point()) {
                ++calls_after;
            } else if (now.outcome == nullptr && now.done >= 50) {
                stopped = clock_type::now();
                return false;
            }
            return true;
        },
        &call);
    CHECK(since(stopped) < with_patience(300ms));
    CHECK(calls_after == 0);
    CHECK(report.code == errc::cancelled);
    CHECK(report.aborted == 50);
    // The user's object may go on to be used.
    obs.command("clear-faults");
    CHECK(obs.client().abort_stale("backups", 24h, {}, nullptr, &call));
}

TEST_CASE("an exception stops a batch within 300 ms while the server hangs, and comes out of it")
{
    const server obs(hangs_forever);
    const obsabort::client client = obs.client();
    const auto uploads = obs.uploads("backups");
    clock_type::time_point thrown;
    const auto throws = [&](const progress &) {
        thrown = clock_type::now();
        throw std::runtime_error("from progress");
    };
    CHECK_THROWS_WITH_AS((void)client.abort_many("backups", uploads, throws), "from progress", std::runtime_error);
    CHECK(since(thrown) < with_patience(300ms));
    CHECK_THROWS_WITH_AS((void)client.abort_stale("backups", 24h, {}, throws), "from progress", std::runtime_error);
    CHECK(since(thrown) < with_patience(300ms));
    CHECK_THROWS_WITH_AS((void)client.sweep("backups", old, {}, throws), "from progress", std::runtime_error);
    CHECK(since(thrown) < with_patience(300ms));
    // No exception that was thrown is left over for the next call.
    obs.command("clear-faults");
    CHECK(client.abort_many("backups", uploads));
}

TEST_CASE("1000 hanging uploads: no more threads than connections")
{
    const server obs(hangs_forever);
    obsabort::config config = obs.config();
    config.max_connections(16);
    const obsabort::client client(config);
    const auto uploads = obs.uploads("backups");
    REQUIRE(uploads.size() == 1000);
    const std::size_t before = threads();
    std::size_t most = 0;
    const auto begin = clock_type::now();
    const auto report = client.abort_many("backups", uploads, [&](const progress &) {
        most = std::max(most, threads());
        return since(begin) < 600ms;
    });
    CHECK(most <= before + 16);
    CHECK(report.code == errc::cancelled);
    CHECK(report.failed == 16);
    CHECK(report.kept == 984);
    CHECK(threads() <= before);
}

TEST_CASE("a client is shut down under 100 callers")
{
    const server obs(hangs_forever);
    const obsabort::client client = obs.client();
    std::vector<std::thread> callers;
    std::atomic<int> cancelled{0};
    for (int i = 0; i < 100; ++i)
        callers.emplace_back([&] { cancelled += client.try_abort("backups", "key", "id").code == errc::cancelled; });
    REQUIRE(eventually([&] { return obs.requests() == 100; }));
    const auto begin = clock_type::now();
    client.shutdown();
    for (std::thread &caller : callers)
        caller.join();
    CHECK(since(begin) < with_patience(250ms));
    CHECK(cancelled == 100);
    CHECK(client.try_abort("backups", "key", "id").code == errc::cancelled);
}

TEST_CASE("a client is replaced, and another destroyed, under callers that have begun")
{
    const server obs(hangs_forever);
    const auto uploads = obs.uploads("backups");
    obsabort::config config = obs.config();
    config.max_connections(1);
    obsabort::client replaced(config);
    auto destroyed = std::make_unique<obsabort::client>(config);
    std::atomic<int> begun{0}, cancelled{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 20; ++i)
        callers.emplace_back([&, i] {
            bool first = true;
            const auto count = [&](const progress &) {
                if (std::exchange(first, false))
                    ++begun;
            };
            const auto report = (i % 2 == 0 ? replaced : *destroyed).abort_many("backups", uploads, count);
            cancelled += report.code == errc::cancelled;
        });
    REQUIRE(eventually([&] { return begun == 20; }));
    const auto begin = clock_type::now();
    replaced = obs.client();
    destroyed.reset();
    for (std::thread &caller : callers)
        caller.join();
    CHECK(since(begin) < with_patience(250ms));
    CHECK(cancelled == 20);
    obs.command("clear-faults");
    CHECK(replaced.abort_many("backups", uploads));
}

TEST_CASE("a client that is forgotten is freed, by the end of its block and by an exception")
{
    const server obs({"--bucket", "backups"});
    try {
        const obsabort::client client = obs.client();
        CHECK(client.try_abort("backups", "key", "id").code == errc::no_such_upload);
        CHECK(obs.open_connections() == 1);
        throw std::runtime_error("on the way");
    } catch (const std::runtime_error &) {
    }
    CHECK(eventually([&] { return obs.open_connections() == 0; }));
}
