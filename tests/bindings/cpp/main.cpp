#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "support.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace {

std::string required(const char *variable)
{
    const char *value = std::getenv(variable);
    if (value == nullptr)
        throw std::runtime_error(std::string(variable) + " is not set");
    return value;
}

pid_t start(const std::vector<std::string> &words, int in, int out)
{
    std::vector<char *> arguments;
    for (const std::string &word : words)
        arguments.push_back(const_cast<char *>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    pid_t process = 0;
    const int error = posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        throw std::system_error(error, std::generic_category(), words[0]);
    return process;
}

} // namespace

server::server(const std::vector<std::string> &options)
{
    std::vector<std::string> words{required("OBS_LOCAL"), "serve",    "--control",    "--port",  "0",
                                   "--access-key",        access_key, "--secret-key", secret_key};
    words.insert(words.end(), options.begin(), options.end());
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    process_ = start(words, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    to_ = fdopen(in[1], "w");
    from_ = fdopen(out[0], "r");
    char address[64];
    if (std::fscanf(from_, "listening on %63[^\n]%*c", address) != 1)
        throw std::runtime_error("obs-local does not start");
    endpoint_ = std::string("http://") + address;
}

server::~server()
{
    std::fclose(to_);
    std::fclose(from_);
    waitpid(process_, nullptr, 0);
}

std::string server::command(const std::string &line) const
{
    std::fprintf(to_, "%s\n", line.c_str());
    std::fflush(to_);
    std::string response;
    for (int c = std::fgetc(from_); c != '\n'; c = std::fgetc(from_)) {
        if (c == EOF)
            throw std::runtime_error("obs-local has ended");
        response.push_back(static_cast<char>(c));
    }
    return response;
}

std::uint64_t server::number(const std::string &line, const std::string &name) const
{
    const std::string response = " " + command(line);
    const std::size_t at = response.find(" " + name + "=");
    if (at == std::string::npos)
        throw std::runtime_error(name + " is not in:" + response);
    return std::stoull(response.substr(at + name.size() + 2));
}

obsabort::config server::config() const
{
    obsabort::config config;
    config.endpoint(endpoint_).credentials(access_key, secret_key).proxy("");
    return config;
}

std::vector<obsabort::upload> server::uploads(const std::string &bucket) const
{
    std::vector<obsabort::upload> found;
    const auto remember = [&found](const obsabort::progress &now) {
        if (now.outcome != nullptr)
            found.push_back({now.outcome->key, now.outcome->upload_id});
    };
    if (const auto report = client().abort_stale(bucket, 0s, {"", true, false}, remember); !report)
        throw obsabort::failure(report);
    return found;
}

std::chrono::milliseconds with_patience(std::chrono::milliseconds promised)
{
    const char *slowness = std::getenv("SLOWNESS");
    return (promised + 250ms) * (slowness != nullptr ? std::atoi(slowness) : 1);
}

int run(const std::string &program, const std::vector<std::string> &arguments)
{
    std::vector<std::string> words{std::filesystem::read_symlink("/proc/self/exe").parent_path() / program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    int status = 0;
    waitpid(start(words, STDIN_FILENO, STDOUT_FILENO), &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

std::size_t threads()
{
    std::size_t count = 0;
    for ([[maybe_unused]] const auto &thread : std::filesystem::directory_iterator("/proc/self/task"))
        ++count;
    return count;
}
