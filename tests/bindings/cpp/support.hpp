// What the tests share: obs-local as a child process, and a clock with some patience.
#ifndef SUPPORT_HPP
#define SUPPORT_HPP

#include <obsabort.hpp>

#include <chrono>
#include <cstdio>
#include <ostream> // doctest shows a std::error_code with it
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

inline constexpr const char *access_key = "CPPTESTKEY";
inline constexpr const char *secret_key = "cpp/test+secret";

/// obs-local on a port that it picks. It ends with the object, or with this process.
class server {
public:
    explicit server(const std::vector<std::string> &options = {});
    server(const server &) = delete;
    ~server();

    /// Sends a line to its control interface, and returns the response.
    std::string command(const std::string &line) const;

    /// As {"requests", "aborted", …} in the response of a command.
    std::uint64_t number(const std::string &line, const std::string &name) const;
    std::uint64_t requests() const { return number("counts", "requests"); }
    std::uint64_t open_connections() const { return number("connections", "open"); }

    const std::string &endpoint() const noexcept { return endpoint_; }

    /// For this server, with its first credentials.
    obsabort::config config() const;
    obsabort::client client() const { return obsabort::client(config()); }

    /// The uploads that a bucket has, by a dry run.
    std::vector<obsabort::upload> uploads(const std::string &bucket) const;

private:
    std::FILE *to_ = nullptr, *from_ = nullptr;
    pid_t process_ = 0;
    std::string endpoint_;
};

/// A promised limit, plus what a busy machine takes, times what a sanitizer or valgrind takes (SLOWNESS).
std::chrono::milliseconds with_patience(std::chrono::milliseconds promised);

/// The time since a point.
inline std::chrono::milliseconds since(clock_type::time_point begin)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - begin);
}

/// Waits for what must come about, for up to ten seconds.
template <class Condition>
bool eventually(const Condition &condition)
{
    for (const auto end = clock_type::now() + 10s; clock_type::now() < end; std::this_thread::sleep_for(5ms))
        if (condition())
            return true;
    return false;
}

/// Runs a program that was built beside this one. Returns its exit status, or minus the signal that ended it.
int run(const std::string &program, const std::vector<std::string> &arguments);

/// The number of threads of this process.
std::size_t threads();

#endif
