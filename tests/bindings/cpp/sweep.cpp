// What a sweep takes, and what it keeps: idle uploads, bounds, measures, a callable that keeps; and the buckets of an account.
#include "support.hpp"

#include <doctest/doctest.h>
#include <map>
#include <set>
#include <stdexcept>

using obsabort::errc;
using obsabort::outcome;
using obsabort::progress;
using obsabort::selection;
using namespace std::string_literals;

TEST_CASE("an upload that gets parts is kept, its bytes are counted, and it goes once it is idle")
{
    const server obs({"--uploads", "backups:5:172800:old/", "--uploads", "backups:1:172800:live"});
    REQUIRE(obs.command("parts backups:live:3:10000:5") == "ok");
    const obsabort::client client = obs.client();
    std::map<std::string, outcome> found;
    const auto remember = [&found](const progress &now) {
        if (now.outcome != nullptr)
            found[now.outcome->key] = *now.outcome;
    };
    const auto dry = client.sweep("backups", selection().measure(), {true, false}, remember);
    CHECK(dry);
    CHECK(dry.aborted == 6);
    CHECK(dry.bytes == 30000);
    REQUIRE(found.size() == 6);
    const outcome &live = found.begin()->second;
    CHECK(live.parts == 3);
    CHECK(live.bytes == 30000);
    REQUIRE(live.last_part);
    CHECK(std::chrono::system_clock::now() - *live.last_part < 60s);
    const outcome &empty = found.rbegin()->second;
    CHECK((empty.parts == 0 && empty.bytes == 0 && !empty.last_part));

    const auto swept = client.sweep("backups", selection().idle(1h).measure());
    CHECK(swept);
    CHECK(swept.aborted == 5);
    CHECK(swept.active == 1);
    CHECK(swept.kept == 1);
    CHECK(swept.younger == 0);
    CHECK(swept.bytes == 0);
    CHECK(swept.complete);
    CHECK(obs.command("upload-count backups") == "1");

    const auto later = client.sweep("backups", selection().idle(500ms));
    CHECK(later.aborted == 1);
    CHECK(later.bytes == 30000);
    CHECK(obs.command("upload-count backups") == "0");
}

TEST_CASE("all bounds of a selection hold together")
{
    const server obs({"--uploads", "backups:4:172800:a/", "--uploads", "backups:3:90000:a/", "--uploads",
                      "backups:2:172800:b/", "--uploads", "backups:1:60:a/"});
    const obsabort::client client = obs.client();
    const auto now = std::chrono::system_clock::now();
    const obsabort::sweep_options dry_run{true, false};
    CHECK(client.sweep("backups", selection().older_than(24h), dry_run).aborted == 9);
    CHECK(client.sweep("backups", selection().older_than(24h), dry_run).younger == 1);
    CHECK(client.sweep("backups", selection().initiated_before(now - 30h), dry_run).aborted == 6);
    CHECK(client.sweep("backups", selection().initiated_before(now - 30h).older_than(1h), dry_run).aborted == 6);
    CHECK(client.sweep("backups", selection().initiated_before(now - 1h).older_than(30h), dry_run).aborted == 6);
    // Longer than there has been time is no overflow that makes everything old.
    using hours = std::chrono::hours;
    const std::chrono::time_point<std::chrono::system_clock, hours> ages_ago(hours::min()), in_ages(hours::max());
    CHECK(client.sweep("backups", selection().initiated_before(ages_ago), dry_run).code == errc::invalid_argument);
    CHECK(client.sweep("backups", selection().initiated_before(in_ages), dry_run).aborted == 10);
    CHECK(client.sweep("backups", selection().initiated_before(in_ages)).code == errc::invalid_argument);
    CHECK(client.sweep("backups", selection().older_than(hours::max()), dry_run).aborted == 0);
    CHECK(client.sweep("backups", selection().prefix("a/").older_than(30h)).aborted == 4);
    CHECK(obs.command("upload-count backups") == "6");
}

TEST_CASE("a selection that can't be meant is refused before anything is sent")
{
    const server obs({"--uploads", "backups:2:172800"});
    const obsabort::client client = obs.client();
    CHECK_THROWS_AS(selection().older_than(-1s), obsabort::failure);
    CHECK_THROWS_AS(selection().idle(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())),
                    obsabort::failure);
    CHECK_THROWS_AS(selection().prefix("a\0b"s), obsabort::failure);
    const auto tomorrow = std::chrono::system_clock::now() + 24h;
    for (const selection &wanted : {selection(), selection().measure(), selection().older_than(0s),
                                    selection().initiated_before(tomorrow), selection().prefix("\xff").idle(1h)}) {
        const auto report = client.sweep("backups", wanted);
        CHECK(report.code == errc::invalid_argument);
        CHECK(report.message.find("invalid_argument: ") == 0);
    }
    CHECK(client.sweep("back\0ups"s, selection().idle(1h)).code == errc::invalid_argument);
    CHECK(obs.requests() == 0);
    CHECK(client.sweep("backups", selection(), {false, true}).aborted == 2);
}

TEST_CASE("what the callable keeps is kept, and it is asked on this thread, before anything is sent")
{
    const server obs({"--uploads", "backups:1500:172800:old/", "--uploads", "backups:5:60:young/"});
    const obsabort::client client = obs.client();
    const auto caller = std::this_thread::get_id();
    std::set<std::string> asked, kept;
    auto wanted = selection().older_than(24h).measure();
    wanted.keep([&](const outcome &candidate) {
        CHECK(std::this_thread::get_id() == caller);
        CHECK((candidate.initiated && candidate.attempts == 0 && candidate.parts == 0));
        asked.insert(candidate.key);
        if (candidate.key.back() == '7')
            kept.insert(candidate.key);
        return candidate.key.back() == '7';
    });
    const auto told = [&](const progress &now) {
        if (now.outcome != nullptr)
            CHECK((asked.count(now.outcome->key) == 1 && kept.count(now.outcome->key) == 0));
    };
    const auto dry = client.sweep("backups", wanted, {true, false}, told);
    CHECK(dry.aborted == 1350);
    CHECK(obs.command("upload-count backups") == "1505");
    asked.clear();
    const auto report = client.sweep("backups", wanted, {}, told);
    CHECK(report);
    CHECK(report.aborted == 1350);
    CHECK(report.kept == 155);
    CHECK(report.younger == 5);
    CHECK(kept.size() == 150);
    CHECK(obs.command("upload-count backups") == "155");
    CHECK(client.sweep("backups", wanted.keep(nullptr)).aborted == 150);
}

TEST_CASE("an exception of the callable that keeps comes out, and its upload is kept")
{
    const server obs({"--uploads", "backups:100:172800"});
    const obsabort::client client = obs.client();
    int asked = 0;
    const auto throws = [&asked](const outcome &) -> bool {
        ++asked;
        throw std::runtime_error("from keep");
    };
    CHECK_THROWS_WITH_AS((void)client.sweep("backups", selection().idle(1h).keep(throws)), "from keep",
                         std::runtime_error);
    CHECK(asked == 1);
    CHECK(obs.command("upload-count backups") == "100");
    CHECK_THROWS_AS(
        (void)client.sweep("backups", selection().idle(1h).keep(std::function<bool(const outcome &)>())),
        std::bad_function_call);

    // While the server hangs, on a later page of the list.
    obs.command("page-cap 10");
    obs.command("fault silence;then=stall;method=DELETE;always");
    clock_type::time_point thrown;
    const auto throws_late = [&](const outcome &) {
        if (obs.number("counts", "requests") < 3)
            return false;
        thrown = clock_type::now();
        throw std::runtime_error("late");
    };
    CHECK_THROWS_WITH_AS((void)client.sweep("backups", selection().older_than(1h).keep(throws_late)), "late",
                         std::runtime_error);
    CHECK(since(thrown) < with_patience(300ms));
    obs.command("clear-faults");
    CHECK(client.sweep("backups", selection().older_than(1h)));
    CHECK(obs.command("upload-count backups") == "0");
}

TEST_CASE("a call that is cancelled while the callable is asked sends nothing for its upload")
{
    const server obs({"--uploads", "backups:100:172800"});
    const obsabort::client client = obs.client();
    const obsabort::call call;
    int asked = 0;
    const auto cancels = [&](const outcome &) {
        ++asked;
        call.cancel();
        return false;
    };
    const auto report = client.sweep("backups", selection().older_than(1h).keep(cancels), {}, nullptr, &call);
    CHECK(report.code == errc::cancelled);
    CHECK(asked == 1);
    CHECK(report.aborted == 0);
    CHECK(obs.command("upload-count backups") == "100");
}

TEST_CASE("the buckets of the account, all or until it is enough")
{
    const server obs({"--bucket", "backups", "--bucket", "more-backups"});
    const obsabort::client client = obs.client();
    std::set<std::string> names;
    for (const obsabort::bucket &bucket : client.buckets())
        names.insert(bucket.name);
    CHECK(names == std::set<std::string>{"backups", "more-backups"});
    int visited = 0;
    client.buckets([&visited](const obsabort::bucket &) { return ++visited < 1; });
    CHECK(visited == 1);
    const auto throws = [](const obsabort::bucket &bucket) { throw std::runtime_error(bucket.name); };
    CHECK_THROWS_WITH_AS(client.buckets(throws), "backups", std::runtime_error);
    obs.command("fault answer=403;error=AccessDenied;method=GET;always");
    CHECK_THROWS_AS((void)client.buckets(), obsabort::failure);
}
