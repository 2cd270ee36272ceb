// A program whose end matters: host HOW ENDPOINT.
#include <obsabort.hpp>

#include <atomic>
#include <cstdlib>
#include <pthread.h>
#include <sys/resource.h>
#include <thread>

namespace {

obsabort::config config(const char *endpoint)
{
    obsabort::config config;
    config.endpoint(endpoint).credentials("CPPTESTKEY", "cpp/test+secret").proxy(""); // as support.hpp has them
    return config;
}

/// 64 threads are in a call when the process ends. Its static client is destroyed under them, or not at all.
int end(const std::string &how, const char *endpoint)
{
    static const obsabort::client client(config(endpoint));
    static std::atomic<int> begun{0};
    for (int i = 0; i < 64; ++i)
        std::thread([] {
            ++begun;
            (void)client.try_abort("backups", "key", "id");
        }).detach();
    while (begun != 64)
        std::this_thread::yield();
    // The requests are on their way. A server that counted fewer would make the test fail, not pass.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    if (how == "exit")
        std::exit(7);
    if (how == "quick_exit")
        std::quick_exit(7);
    return 7;
}

void end_thread(const std::string &how, const char *endpoint)
{
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    obsabort::config settings = config(endpoint);
    if (how == "end-thread-in-log")
        settings.log(obsabort::log_level::debug, [](obsabort::log_level, std::string_view) { pthread_exit(nullptr); });
    const obsabort::client client(settings);
    std::thread([&] {
        (void)client.abort_stale("backups", std::chrono::hours(24), {},
                                 [](const obsabort::progress &) { pthread_exit(nullptr); });
    }).join();
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const std::string how = argv[1];
    if (how.rfind("end-thread", 0) != 0)
        return end(how, argv[2]);
    end_thread(how, argv[2]);
    return 1;
}
