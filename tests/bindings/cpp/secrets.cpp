// A program that looks for a secret in the memory that it frees. Exit status: 0 if there is none.
#include <obsabort.hpp>

#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>

namespace {

// Too long for a std::string to hold it in itself.
constexpr char secret[] = "a-secret-that-is-long-enough-to-be-on-the-heap";
bool searching = false;
int found = 0;

} // namespace

void operator delete(void *memory) noexcept
{
    if (searching && memory != nullptr)
        found += memmem(memory, malloc_usable_size(memory), secret, sizeof secret - 1) != nullptr;
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept { operator delete(memory); }

void *operator new(std::size_t size)
{
    if (void *memory = std::malloc(size != 0 ? size : 1))
        return memory;
    throw std::bad_alloc();
}

int main()
{
    obsabort::config config;
    config.endpoint("http://127.0.0.1:9").proxy("");
    const obsabort::client client(config);
    searching = true;
    // A search that does not find would pass anything.
    std::string *volatile copy = new std::string(secret);
    delete copy;
    if (std::exchange(found, 0) != 1)
        return 2;
    config.credentials("KEY", secret, secret);
    client.set_credentials("KEY", secret, secret);
    for (const char *refused : {"", "two words"})
        try {
            config.credentials(refused, secret, secret);
            return 3;
        } catch (const obsabort::failure &) {
        }
    searching = false;
    return found;
}
