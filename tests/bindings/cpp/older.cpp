// This file is C++17 whatever the rest of the program is: the types must be the same in every language level.
#include "support.hpp"

#include <doctest/doctest.h>

static_assert(__cplusplus == 201703L);
obsabort::outcome abort_in_newer_part(const obsabort::client &client, const obsabort::call &call);

TEST_CASE("parts in several language levels share clients, calls, outcomes and exceptions")
{
    const server obs({"--bucket", "backups"});
    const obsabort::client client = obs.client();
    const obsabort::call call(1s);
    CHECK(abort_in_newer_part(client, call).code == obsabort::errc::no_such_upload);
    CHECK(client.try_abort("backups", "key", "id", &call).code == obsabort::errc::no_such_upload);
}
