// main.c as a C++ programmer writes it. The exception makes the program need the runtime of C++, which unwinds with the
// same library as Rust's does.
#include <obsabort.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

struct free_client {
    void operator()(obs_abort_client *client) const { obs_abort_client_free(client); }
};

static void check(int32_t code, char *error)
{
    std::unique_ptr<char, void (*)(char *)> owned(error, obs_abort_string_free);
    if (code == OBS_ABORT_OK)
        return;
    std::cerr << error << '\n';
    throw std::runtime_error(obs_abort_code_name(code));
}

int main(int argc, char **argv)
try {
    if (argc != 5 || std::string(obs_abort_version()) != OBS_ABORT_VERSION)
        return 2;
    std::unique_ptr<obs_abort_config, void (*)(obs_abort_config *)> config(obs_abort_config_new(), obs_abort_config_free);
    obs_abort_config_set_endpoint(config.get(), argv[1]);
    obs_abort_config_set_credential_source(config.get(), OBS_ABORT_CREDENTIALS_ENV);

    obs_abort_client *made = nullptr;
    char *error = nullptr;
    int32_t code = obs_abort_client_new(config.get(), &made, &error);
    std::unique_ptr<obs_abort_client, free_client> client(made);
    check(code, error);
    code = obs_abort_multipart(client.get(), argv[2], argv[3], argv[4], nullptr, &error);
    check(code, error);
    std::cout << "ok\n";
    return 0;
} catch (const std::runtime_error &failure) {
    std::cout << failure.what() << '\n';
    return 1;
}
