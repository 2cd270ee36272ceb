// What a progress or a log callable may do to the C below it.
#include "support.hpp"

#include <atomic>
#include <csignal>
#include <doctest/doctest.h>
#include <memory>
#include <stdexcept>
#include <sys/mman.h>

using obsabort::errc;
using obsabort::log_level;
using obsabort::progress;

TEST_CASE("the log gets its lines, by level, and an exception in it decides over nothing")
{
    const server obs({"--uploads", "backups:10:100"});
    const auto uploads = obs.uploads("backups");
    int lines = 0, infos = 0;
    obsabort::config config = obs.config();
    config.log(log_level::debug, [&](log_level level, std::string_view line) {
        ++lines;
        infos += level == log_level::info;
        CHECK(line.find(secret_key) == std::string_view::npos);
        throw std::runtime_error("from the log");
    });
    const obsabort::client client(config);
    CHECK(client.abort_many("backups", uploads));
    CHECK(infos >= 10);
    CHECK(lines > infos);
    CHECK(client.try_abort("backups", "key", "id").code == errc::no_such_upload);
}

TEST_CASE("the log's callable lives as long as a client that may call it")
{
    const server obs({"--bucket", "backups"});
    const auto lines = std::make_shared<int>(0);
    obsabort::config config = obs.config();
    config.log(log_level::error, [lines](log_level, std::string_view) { ++*lines; });
    {
        const obsabort::client client(config);
        config.log(log_level::error, nullptr);
        CHECK(client.try_abort("backups", "key", "id").code == errc::no_such_upload);
        CHECK(*lines == 1);
        CHECK(obsabort::client(config).try_abort("backups", "key", "id").code == errc::no_such_upload);
        CHECK(*lines == 1);
    }
    CHECK(lines.use_count() == 1);
}

TEST_CASE("any exception comes out of a verb as it was")
{
    const server obs({"--uploads", "backups:100:172800"});
    const obsabort::client client = obs.client();
    const obsabort::stale_options dry_run{"", true, false};
    struct not_an_exception {
        std::unique_ptr<int> owned;
    };
    const auto throws = [](const progress &) { throw not_an_exception{std::make_unique<int>(1)}; };
    CHECK_THROWS_AS((void)client.abort_stale("backups", 24h, dry_run, throws), not_an_exception);
    const std::function<void(const progress &)> empty;
    CHECK_THROWS_AS((void)client.abort_stale("backups", 24h, dry_run, empty), std::bad_function_call);
    // It may be one of another call's.
    const auto aborts = [&](const progress &) { client.abort("backups", "key", "id"); };
    CHECK_THROWS_AS((void)client.abort_many("backups", {{"key", "id"}}, aborts), obsabort::failure);
}

namespace {

volatile char *page = nullptr;
std::atomic<int> faults{0};

void make_readable(int)
{
    ++faults;
    mprotect(const_cast<char *>(page), 4096, PROT_READ);
}

/// Reads what can't be read, which the host's handler mends.
void fault()
{
    mprotect(const_cast<char *>(page), 4096, PROT_NONE);
    static_cast<void>(*page);
}

} // namespace

TEST_CASE("a fault in a callable reaches the host's handler")
{
    const server obs({"--uploads", "backups:10:172800"});
    void *mapped = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    page = static_cast<char *>(mapped);
    struct sigaction before, handler = {};
    handler.sa_handler = make_readable;
    sigaction(SIGSEGV, &handler, &before);
    int calls = 0;
    obsabort::config config = obs.config();
    config.log(log_level::info, [&](log_level, std::string_view) {
        ++calls;
        fault();
    });
    const auto report = obsabort::client(config).abort_stale("backups", 24h, {}, [&](const progress &) {
        ++calls;
        fault();
    });
    sigaction(SIGSEGV, &before, nullptr);
    munmap(mapped, 4096);
    CHECK(report.aborted == 10);
    CHECK(calls >= 20);
    CHECK(faults == calls);
}

TEST_CASE("a callable may use the library, and destroy its own client")
{
    const server obs({"--uploads", "backups:40:172800"});
    auto client = std::make_unique<obsabort::client>(obs.client());
    const obsabort::client other = obs.client();
    const auto report = client->abort_stale("backups", 24h, {}, [&](const progress &now) {
        CHECK(other.try_abort("backups", "key", "id").code == errc::no_such_upload);
        if (now.done > 0)
            client.reset();
    });
    CHECK(report.code == errc::cancelled);
    CHECK(report.total == report.aborted + report.failed + report.kept);
    CHECK(other.abort_stale("backups", 24h));
}
