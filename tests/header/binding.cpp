// obsabort.hpp alone, twice, beside the C header. Its templates are instantiated, or they would not be looked at.
#include <obsabort.hpp>
#include <obsabort.hpp>

#include <obsabort.h>

#include <list>
#include <map>

static_assert(!std::is_copy_constructible_v<obsabort::client> && !std::is_copy_constructible_v<obsabort::config>);
static_assert(std::is_nothrow_move_constructible_v<obsabort::client> &&
              std::is_nothrow_move_assignable_v<obsabort::client>);
static_assert(std::is_nothrow_copy_constructible_v<obsabort::failure>);
struct entry {
    const char *key, *upload_id;
};

bool everything(obsabort::client &client, const obsabort::call &call)
{
    const auto stop = [](const obsabort::progress &now) { return now.done < 3; };
    const std::list<std::pair<const char *, std::string_view>> pairs;
    std::map<std::string, std::string> map;
    obsabort::report report = client.abort_many("bucket", pairs, stop, &call);
    report = client.abort_many("bucket", map);
    report = client.abort_many("bucket", std::vector<entry>(), [](auto) {});
    report = client.abort_many("bucket", {{"key", "id"}, {"key", "id"}}, nullptr, &call);
    report = client.abort_many("bucket", report.failures, std::function<void(const obsabort::progress &)>());
    report = client.abort_stale("bucket", std::chrono::hours(24));
    report = client.abort_stale("bucket", std::chrono::duration<float>(1.5F), {"prefix", true, true}, stop, &call);
    obsabort::selection selection;
    selection.prefix("prefix").older_than(std::chrono::hours(24)).idle(std::chrono::duration<float>(1.5F)).measure();
    selection.initiated_before(std::chrono::system_clock::now()).keep([](const obsabort::outcome &) { return true; });
    report = client.sweep("bucket", selection);
    report = client.sweep("bucket", selection.keep(nullptr), {true, false}, stop, &call);
    client.buckets([](const obsabort::bucket &bucket) { return bucket.location.empty(); });
    const std::size_t buckets = client.buckets(&call).size();
    client.abort("bucket", "key", "id");
#if defined(__cpp_lib_jthread)
    const std::stop_source source;
    report = client.abort_many(source.get_token(), "bucket", pairs, stop);
    report = client.abort_stale(source.get_token(), "bucket", std::chrono::hours(24), {.dry_run = true}, stop);
    report = client.sweep(source.get_token(), "bucket", selection, {.dry_run = true}, stop);
    client.buckets(source.get_token(), [](const obsabort::bucket &) {});
    report.total += client.buckets(source.get_token()).size();
    client.abort(source.get_token(), "bucket", "key", "id");
#endif
#if defined(__cpp_lib_expected)
    if (const auto gone = client.abort_expected("bucket", "key", "id", &call); !gone)
        return gone.error().code == obsabort::errc::timeout;
#endif
    return buckets > 0 && report && client.try_abort("bucket", "key", "id", &call);
}
