#include "support.hpp"

#include <cstring>
#include <doctest/doctest.h>

using obsabort::errc;
using namespace std::string_literals;

namespace {

/// The failure that an expression throws.
template <class Function>
obsabort::failure failure_of(const Function &function)
{
    try {
        function();
    } catch (const obsabort::failure &failure) {
        return failure;
    }
    return {errc::ok, "nothing was thrown"};
}

const std::string with_nul = "a\0b"s;
const std::string ill_formed = "a\xff";

} // namespace

TEST_CASE("an upload is aborted, and is no such upload the second time")
{
    const server obs({"--uploads", "backups:2:100:dir/with space/:1"});
    const obsabort::client client = obs.client();
    const auto uploads = obs.uploads("backups");
    REQUIRE(uploads.size() == 2);

    const obsabort::outcome first = client.try_abort("backups", uploads[0].key, uploads[0].upload_id);
    CHECK(first);
    CHECK(first.code == errc::ok);
    CHECK(first.http_status == 204);
    CHECK(first.message == "");
    CHECK(first.attempts == 1);
    CHECK(first.request_id != "");
    CHECK(first.key == uploads[0].key);
    CHECK(first.upload_id == uploads[0].upload_id);
    CHECK(!first.initiated);
    CHECK(!first.index);

    const obsabort::outcome again = client.try_abort("backups", uploads[0].key, uploads[0].upload_id);
    CHECK(!again);
    CHECK(again.code == errc::no_such_upload);
    CHECK(again.http_status == 404);
    CHECK(again.service_code == "NoSuchUpload");
    CHECK(again.message.rfind("no_such_upload: ", 0) == 0);

    CHECK_NOTHROW(client.abort("backups", uploads[1].key, uploads[1].upload_id));
    const auto failure = failure_of([&] { client.abort("backups", uploads[1].key, uploads[1].upload_id); });
    CHECK(failure.code() == errc::no_such_upload);
    CHECK(failure.what() == failure.details().message);
    CHECK(failure.details().http_status == 404);
    CHECK(obs.command("upload-count backups") == "0");
}

TEST_CASE("an inner NUL and ill-formed text are refused, and nothing is sent")
{
    const server obs({"--bucket", "backups", "--object", "backups:a"});
    const obsabort::client client = obs.client();
    for (const std::string &text : {with_nul, ill_formed}) {
        for (const auto &outcome : {client.try_abort(text, "key", "id"), client.try_abort("backups", text, "id"),
                                    client.try_abort("backups", "key", text)}) {
            CAPTURE(outcome.message);
            CHECK(outcome.code == errc::invalid_argument);
            CHECK(outcome.attempts == 0);
            CHECK(outcome.message.find(text == with_nul ? "contains U+0000" : "") != std::string::npos);
        }
        CHECK(client.abort_many(text, {{"key", "id"}}).code == errc::invalid_argument);
        CHECK(client.abort_stale(text, 1h).code == errc::invalid_argument);
        CHECK(client.abort_stale("backups", 1h, {text}).code == errc::invalid_argument);
    }
    CHECK(client.try_abort("backups", with_nul, "id").key == with_nul);
    CHECK(obs.requests() == 0);
    CHECK(obs.command("object-exists backups:a") == "true");
}

TEST_CASE("a setting that can't be used is refused where it is set, by its name")
{
    const auto message_of = [](auto set) {
        obsabort::config config;
        const auto failure = failure_of([&] { set(config); });
        CHECK(failure.code() == errc::invalid_config);
        return std::string(failure.what());
    };
    CHECK(message_of([](auto &config) { config.endpoint("http://a b"); }).find("endpoint") != std::string::npos);
    CHECK(message_of([](auto &config) { config.endpoint(with_nul); }).find("endpoint contains U+0000") !=
          std::string::npos);
    CHECK(message_of([](auto &config) { config.proxy(ill_formed); }).find("proxy") != std::string::npos);
    CHECK(message_of([](auto &config) { config.ca_file("/nowhere"); }).find("No such file") != std::string::npos);
    CHECK(message_of([](auto &config) { config.client_certificate("/nowhere", with_nul); }).find("U+0000") !=
          std::string::npos);
    CHECK(message_of([](auto &config) { config.user_agent("\n"); }).find("user_agent") != std::string::npos);
    CHECK(message_of([](auto &config) { config.max_attempts(0); }).find("max_attempts") != std::string::npos);
    CHECK(message_of([](auto &config) { config.max_connections(1025); }).find("max_connections") != std::string::npos);
    CHECK(message_of([](auto &config) { config.addressing(obsabort::addressing(9)); }).find("addressing") !=
          std::string::npos);
    const std::string secret = message_of([](auto &config) { config.credentials("key", "secret\0word"s); });
    CHECK(secret.find("secret key contains U+0000") != std::string::npos);
    CHECK(secret.find("word") == std::string::npos);

    for (const auto &set :
         {+[](obsabort::config &config) { config.timeout(0ms); },
          +[](obsabort::config &config) { config.timeout(-1s); },
          +[](obsabort::config &config) { config.connect_timeout(std::chrono::duration<double>(0.0 / 0.0)); },
          +[](obsabort::config &config) { config.response_timeout(std::chrono::hours::min()); }})
        CHECK(message_of(set).find("timeout_ms") != std::string::npos);

    // What can be set goes on to be a client.
    obsabort::config config;
    config.endpoint("http://127.0.0.1:9")
        .credentials("key", "secret", "token")
        .addressing(obsabort::addressing::path)
        .signature(obsabort::signature::obs)
        .connect_timeout(1us)
        .response_timeout(std::chrono::hours::max())
        .timeout(std::chrono::duration<double>(1e300))
        .max_attempts(1)
        .max_connections(8)
        .proxy("")
        .confirm()
        .request_payer()
        .user_agent("cpp test/1.0");
    CHECK_NOTHROW(obsabort::client{config});
    CHECK(failure_of([] { obsabort::client{obsabort::config()}; }).code() == errc::invalid_config);
    CHECK(failure_of([] { obsabort::call(0s); }).code() == errc::invalid_argument);
    CHECK(failure_of([] { obsabort::call(-1s); }).code() == errc::invalid_argument);
}

TEST_CASE("durations are rounded up, and cut off at what the library knows")
{
    using obsabort::detail::count_of;
    using std::chrono::milliseconds;
    CHECK(count_of<milliseconds>(1500us, 100) == 2);
    CHECK(count_of<milliseconds>(2ms, 100) == 2);
    CHECK(count_of<milliseconds>(1s, 100) == 100);
    CHECK(count_of<milliseconds>(std::chrono::hours::max(), 100) == 100);
    CHECK(count_of<milliseconds>(0ms, 100) == 0);
    CHECK(!count_of<milliseconds>(-1us, 100));
    CHECK(count_of<std::chrono::seconds>(std::chrono::duration<double, std::ratio<86400>>(0.5), 100000) == 43200);
}

TEST_CASE("a client that was moved from refuses, and its heir goes on")
{
    const server obs({"--uploads", "backups:1:100"});
    const auto upload = obs.uploads("backups").at(0);
    obsabort::client old = obs.client();
    obsabort::client heir = std::move(old);
    CHECK(old.try_abort("backups", "key", "id").code == errc::invalid_argument); // NOLINT: after the move, on purpose
    CHECK(old.abort_many("backups", {{"key", "id"}}).code == errc::invalid_argument);
    CHECK(old.abort_stale("backups", 1h).message.find("moved from") != std::string::npos);
    CHECK(failure_of([&] { old.set_credentials("key", "secret"); }).code() == errc::invalid_argument);
    old.shutdown();
    CHECK(heir.try_abort("backups", upload.key, upload.upload_id));
}

#if defined(__cpp_lib_expected)
TEST_CASE("abort_expected: the outcome, or the outcome that is an error")
{
    const server obs({"--uploads", "backups:1:100"});
    const obsabort::client client = obs.client();
    const auto upload = obs.uploads("backups").at(0);
    const auto first = client.abort_expected("backups", upload.key, upload.upload_id);
    REQUIRE(first.has_value());
    CHECK(first->http_status == 204);
    const auto again = client.abort_expected("backups", upload.key, upload.upload_id);
    REQUIRE(!again.has_value());
    CHECK(again.error().code == errc::no_such_upload);
}
#endif
