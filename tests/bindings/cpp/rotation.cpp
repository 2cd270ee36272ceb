#include "support.hpp"

#include <array>
#include <atomic>
#include <doctest/doctest.h>

using obsabort::errc;

namespace {

struct keys {
    std::string access, secret, token;
    std::string line() const { return access + " " + secret + (token.empty() ? "" : " " + token); }
};

keys pair(char client, int n)
{
    const std::string name = client + std::to_string(n);
    return {"ROTATED" + name, "rotated/secret+" + name, n % 3 == 0 ? "token-" + name : ""};
}

/// Threads that abort with one client, and its keys, which change.
class rotated {
public:
    rotated(const server &obs, char name) : obs_(obs), name_(name), client_(obs.config())
    {
        rotate(0);
        for (std::atomic<int> &rounds : rounds_)
            threads_.emplace_back([this, &rounds] {
                while (!over_) {
                    // Nobody has such an upload; a key that is not valid would be access_denied.
                    if (client_.try_abort("backups", "key", "id").code != errc::no_such_upload)
                        ++refused_;
                    ++rounds;
                }
            });
    }

    rotated(const rotated &) = delete;

    ~rotated()
    {
        over_ = true;
        for (std::thread &thread : threads_)
            thread.join();
    }

    void rotate(int n)
    {
        const keys to = pair(name_, n);
        CHECK(obs_.command("add-key " + to.line()) == "ok");
        client_.set_credentials(to.access, to.secret, to.token);
        if (n == 0)
            return;
        // The old pair goes once every call that may have been signed with it is over.
        for (const std::atomic<int> &rounds : rounds_)
            CHECK(eventually([&, begin = rounds.load()] { return rounds >= begin + 2; }));
        CHECK(obs_.command("remove-key " + pair(name_, n - 1).access) == "true");
    }

    int refused() const { return refused_; }
    const obsabort::client &client() const { return client_; }

private:
    const server &obs_;
    char name_;
    obsabort::client client_;
    std::array<std::atomic<int>, 4> rounds_{};
    std::atomic<int> refused_{0};
    std::atomic<bool> over_{false};
    std::vector<std::thread> threads_;
};

} // namespace

TEST_CASE("credentials are rotated under load, with two clients")
{
    const server obs({"--bucket", "backups"});
    rotated a(obs, 'A'), b(obs, 'B');
    for (int n = 1; n <= 20; ++n)
        (n % 2 == 0 ? a : b).rotate(n % 2 == 0 ? n / 2 : (n + 1) / 2);
    CHECK(a.refused() == 0);
    CHECK(b.refused() == 0);
}

TEST_CASE("credentials that can't be used are refused, and the old ones stay")
{
    const server obs({"--bucket", "backups"});
    const obsabort::client client = obs.client();
    const std::string with_nul("secret\0word", 11);
    for (const std::string &secret : {with_nul, std::string("two words"), std::string("\xff")}) {
        try {
            client.set_credentials("KEY", secret);
            FAIL("it was taken");
        } catch (const obsabort::failure &failure) {
            CHECK(failure.code() == errc::invalid_argument);
            CHECK(std::string_view(failure.what()).find("word") == std::string_view::npos);
        }
    }
    CHECK(client.try_abort("backups", "key", "id").code == errc::no_such_upload);
    client.set_credentials("NOBODY", "secret");
    CHECK(client.try_abort("backups", "key", "id").code == errc::access_denied);
}
