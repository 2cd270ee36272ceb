// What happens to a whole process: host.cpp, secrets.cpp, and a child of this one.
#include "support.hpp"

#include <csignal>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using obsabort::errc;

TEST_CASE("a process ends with 64 calls in flight")
{
    for (const char *how : {"exit", "return", "quick_exit"}) {
        CAPTURE(how);
        const server obs({"--bucket", "backups", "--fault", "silence;then=stall;always"});
        const auto begin = clock_type::now();
        CHECK(run("host", {how, obs.endpoint()}) == 7);
        CHECK(since(begin) < with_patience(5s));
        CHECK(obs.requests() == 64);
    }
}

TEST_CASE("the end of its thread in a callable ends the process, rather than to unwind the library")
{
    for (const char *how : {"end-thread-in-progress", "end-thread-in-log"}) {
        CAPTURE(how);
        const server obs({"--uploads", "backups:5:172800"});
        CHECK(run("host", {how, obs.endpoint()}) == -SIGABRT);
    }
}

#if defined(SECRETS)
TEST_CASE("a secret is not left in memory that was freed") { CHECK(run("secrets", {}) == 0); }
#endif

TEST_CASE("the child of a fork goes on with its parent's client")
{
    const server obs({"--uploads", "backups:3:172800"});
    const obsabort::client client = obs.client();
    CHECK(client.try_abort("backups", "key", "id").code == errc::no_such_upload);
    const pid_t child = fork();
    if (child == 0)
        _exit(client.abort_stale("backups", 24h).aborted == 3 ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
    CHECK(client.try_abort("backups", "key", "id").code == errc::no_such_upload);
}
