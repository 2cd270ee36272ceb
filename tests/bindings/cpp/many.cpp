#include "support.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <list>
#include <map>
#include <set>

using obsabort::errc;
using obsabort::progress;
using namespace std::string_literals;

TEST_CASE("3000 stale uploads are aborted, and progress is told of each")
{
    const server obs({"--uploads", "backups:3000:172800:old/", "--uploads", "backups:7:60:young/"});
    std::set<std::string> seen;
    std::uint64_t done = 0, total = 0;
    const auto caller = std::this_thread::get_id();
    const auto report = obs.client().abort_stale("backups", 24h, {}, [&](const progress &now) {
        CHECK(std::this_thread::get_id() == caller);
        CHECK((now.done >= done && now.total_so_far >= total && now.done <= now.total_so_far));
        done = now.done;
        total = now.total_so_far;
        if (now.outcome == nullptr)
            return;
        CHECK(now.outcome->code == errc::ok);
        REQUIRE(now.outcome->initiated);
        const auto age = std::chrono::system_clock::now() - *now.outcome->initiated;
        CHECK((age > 47h && age < 49h));
        CHECK(seen.insert(now.outcome->key).second);
    });
    CHECK(report);
    CHECK(report.message == "");
    CHECK(report.total == 3007);
    CHECK(report.aborted == 3000);
    CHECK(report.kept == 7);
    CHECK(report.missing + report.failed + report.unknown_age + report.failures.size() == 0);
    CHECK(seen.size() == 3000);
    CHECK(obs.command("upload-count backups") == "7");
}

TEST_CASE("a dry run aborts nothing, an age of 0 is refused without an option, and a prefix is kept to")
{
    const server obs({"--uploads", "backups:5:100:a/", "--uploads", "backups:4:100:b/"});
    const obsabort::client client = obs.client();
    CHECK(client.abort_stale("backups", 0s).code == errc::invalid_argument);
    CHECK(client.abort_stale("backups", -1s, {"", true, true}).code == errc::invalid_argument);
    CHECK(client.abort_stale("backups", 0s, {"a/", true, false}).aborted == 5);
    CHECK(client.abort_stale("backups", 98500ms).aborted == 9);
    CHECK(obs.command("upload-count backups") == "0");
    obs.command("uploads backups:3:100:a/");
    obs.command("uploads backups:2:100:b/");
    CHECK(client.abort_stale("backups", 0s, {"a/", false, true}).aborted == 3);
    // Longer than there has been time is no overflow that makes everything old.
    CHECK(client.abort_stale("backups", std::chrono::hours::max()).kept == 2);
    CHECK(obs.command("upload-count backups") == "2");
}

TEST_CASE("any range of uploads is taken, and its texts are copied")
{
    const server obs({"--uploads", "backups:6:100"});
    const obsabort::client client = obs.client();
    const auto uploads = obs.uploads("backups");
    REQUIRE(uploads.size() == 6);

    struct by_value { // as a view that makes its elements: they are gone when the next one is made
        const std::vector<obsabort::upload> *uploads;
        struct iterator {
            const obsabort::upload *at;
            std::pair<std::string, std::string> operator*() const { return {at->key, at->upload_id}; }
            iterator &operator++()
            {
                ++at;
                return *this;
            }
            bool operator!=(const iterator &other) const { return at != other.at; }
        };
        iterator begin() const { return {uploads->data()}; }
        iterator end() const { return {uploads->data() + 2}; }
    };
    CHECK(client.abort_many("backups", by_value{&uploads}).aborted == 2);
    const std::list<std::tuple<const char *, std::string_view>> tuples{{uploads[2].key.c_str(), uploads[2].upload_id}};
    CHECK(client.abort_many("backups", tuples).aborted == 1);
    const std::map<std::string, std::string> map{{uploads[3].key, uploads[3].upload_id}};
    CHECK(client.abort_many("backups", map).aborted == 1);
    CHECK(client.abort_many("backups", {{uploads[4].key, uploads[4].upload_id}, {uploads[0].key, uploads[0].upload_id}})
              .missing == 1);
    CHECK(client.abort_many("backups", std::vector<obsabort::upload>(uploads.begin() + 5, uploads.end())).aborted == 1);
    CHECK(client.abort_many("backups", std::vector<obsabort::upload>()).total == 0);
    CHECK(obs.command("upload-count backups") == "0");
}

TEST_CASE("entries that can't be used fail alone, under their own index, key and upload id")
{
    const server obs({"--uploads", "backups:2:100"});
    const auto uploads = obs.uploads("backups");
    const std::vector<obsabort::upload> list{uploads.at(0),    {"a\0b"s, "id"}, {"key", "\0"s},
                                             {"key", "a\xff"}, {"", "id"},      uploads.at(1)};
    std::set<std::size_t> indices;
    const auto report = obs.client().abort_many("backups", list, [&](const progress &now) {
        if (now.outcome != nullptr && now.outcome->index)
            indices.insert(*now.outcome->index);
    });
    CHECK(report.code == errc::partial);
    CHECK(report.aborted == 2);
    CHECK(report.failed == 4);
    CHECK(indices.size() == 6);
    REQUIRE(report.failures.size() == 4);
    for (const auto &failure : report.failures) {
        CHECK(failure.code == errc::invalid_argument);
        CHECK(failure.attempts == 0);
        REQUIRE(failure.index);
        if (*failure.index < 3) {
            CHECK(failure.key == list[*failure.index].key);
            CHECK(failure.upload_id == list[*failure.index].upload_id);
            CHECK(failure.message ==
                  "invalid_argument: the "s + (*failure.index == 1 ? "key" : "upload id") + " contains U+0000");
        }
    }
    CHECK_THROWS_AS(throw obsabort::failure(report), obsabort::failure);
    CHECK(obs.number("counts", "aborted") == 2);
}

TEST_CASE("failures can be tried again")
{
    const server obs({"--uploads", "backups:20:100", "--fault", "answer=500;method=DELETE;times=4"});
    obsabort::config config = obs.config();
    config.max_attempts(1);
    const obsabort::client client(config);
    const auto report = client.abort_many("backups", obs.uploads("backups"));
    CHECK(report.code == errc::partial);
    CHECK(report.failed == 4);
    const auto again = client.abort_many("backups", report.failures);
    CHECK(again);
    CHECK(again.total == 4);
    CHECK(obs.command("upload-count backups") == "0");
}
