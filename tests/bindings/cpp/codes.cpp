#include "support.hpp"

#include <doctest/doctest.h>
#include <map>

using obsabort::errc;

TEST_CASE("the enumeration of codes is the library's, from 0 to 255")
{
    const std::map<errc, std::string_view> names{
        {errc::ok, "ok"},
        {errc::invalid_argument, "invalid_argument"},
        {errc::invalid_config, "invalid_config"},
        {errc::no_credentials, "no_credentials"},
        {errc::resolve, "resolve"},
        {errc::connect, "connect"},
        {errc::tls, "tls"},
        {errc::timeout, "timeout"},
        {errc::io, "io"},
        {errc::protocol, "protocol"},
        {errc::cancelled, "cancelled"},
        {errc::access_denied, "access_denied"},
        {errc::no_such_upload, "no_such_upload"},
        {errc::no_such_bucket, "no_such_bucket"},
        {errc::clock_skew, "clock_skew"},
        {errc::throttled, "throttled"},
        {errc::server, "server"},
        {errc::redirect, "redirect"},
        {errc::rejected, "rejected"},
        {errc::parts_remain, "parts_remain"},
        {errc::partial, "partial"},
        {errc::still_listed, "still_listed"},
        {errc::internal, "internal"},
    };
    for (int code = 0; code < 256; ++code) {
        CAPTURE(code);
        const auto known = names.find(static_cast<errc>(code));
        CHECK(obs_abort_code_name(code) == (known != names.end() ? known->second : "unknown"));
        CHECK(obsabort::name(static_cast<errc>(code)) == obs_abort_code_name(code));
        CHECK(obsabort::make_error_code(static_cast<errc>(code)).message() == obs_abort_strerror(code));
    }
}

TEST_CASE("codes are std::error_codes, and some of them are conditions of the standard")
{
    const std::error_code timeout = errc::timeout;
    CHECK(timeout == errc::timeout);
    CHECK(timeout != errc::io);
    CHECK(timeout == std::errc::timed_out);
    CHECK(std::string(timeout.category().name()) == "obsabort");
    CHECK(std::error_code(errc::cancelled) == std::errc::operation_canceled);
    CHECK(std::error_code(errc::access_denied) == std::errc::permission_denied);
    CHECK(std::error_code(errc::invalid_argument) == std::errc::invalid_argument);
    CHECK(std::error_code(errc::io) != std::errc::io_error);
    CHECK(!std::error_code(errc::ok));
}

TEST_CASE("a failure is a std::system_error that says what the library says")
{
    obsabort::outcome outcome;
    outcome.code = errc::no_such_bucket;
    outcome.message = "no_such_bucket: 404";
    outcome.request_id = "8DF4";
    try {
        throw obsabort::failure(outcome);
    } catch (const std::system_error &error) {
        CHECK(error.code() == errc::no_such_bucket);
        CHECK(std::string(error.what()) == "no_such_bucket: 404");
        CHECK(dynamic_cast<const obsabort::failure &>(error).details().request_id == "8DF4");
    }
}
