/*
 * libobsabort for C++17 and newer: obsabort.h with owners, exceptions and std::chrono. Header-only.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     obsabort::client client(obsabort::config()
 *                                 .endpoint("https://obs.eu-101.myhuaweicloud.com")
 *                                 .credentials(obsabort::credential_source::environment));
 *     client.abort("bucket", "dir/key", upload_id);      // throws obsabort::failure
 *
 * What the functions do is described in obsabort.h. The rules that are different here:
 *
 * - Strings are UTF-8 and are copied. One that contains U+0000 is refused: cut there, it would name another upload.
 * - A callable may throw. Its exception ends the call, and comes out of it, except from a log. No exception passes
 *   through C.
 * - Const member functions may be called by any number of threads at once.
 *
 * C++20 adds overloads that take a std::stop_token, C++23 client::abort_expected().
 */
#ifndef OBSABORT_HPP
#define OBSABORT_HPP

#include <obsabort.h>

#if !defined(__cplusplus) || (__cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L))
#error "obsabort.hpp needs C++17 or newer: -std=c++17"
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif
#if defined(__cpp_lib_expected)
#include <expected>
#endif

// One type of exception and one error category for a whole process, also if its parts hide their symbols.
#if defined(__GNUC__) && !defined(_WIN32)
#define OBSABORT_VISIBLE __attribute__((visibility("default")))
#else
#define OBSABORT_VISIBLE
#endif

/// The C++ interface.
namespace obsabort {

/// The codes of obsabort.h. Later versions of the library may return codes that have no enumerator here.
enum class errc : std::int32_t {
    ok = OBS_ABORT_OK,
    invalid_argument = OBS_ABORT_INVALID_ARGUMENT,
    invalid_config = OBS_ABORT_INVALID_CONFIG,
    no_credentials = OBS_ABORT_NO_CREDENTIALS,
    resolve = OBS_ABORT_RESOLVE,
    connect = OBS_ABORT_CONNECT,
    tls = OBS_ABORT_TLS,
    timeout = OBS_ABORT_TIMEOUT,
    io = OBS_ABORT_IO,
    protocol = OBS_ABORT_PROTOCOL,
    cancelled = OBS_ABORT_CANCELLED,
    access_denied = OBS_ABORT_ACCESS_DENIED,
    no_such_upload = OBS_ABORT_NO_SUCH_UPLOAD,
    no_such_bucket = OBS_ABORT_NO_SUCH_BUCKET,
    clock_skew = OBS_ABORT_CLOCK_SKEW,
    throttled = OBS_ABORT_THROTTLED,
    server = OBS_ABORT_SERVER,
    redirect = OBS_ABORT_REDIRECT,
    rejected = OBS_ABORT_REJECTED,
    parts_remain = OBS_ABORT_PARTS_REMAIN,
    partial = OBS_ABORT_PARTIAL,
    still_listed = OBS_ABORT_STILL_LISTED,
    internal = OBS_ABORT_INTERNAL
};

/// Returns the name of a code, such as "no_such_bucket"; "unknown" if the library does not know it.
inline std::string_view name(errc code) noexcept { return obs_abort_code_name(static_cast<std::int32_t>(code)); }

/// The category of the codes in std::error_code.
class OBSABORT_VISIBLE error_category final : public std::error_category {
public:
    /// Returns "obsabort".
    const char *name() const noexcept override { return "obsabort"; }

    /// As obs_abort_strerror().
    std::string message(int code) const override { return obs_abort_strerror(code); }

    /// Returns what std::errc has for a code, or the code itself.
    std::error_condition default_error_condition(int code) const noexcept override
    {
        switch (static_cast<errc>(code)) {
        case errc::invalid_argument:
            return std::errc::invalid_argument;
        case errc::timeout:
            return std::errc::timed_out;
        case errc::cancelled:
            return std::errc::operation_canceled;
        case errc::access_denied:
            return std::errc::permission_denied;
        default:
            return {code, *this};
        }
    }
};

/// Returns the category of `errc`.
OBSABORT_VISIBLE inline const std::error_category &category() noexcept
{
    // Never destroyed: a thread may still be in a call when the process ends.
    static const error_category *const only = new error_category;
    return *only;
}

/// Makes `std::error_code error = errc::timeout` and `error == errc::timeout` work.
inline std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), category()}; }

} // namespace obsabort

/// \cond
template <>
struct std::is_error_code_enum<obsabort::errc> : std::true_type {};
/// \endcond

namespace obsabort {

/// All that is known about the abort of one upload. A text that is not known is empty.
struct outcome {
    errc code = errc::ok; ///< What obs_abort_multipart() returns.
    int http_status = 0; ///< Of the response that decided the code; 0 if none did.
    std::string message; ///< One line: the name of the code, what happened, what to do. Empty on success.
    std::string service_code; ///< As "NoSuchUpload".
    std::string request_id; ///< Huawei's support asks for it, and for host_id.
    std::string host_id; ///< Of the response that decided the code, as the request id.
    std::uint32_t attempts = 0; ///< Not 0 with errc::cancelled or errc::timeout: the upload may be gone.
    std::string key; ///< Of the object.
    std::string upload_id; ///< As it was passed or listed.
    std::optional<std::chrono::system_clock::time_point> initiated; ///< Only from client::sweep() and abort_stale().
    std::optional<std::size_t> index; ///< The position in the range that was passed to client::abort_many().
    std::uint64_t parts = 0; ///< 0 unless client::sweep() looked at the parts; the others below likewise.
    std::uint64_t bytes = 0; ///< Of all parts.
    std::optional<std::chrono::system_clock::time_point> last_part; ///< When the youngest part was written.

    /// Returns whether the upload is gone because of this call.
    explicit operator bool() const noexcept { return code == errc::ok; }
};

/// The results of client::abort_many(), abort_stale() and sweep(): total = aborted + missing + failed + kept.
struct report {
    errc code = errc::ok; ///< What obs_abort_many(), obs_abort_stale() or obs_abort_sweep() returns.
    std::string message; ///< One line. Empty on success.
    std::uint64_t total = 0; ///< In the range that was passed, or found.
    std::uint64_t aborted = 0; ///< Gone because of this call; in a dry run, those that would be.
    std::uint64_t missing = 0; ///< Did not exist when their abort was sent.
    std::uint64_t failed = 0; ///< Their abort failed.
    std::uint64_t kept = 0; ///< Too young, of unknown age, active, kept by a callable, or not reached before the end.
    std::uint64_t unknown_age = 0; ///< Those of the kept whose age the service does not tell.
    std::uint64_t throttled = 0; ///< How often the service asked to slow down.
    std::uint64_t bytes = 0; ///< Of those that were aborted, or would be, if selection::measure() or idle() was set.
    std::uint64_t younger = 0; ///< Those of the kept that were initiated at or after the cutoff.
    std::uint64_t active = 0; ///< Those of the kept with a part that is not old enough, or that could not be listed.
    bool complete = false; ///< Whether a whole last listing showed nothing left to do, and all parts could be listed.
    std::vector<outcome> failures; ///< The first 1000 failures.

    /// Returns whether all uploads that were meant are gone.
    explicit operator bool() const noexcept { return code == errc::ok; }
};

/// Thrown by constructors, by setters and by client::abort().
class OBSABORT_VISIBLE failure : public std::system_error {
public:
    /// The failure of one upload.
    explicit failure(outcome details)
        : std::system_error(make_error_code(details.code)),
          details_(std::make_shared<const outcome>(std::move(details)))
    {
    }

    /// A failure that belongs to no upload.
    failure(errc code, std::string message) : failure(with(code, std::move(message))) {}

    /// Throws the failure of many: `if (!report) throw failure(report);`
    explicit failure(const report &many) : failure(many.code, many.message) {}

    /// Returns the message of the outcome.
    const char *what() const noexcept override { return details_->message.c_str(); }

    /// All that is known about the upload. Setters and constructors know the code and the message alone.
    const outcome &details() const noexcept { return *details_; }

private:
    static outcome with(errc code, std::string message)
    {
        outcome details;
        details.code = code;
        details.message = std::move(message);
        return details;
    }

    // Shared, because an exception must be copied without another.
    std::shared_ptr<const outcome> details_;
};

/// What a progress callable is called with.
struct progress {
    const obsabort::outcome *outcome; ///< Of an upload that is settled; NULL at least every 250 ms besides.
    std::uint64_t done; ///< Uploads that are settled so far. Never decreases.
    std::uint64_t total_so_far; ///< Uploads that are known so far. Never decreases.
};

/// An upload to abort. client::abort_many() takes other types that have these members, and pairs, just as well.
struct upload {
    std::string key; ///< Of the object: 1 to 1024 bytes of UTF-8, not percent-encoded.
    std::string upload_id; ///< As the service gave it.
};

/// Where credentials come from.
enum class credential_source : std::int32_t {
    environment = OBS_ABORT_CREDENTIALS_ENV,
    ecs = OBS_ABORT_CREDENTIALS_ECS,
    chain = OBS_ABORT_CREDENTIALS_CHAIN
};

/// How the bucket appears in the URL of a request.
enum class addressing : std::int32_t {
    automatic = OBS_ABORT_ADDRESSING_AUTO,
    virtual_host = OBS_ABORT_ADDRESSING_VIRTUAL_HOST,
    path = OBS_ABORT_ADDRESSING_PATH,
    custom_domain = OBS_ABORT_ADDRESSING_CUSTOM_DOMAIN
};

/// The signature scheme.
enum class signature : std::int32_t {
    automatic = OBS_ABORT_SIGNATURE_AUTO,
    obs = OBS_ABORT_SIGNATURE_OBS,
    aws_v2 = OBS_ABORT_SIGNATURE_AWS_V2
};

/// How detailed the log is. Each level includes those before it.
enum class log_level : std::int32_t {
    error = OBS_ABORT_LOG_ERROR,
    warn = OBS_ABORT_LOG_WARN,
    info = OBS_ABORT_LOG_INFO,
    debug = OBS_ABORT_LOG_DEBUG
};

/// What client::abort_stale() looks for, and whether it aborts what it finds.
struct stale_options {
    std::string prefix = {}; ///< Of the keys. Empty: all uploads of the bucket.
    bool dry_run = false; ///< Aborts nothing, and reports what would be aborted.
    bool include_live = false; ///< Allows an age of 0, which takes uploads that are in progress.
};

/// Whether client::sweep() aborts what it finds.
struct sweep_options {
    bool dry_run = false; ///< Aborts nothing, and reports what would be aborted.
    bool include_live = false; ///< Allows a selection without any bound, which takes uploads that are in progress.
};

/// A bucket of the account.
struct bucket {
    std::string name; ///< As the functions of a client take it.
    std::string location; ///< The region. Empty if the service does not tell.
};

namespace detail {

using log_function = std::function<void(log_level, std::string_view)>;

template <auto free>
struct free_by {
    template <class T>
    void operator()(T *handle) const noexcept
    {
        free(handle);
    }
};

template <class T, auto free>
using owned = std::unique_ptr<T, free_by<free>>;

/// A text as C wants it. The copy of a secret does not stay in freed memory.
class c_text {
public:
    explicit c_text(std::string_view text) : copy_(text) {}
    c_text(const c_text &) = delete;
    c_text &operator=(const c_text &) = delete;

    ~c_text()
    {
        for (volatile char *at = copy_.data(), *const end = at + copy_.size(); at != end; ++at)
            *at = '\0';
    }

    bool has_nul() const noexcept { return copy_.find('\0') != std::string::npos; }
    const char *get() const noexcept { return copy_.c_str(); }

private:
    std::string copy_;
};

/// Returns a duration in a coarser unit, rounded up, and at most `most`. Nothing if it is negative or not a number.
template <class Unit, class Rep, class Period>
std::optional<std::uint64_t> count_of(std::chrono::duration<Rep, Period> duration, std::uint64_t most)
{
    using real = std::chrono::duration<long double, typename Unit::period>;
    // In floating point first: hours::max() in milliseconds is no integer that exists.
    const long double count = std::chrono::duration_cast<real>(duration).count();
    if (!(count >= 0))
        return std::nullopt;
    if (count >= static_cast<long double>(most))
        return most;
    const auto whole = static_cast<std::uint64_t>(count);
    return whole < count ? whole + 1 : whole;
}

/// Returns 0, which is refused, for what can't be a timeout. 49 days stand for anything longer.
template <class Rep, class Period>
std::uint32_t timeout_ms(std::chrono::duration<Rep, Period> timeout)
{
    const auto ms = count_of<std::chrono::milliseconds>(timeout, (std::numeric_limits<std::uint32_t>::max)());
    return static_cast<std::uint32_t>(ms.value_or(0));
}

/// Returns whole seconds since 1970, rounded down: what was initiated in the second of `time` was not before it.
template <class Duration>
std::int64_t unix_seconds(std::chrono::time_point<std::chrono::system_clock, Duration> time)
{
    using limits = std::numeric_limits<std::int64_t>;
    using real = std::chrono::duration<long double>;
    const long double count = std::chrono::duration_cast<real>(time.time_since_epoch()).count();
    if (!(count > static_cast<long double>((limits::min)())))
        return (limits::min)();
    if (count >= static_cast<long double>((limits::max)()))
        return (limits::max)();
    return std::chrono::floor<std::chrono::duration<std::int64_t>>(time.time_since_epoch()).count();
}

inline std::string text_or_empty(const char *text) { return text != nullptr ? text : std::string(); }

inline outcome outcome_from(const obs_abort_outcome *from)
{
    outcome to;
    to.code = static_cast<errc>(obs_abort_outcome_code(from));
    to.http_status = obs_abort_outcome_http_status(from);
    to.message = text_or_empty(obs_abort_outcome_message(from));
    to.service_code = text_or_empty(obs_abort_outcome_service_code(from));
    to.request_id = text_or_empty(obs_abort_outcome_request_id(from));
    to.host_id = text_or_empty(obs_abort_outcome_host_id(from));
    to.attempts = obs_abort_outcome_attempts(from);
    to.key = text_or_empty(obs_abort_outcome_key(from));
    to.upload_id = text_or_empty(obs_abort_outcome_upload_id(from));
    if (const std::int64_t initiated = obs_abort_outcome_initiated(from); initiated >= 0)
        to.initiated = std::chrono::system_clock::time_point(std::chrono::seconds(initiated));
    if (const std::int64_t index = obs_abort_outcome_index(from); index >= 0)
        to.index = static_cast<std::size_t>(index);
    to.parts = obs_abort_outcome_parts(from);
    to.bytes = obs_abort_outcome_bytes(from);
    if (const std::int64_t last_part = obs_abort_outcome_last_part(from); last_part >= 0)
        to.last_part = std::chrono::system_clock::time_point(std::chrono::seconds(last_part));
    return to;
}

inline std::string refusal(const char *what)
{
    return "invalid_argument: the " + std::string(what) + " contains U+0000";
}

template <class T, class = void>
struct has_upload_members : std::false_type {};
template <class T>
struct has_upload_members<
    T, std::void_t<decltype(std::declval<const T &>().key), decltype(std::declval<const T &>().upload_id)>>
    : std::true_type {};

/// The uploads of a range, copied: its elements may be temporary.
class upload_list {
public:
    template <class Range>
    explicit upload_list(Range &&range)
    {
        for (auto &&element : range) {
            using type = std::decay_t<decltype(element)>;
            if constexpr (has_upload_members<type>::value) {
                add(element.key, element.upload_id);
            } else {
                using std::get;
                add(get<0>(element), get<1>(element));
            }
        }
    }

    /// Returns what C takes, valid as long as this list. An entry that C can't take has NULL for its texts, so that it
    /// fails alone, and the others keep their indices.
    std::vector<obs_abort_upload> entries() const
    {
        std::vector<obs_abort_upload> entries(places_.size());
        for (std::size_t i = 0; i != places_.size(); ++i)
            if (nul_in(i) == nullptr)
                entries[i] = {key(i), key(i) + places_[i].key_size + 1};
        return entries;
    }

    outcome outcome_from(const obs_abort_outcome *from) const
    {
        outcome to = detail::outcome_from(from);
        if (!to.index || *to.index >= places_.size())
            return to;
        if (const char *what = nul_in(*to.index)) {
            const place &at = places_[*to.index];
            to.message = refusal(what);
            to.key.assign(key(*to.index), at.key_size);
            to.upload_id.assign(key(*to.index) + at.key_size + 1, at.id_size);
        }
        return to;
    }

private:
    struct place {
        std::size_t start, key_size, id_size;
    };

    void add(std::string_view key, std::string_view upload_id)
    {
        places_.push_back({texts_.size(), key.size(), upload_id.size()});
        texts_.append(key).append(1, '\0').append(upload_id).append(1, '\0');
    }

    const char *key(std::size_t i) const noexcept { return texts_.data() + places_[i].start; }

    const char *nul_in(std::size_t i) const noexcept
    {
        const place &at = places_[i];
        if (std::string_view(key(i), at.key_size).find('\0') != std::string_view::npos)
            return "key";
        if (std::string_view(key(i) + at.key_size + 1, at.id_size).find('\0') != std::string_view::npos)
            return "upload id";
        return nullptr;
    }

    std::string texts_; // each key and each upload id with a NUL behind it
    std::vector<place> places_;
};

/// What a `call` and the verbs that run with it share.
struct call_state {
    std::mutex lock;
    bool cancelled = false;
    std::uint32_t timeout_ms = 0; // 0: none
    std::vector<const obs_abort_call *> running;
};

/// The call handle of one verb. It is the verb's own, so that a verb that is stopped by its progress callable does not
/// cancel others with the same `call`.
class call_handle {
public:
    explicit call_handle(std::shared_ptr<call_state> state = nullptr)
        : state_(std::move(state)), handle_(obs_abort_call_new())
    {
        if (!handle_)
            throw failure(errc::internal, "internal: no call handle");
        if (!state_)
            return;
        const std::lock_guard<std::mutex> locked(state_->lock);
        if (state_->timeout_ms != 0)
            obs_abort_call_set_timeout_ms(handle_.get(), state_->timeout_ms);
        if (state_->cancelled)
            cancel();
        state_->running.push_back(handle_.get());
    }

    call_handle(const call_handle &) = delete;
    call_handle &operator=(const call_handle &) = delete;

    ~call_handle()
    {
        if (!state_)
            return;
        const std::lock_guard<std::mutex> locked(state_->lock);
        auto &running = state_->running;
        *std::find(running.begin(), running.end(), handle_.get()) = running.back();
        running.pop_back();
    }

    void cancel() const noexcept { obs_abort_call_cancel(handle_.get()); }
    const obs_abort_call *get() const noexcept { return handle_.get(); }

private:
    std::shared_ptr<call_state> state_;
    owned<obs_abort_call, obs_abort_call_free> handle_;
};

/// Runs the callables of a verb for C, and ends the verb if one of them says so, or throws. Keeps the exception.
class stopper {
public:
    explicit stopper(const call_handle &handle) noexcept : handle_(handle) {}

    /// Returns false if the verb is to end. What was in progress ends with a callback: `callable` is not called then.
    //
    // The end of the thread in a callable (pthread_exit, pthread_cancel) ends the process here: it unwinds, too.
    template <class Callable>
    bool goes_on(const Callable &callable) noexcept
    {
        if (stopped_)
            return false;
        try {
            if (callable())
                return true;
        } catch (...) {
            exception_ = std::current_exception();
        }
        stopped_ = true;
        // The library would wait for the uploads in progress, however long the server is silent.
        handle_.cancel();
        return false;
    }

    bool stopped() const noexcept { return stopped_; }

    void rethrow() const
    {
        if (exception_)
            std::rethrow_exception(exception_);
    }

private:
    const call_handle &handle_;
    bool stopped_ = false;
    std::exception_ptr exception_;
};

/// Calls a callable that returns void, or false to stop. Nothing else, since C's "return 0" means the opposite.
template <class Callable, class Argument>
bool says_go_on(Callable &callable, const Argument &argument)
{
    using result = std::invoke_result_t<Callable &, const Argument &>;
    if constexpr (std::is_void_v<result>) {
        callable(argument);
        return true;
    } else {
        static_assert(std::is_same_v<result, bool>, "this callable returns void, or a bool: false to stop");
        return callable(argument);
    }
}

using keep_function = std::function<bool(const outcome &)>;

/// The callables of a verb with a report, called from C.
template <class Callable>
class observer {
public:
    observer(Callable &callable, const call_handle &handle, const upload_list *uploads, const keep_function *keep)
        : callable_(callable), stopper_(handle), uploads_(uploads), keep_(keep)
    {
    }

    obs_abort_progress_fn function() const noexcept
    {
        if constexpr (std::is_null_pointer_v<Callable>)
            return nullptr;
        else
            return &observer::called;
    }

    /// The filter of C. An upload for which the callable threw, or was not called any more, is kept.
    static std::int32_t filtered(const obs_abort_outcome *candidate, void *userdata) noexcept
    {
        auto &self = *static_cast<observer *>(userdata);
        bool keeps = true;
        self.stopper_.goes_on([&] {
            keeps = (*self.keep_)(outcome_from(candidate));
            return true;
        });
        return keeps;
    }

    void rethrow() const { stopper_.rethrow(); }

private:
    static std::int32_t called(const obs_abort_outcome *from, std::uint64_t done, std::uint64_t total_so_far,
                               void *userdata) noexcept
    {
        auto &self = *static_cast<observer *>(userdata);
        return self.stopper_.goes_on([&] { return self.call(from, done, total_so_far); }) ? 0 : 1;
    }

    bool call(const obs_abort_outcome *from, std::uint64_t done, std::uint64_t total_so_far)
    {
        std::optional<outcome> settled;
        if (from != nullptr)
            settled = uploads_ != nullptr ? uploads_->outcome_from(from) : outcome_from(from);
        return says_go_on(callable_, progress{settled ? &*settled : nullptr, done, total_so_far});
    }

    Callable &callable_;
    stopper stopper_;
    const upload_list *uploads_;
    const keep_function *keep_;
};

/// The callable of client::buckets(), called from C.
template <class Callable>
class bucket_visitor {
public:
    bucket_visitor(Callable &callable, const call_handle &handle) : callable_(callable), stopper_(handle) {}

    static std::int32_t called(const char *name, const char *location, void *userdata) noexcept
    {
        auto &self = *static_cast<bucket_visitor *>(userdata);
        const auto visit = [&] { return says_go_on(self.callable_, bucket{name, text_or_empty(location)}); };
        return self.stopper_.goes_on(visit) ? 0 : 1;
    }

    bool stopped() const noexcept { return stopper_.stopped(); }
    void rethrow() const { stopper_.rethrow(); }

private:
    Callable &callable_;
    stopper stopper_;
};

inline report report_from(std::int32_t code, const obs_abort_report *from, const char *error,
                          const upload_list *uploads)
{
    report to;
    to.code = static_cast<errc>(code);
    to.message = text_or_empty(error);
    to.total = obs_abort_report_total(from);
    to.aborted = obs_abort_report_aborted(from);
    to.missing = obs_abort_report_missing(from);
    to.failed = obs_abort_report_failed(from);
    to.kept = obs_abort_report_kept(from);
    to.unknown_age = obs_abort_report_unknown_age(from);
    to.throttled = obs_abort_report_throttled(from);
    to.bytes = obs_abort_report_bytes(from);
    to.younger = obs_abort_report_younger(from);
    to.active = obs_abort_report_active(from);
    to.complete = obs_abort_report_complete(from) != 0;
    const std::size_t failures = obs_abort_report_failure_count(from);
    to.failures.reserve(failures);
    for (std::size_t i = 0; i != failures; ++i) {
        const obs_abort_outcome *failed = obs_abort_report_failure(from, i);
        to.failures.push_back(uploads != nullptr ? uploads->outcome_from(failed) : outcome_from(failed));
    }
    return to;
}

inline report refused(std::string message)
{
    report to;
    to.code = errc::invalid_argument;
    to.message = std::move(message);
    return to;
}

} // namespace detail

/// What client::sweep() looks for. All bounds that are set hold together. A setter throws `failure` with
/// errc::invalid_argument if the value can't be used.
class selection {
public:
    /// Only uploads whose keys begin with this.
    selection &prefix(std::string_view value)
    {
        if (value.find('\0') != std::string_view::npos)
            throw failure(errc::invalid_argument, detail::refusal("prefix"));
        prefix_ = value;
        return *this;
    }

    /// Only uploads that were initiated longer ago. Fractions of a second are rounded up. 0: of any age.
    template <class Rep, class Period>
    selection &older_than(std::chrono::duration<Rep, Period> age)
    {
        older_than_ = seconds("age", age);
        return *this;
    }

    /// Only uploads that were initiated before a time. Fractions of a second are rounded down.
    template <class Duration>
    selection &initiated_before(std::chrono::time_point<std::chrono::system_clock, Duration> time)
    {
        initiated_before_ = detail::unix_seconds(time);
        return *this;
    }

    /// Only uploads that were neither initiated nor got a part within this time. The parts are listed right before each
    /// abort; if they can't be, the upload is kept. Fractions of a second are rounded up. 0: the parts do not matter.
    template <class Rep, class Period>
    selection &idle(std::chrono::duration<Rep, Period> time)
    {
        idle_ = seconds("idle time", time);
        return *this;
    }

    /// Fills outcome::parts, bytes and last_part, and report::bytes.
    selection &measure(bool on = true)
    {
        measure_ = on;
        return *this;
    }

    /// Sets a callable `bool(const outcome &)` that returns true for uploads that are to be kept. It is called on the
    /// thread that sweeps, before anything is sent for the upload, and again if the upload is listed again. It is
    /// copied. Or nullptr.
    template <class Callable>
    selection &keep(Callable callable)
    {
        if constexpr (std::is_null_pointer_v<Callable>) {
            keep_.reset();
        } else {
            static_assert(std::is_same_v<std::invoke_result_t<Callable &, const outcome &>, bool>,
                          "keep's callable returns a bool: true to keep the upload");
            // Also an empty std::function, which throws when it is called.
            keep_.emplace(std::move(callable));
        }
        return *this;
    }

private:
    friend class client;

    template <class Rep, class Period>
    static std::uint64_t seconds(const char *what, std::chrono::duration<Rep, Period> duration)
    {
        const auto count = detail::count_of<std::chrono::seconds>(duration, (std::numeric_limits<std::int64_t>::max)());
        if (!count)
            throw failure(errc::invalid_argument, "invalid_argument: the " + std::string(what) + " is negative");
        return *count;
    }

    std::string prefix_;
    std::uint64_t older_than_ = 0;
    std::optional<std::int64_t> initiated_before_;
    std::uint64_t idle_ = 0;
    bool measure_ = false;
    std::optional<detail::keep_function> keep_;
};

/// Settings for new clients. A setter throws `failure` with errc::invalid_config if the value can't be used.
///
/// Threads: one at a time for each config.
class config {
public:
    /// A config with default settings, as obs_abort_config_new() describes them.
    config() : handle_(obs_abort_config_new())
    {
        if (!handle_)
            throw failure(errc::internal, "internal: no config");
    }

    /// As obs_abort_config_set_endpoint().
    config &endpoint(std::string_view url) { return text("endpoint", obs_abort_config_set_endpoint, url); }

    /// As obs_abort_config_set_credentials().
    config &credentials(std::string_view access_key, std::string_view secret_key, std::string_view security_token = {})
    {
        const detail::c_text access(checked("access key", access_key)), secret(checked("secret key", secret_key)),
            token(checked("security token", security_token));
        return accepted(obs_abort_config_set_credentials(handle_.get(), access.get(), secret.get(), token.get()));
    }

    /// As obs_abort_config_set_credential_source().
    config &credentials(credential_source source) { return number(obs_abort_config_set_credential_source, source); }

    /// As obs_abort_config_set_addressing().
    config &addressing(obsabort::addressing value) { return number(obs_abort_config_set_addressing, value); }

    /// As obs_abort_config_set_signature().
    config &signature(obsabort::signature value) { return number(obs_abort_config_set_signature, value); }

    /// As obs_abort_config_set_connect_timeout_ms(). Fractions of a millisecond are rounded up.
    template <class Rep, class Period>
    config &connect_timeout(std::chrono::duration<Rep, Period> value)
    {
        return accepted(obs_abort_config_set_connect_timeout_ms(handle_.get(), detail::timeout_ms(value)));
    }

    /// As obs_abort_config_set_response_timeout_ms(), rounded likewise.
    template <class Rep, class Period>
    config &response_timeout(std::chrono::duration<Rep, Period> value)
    {
        return accepted(obs_abort_config_set_response_timeout_ms(handle_.get(), detail::timeout_ms(value)));
    }

    /// As obs_abort_config_set_timeout_ms(), rounded likewise.
    template <class Rep, class Period>
    config &timeout(std::chrono::duration<Rep, Period> value)
    {
        return accepted(obs_abort_config_set_timeout_ms(handle_.get(), detail::timeout_ms(value)));
    }

    /// As obs_abort_config_set_max_attempts().
    config &max_attempts(std::uint32_t value)
    {
        return accepted(obs_abort_config_set_max_attempts(handle_.get(), value));
    }

    /// As obs_abort_config_set_max_connections().
    config &max_connections(std::uint32_t value)
    {
        return accepted(obs_abort_config_set_max_connections(handle_.get(), value));
    }

    /// As obs_abort_config_set_ca_file().
    config &ca_file(std::string_view path) { return text("CA file", obs_abort_config_set_ca_file, path); }

    /// As obs_abort_config_set_client_certificate().
    config &client_certificate(std::string_view certificate_path, std::string_view key_path)
    {
        const detail::c_text certificate(checked("path of the certificate", certificate_path)),
            key(checked("path of the key", key_path));
        return accepted(obs_abort_config_set_client_certificate(handle_.get(), certificate.get(), key.get()));
    }

    /// As obs_abort_config_set_proxy().
    config &proxy(std::string_view url) { return text("proxy", obs_abort_config_set_proxy, url); }

    /// As obs_abort_config_set_confirm().
    config &confirm(bool on = true) { return accepted(obs_abort_config_set_confirm(handle_.get(), on)); }

    /// As obs_abort_config_set_request_payer().
    config &request_payer(bool on = true) { return accepted(obs_abort_config_set_request_payer(handle_.get(), on)); }

    /// As obs_abort_config_set_user_agent().
    config &user_agent(std::string_view product)
    {
        return text("user agent", obs_abort_config_set_user_agent, product);
    }

    /// Sets a callable `void(log_level, std::string_view)`. It is called on threads that are inside a call of the
    /// client, possibly on several at the same time. An exception that leaves it is dropped: a log decides over no
    /// abort.
    config &log(log_level level, std::function<void(log_level, std::string_view)> callable)
    {
        auto log = callable ? std::make_shared<const detail::log_function>(std::move(callable)) : nullptr;
        // C gives back to log_called() what it never writes to.
        void *userdata = const_cast<detail::log_function *>(log.get());
        accepted(obs_abort_config_set_log(handle_.get(), log ? &config::log_called : nullptr, userdata,
                                          static_cast<std::int32_t>(level)));
        log_ = std::move(log);
        return *this;
    }

private:
    friend class client;

    static void log_called(std::int32_t level, const char *line, void *userdata) noexcept
    {
        try {
            (*static_cast<const detail::log_function *>(userdata))(static_cast<log_level>(level), line);
        } catch (...) {
        }
    }

    static std::string_view checked(const char *what, std::string_view value)
    {
        if (value.find('\0') != std::string_view::npos)
            throw failure(errc::invalid_config, "invalid_config: the " + std::string(what) + " contains U+0000");
        return value;
    }

    config &text(const char *what, std::int32_t (*set)(obs_abort_config *, const char *), std::string_view value)
    {
        const detail::c_text copy(checked(what, value));
        return accepted(set(handle_.get(), copy.get()));
    }

    template <class Enum>
    config &number(std::int32_t (*set)(obs_abort_config *, std::int32_t), Enum value)
    {
        return accepted(set(handle_.get(), static_cast<std::int32_t>(value)));
    }

    config &accepted(std::int32_t code)
    {
        if (code == OBS_ABORT_OK)
            return *this;
        // Setters give a code alone; what is wrong, the library tells whoever wants a client of this config.
        obs_abort_client *none = nullptr;
        char *error = nullptr;
        code = obs_abort_client_new(handle_.get(), &none, &error);
        const detail::owned<char, obs_abort_string_free> message(error);
        throw failure(static_cast<errc>(code), detail::text_or_empty(error));
    }

    detail::owned<obs_abort_config, obs_abort_config_free> handle_;
    std::shared_ptr<const detail::log_function> log_;
};

/// Cancels calls from another thread, and limits the time that each of them may take. One object may serve several
/// calls, one after the other or at the same time.
///
/// It may be destroyed while they run; it can then no longer cancel them. After fork(), a child needs one of its own.
class call {
public:
    /// A call without a timeout.
    call() : state_(std::make_shared<detail::call_state>()) {}

    /// Throws `failure` with errc::invalid_argument unless the timeout is positive.
    template <class Rep, class Period>
    explicit call(std::chrono::duration<Rep, Period> timeout) : call()
    {
        state_->timeout_ms = detail::timeout_ms(timeout);
        if (state_->timeout_ms == 0)
            throw failure(errc::invalid_argument, "invalid_argument: the timeout of the call is not positive");
    }

    call(call &&) = delete;

    /// Cancels all calls that run with this object, and those that begin later. They return errc::cancelled within
    /// 250 ms. Not for signal handlers.
    void cancel() const noexcept
    {
        const std::lock_guard<std::mutex> locked(state_->lock);
        state_->cancelled = true;
        for (const obs_abort_call *running : state_->running)
            obs_abort_call_cancel(running);
    }

private:
    friend class client;

    std::shared_ptr<detail::call_state> state_;
};

/// A client: fixed settings, replaceable credentials and a pool of connections. Make one and keep it.
///
/// A call that is in progress when its client is destroyed returns errc::cancelled within 250 ms, and uses nothing of
/// the object after it has begun. The library's client is freed by whichever of them ends last. It is therefore safe to
/// destroy a client in a callback.
class client {
public:
    /// Throws `failure` with errc::invalid_config if the settings can't be used together.
    explicit client(const config &settings) : state_(std::make_shared<state>())
    {
        obs_abort_client *handle = nullptr;
        char *error = nullptr;
        const std::int32_t code = obs_abort_client_new(settings.handle_.get(), &handle, &error);
        const detail::owned<char, obs_abort_string_free> message(error);
        if (code != OBS_ABORT_OK)
            throw failure(static_cast<errc>(code), detail::text_or_empty(error));
        state_->handle.reset(handle);
        state_->log = settings.log_;
    }

    /// The client that was moved from may only be assigned to or destroyed: its calls are refused.
    client(client &&) noexcept = default;

    /// Cancels the calls of the client that is replaced, as its destructor does.
    client &operator=(client &&other) noexcept
    {
        client(std::move(other)).state_.swap(state_);
        return *this;
    }

    /// Cancels all calls of the client. Does not wait for them.
    ~client() { shutdown(); }

    /// Cancels all calls, those in progress and later ones.
    void shutdown() const noexcept { obs_abort_client_shutdown(handle()); }

    /// Replaces the credentials, also for the calls in progress. Throws `failure` if they can't be used.
    void set_credentials(std::string_view access_key, std::string_view secret_key,
                         std::string_view security_token = {}) const
    {
        const detail::c_text access(access_key), secret(secret_key), token(security_token);
        if (access.has_nul() || secret.has_nul() || token.has_nul())
            throw failure(errc::invalid_argument, detail::refusal("access key, the secret key or the security token"));
        char *error = nullptr;
        const std::int32_t code =
            obs_abort_client_set_credentials(handle(), access.get(), secret.get(), token.get(), &error);
        const detail::owned<char, obs_abort_string_free> message(error);
        if (code != OBS_ABORT_OK)
            throw failure(static_cast<errc>(code), detail::text_or_empty(error));
    }

    /// Aborts one upload. Whatever the service says is in the outcome; only memory that can't be had is an exception.
    /// The arguments are those of obs_abort_multipart_outcome(); `call` may be NULL.
    [[nodiscard]] outcome try_abort(std::string_view bucket, std::string_view key, std::string_view upload_id,
                                    const call *call = nullptr) const
    {
        if (call == nullptr)
            return abort_one(nullptr, bucket, key, upload_id);
        const detail::call_handle handle(call->state_);
        return abort_one(handle.get(), bucket, key, upload_id);
    }

    /// Aborts one upload, or throws `failure`.
    void abort(std::string_view bucket, std::string_view key, std::string_view upload_id,
               const call *call = nullptr) const
    {
        throw_unless_ok(try_abort(bucket, key, upload_id, call));
    }

    /// Aborts many uploads of one bucket.
    ///
    /// \param bucket    As for obs_abort_multipart().
    /// \param uploads   A range of `upload`, of anything else with these members (report::failures), or of pairs. An
    ///                  entry that can't be used fails alone.
    /// \param progress  Called with `const progress &` on this thread. Returns void, or false to cancel. Or nullptr.
    /// \param call      Cancels the call, and limits its time. Or NULL.
    /// \return The report, also of failures.
    template <class Range, class Callable = std::nullptr_t>
    [[nodiscard]] report abort_many(std::string_view bucket, Range &&uploads, Callable &&progress = nullptr,
                                    const call *call = nullptr) const
    {
        const detail::call_handle handle(state_of(call));
        return many(handle, bucket, detail::upload_list(uploads), progress);
    }

    /// As the other; for a list in braces.
    template <class Callable = std::nullptr_t>
    [[nodiscard]] report abort_many(std::string_view bucket, std::initializer_list<upload> uploads,
                                    Callable &&progress = nullptr, const call *call = nullptr) const
    {
        const detail::call_handle handle(state_of(call));
        return many(handle, bucket, detail::upload_list(uploads), progress);
    }

    /// Finds and aborts the uploads of a bucket that are older than a given time.
    ///
    /// \param bucket      As for obs_abort_multipart().
    /// \param older_than  Fractions of a second are rounded up. 0 is refused unless an option allows it.
    /// \param options     A prefix, and whether anything is aborted.
    /// \param progress    As for abort_many().
    /// \param call        As for abort_many().
    /// \return The report, also of failures.
    template <class Rep, class Period, class Callable = std::nullptr_t>
    [[nodiscard]] report abort_stale(std::string_view bucket, std::chrono::duration<Rep, Period> older_than,
                                     const stale_options &options = {}, Callable &&progress = nullptr,
                                     const call *call = nullptr) const
    {
        const detail::call_handle handle(state_of(call));
        return stale(handle, bucket, age(older_than), options, progress);
    }

    /// Finds and aborts the uploads of a bucket that a selection describes.
    ///
    /// \param bucket     As for obs_abort_multipart().
    /// \param selection  What is looked for. A selection without a bound is refused unless an option allows it.
    /// \param options    Whether anything is aborted.
    /// \param progress   As for abort_many(). Uploads that are kept have no outcome.
    /// \param call       As for abort_many().
    /// \return The report, also of failures.
    template <class Callable = std::nullptr_t>
    [[nodiscard]] report sweep(std::string_view bucket, const selection &selection, const sweep_options &options = {},
                               Callable &&progress = nullptr, const call *call = nullptr) const
    {
        const detail::call_handle handle(state_of(call));
        return selected(handle, bucket, selection, options, progress);
    }

    /// Calls a callable with each bucket of the account, or throws `failure`.
    ///
    /// \param visit  Called with `const bucket &` on this thread. Returns void, or false to stop.
    /// \param call   As for abort_many().
    template <class Callable, class = std::enable_if_t<std::is_invocable_v<Callable &, const bucket &>>>
    void buckets(Callable &&visit, const call *call = nullptr) const
    {
        const detail::call_handle handle(state_of(call));
        visit_buckets(handle, visit);
    }

    /// Lists the buckets of the account, or throws `failure`.
    ///
    /// \param call  As for abort_many().
    /// \return The buckets, in the service's order.
    [[nodiscard]] std::vector<bucket> buckets(const call *call = nullptr) const
    {
        std::vector<bucket> found;
        buckets([&found](const bucket &bucket) { found.push_back(bucket); }, call);
        return found;
    }

#if defined(__cpp_lib_jthread)
    /// As the other, but cancelled by a stop token. Since C++20.
    [[nodiscard]] outcome try_abort(std::stop_token token, std::string_view bucket, std::string_view key,
                                    std::string_view upload_id) const
    {
        const detail::call_handle handle;
        const std::stop_callback cancel(std::move(token), [&handle] { handle.cancel(); });
        return abort_one(handle.get(), bucket, key, upload_id);
    }

    /// As the other, but cancelled by a stop token. Since C++20.
    void abort(std::stop_token token, std::string_view bucket, std::string_view key, std::string_view upload_id) const
    {
        throw_unless_ok(try_abort(std::move(token), bucket, key, upload_id));
    }

    /// As the other, but cancelled by a stop token. Since C++20.
    template <class Range, class Callable = std::nullptr_t>
    [[nodiscard]] report abort_many(std::stop_token token, std::string_view bucket, Range &&uploads,
                                    Callable &&progress = nullptr) const
    {
        const detail::call_handle handle;
        const std::stop_callback cancel(std::move(token), [&handle] { handle.cancel(); });
        return many(handle, bucket, detail::upload_list(uploads), progress);
    }

    /// As the other, but cancelled by a stop token. Since C++20.
    template <class Rep, class Period, class Callable = std::nullptr_t>
    [[nodiscard]] report abort_stale(std::stop_token token, std::string_view bucket,
                                     std::chrono::duration<Rep, Period> older_than, const stale_options &options = {},
                                     Callable &&progress = nullptr) const
    {
        const detail::call_handle handle;
        const std::stop_callback cancel(std::move(token), [&handle] { handle.cancel(); });
        return stale(handle, bucket, age(older_than), options, progress);
    }

    /// As the other, but cancelled by a stop token. Since C++20.
    template <class Callable = std::nullptr_t>
    [[nodiscard]] report sweep(std::stop_token token, std::string_view bucket, const selection &selection,
                               const sweep_options &options = {}, Callable &&progress = nullptr) const
    {
        const detail::call_handle handle;
        const std::stop_callback cancel(std::move(token), [&handle] { handle.cancel(); });
        return selected(handle, bucket, selection, options, progress);
    }

    /// As the other, but cancelled by a stop token. Since C++20.
    template <class Callable, class = std::enable_if_t<std::is_invocable_v<Callable &, const bucket &>>>
    void buckets(std::stop_token token, Callable &&visit) const
    {
        const detail::call_handle handle;
        const std::stop_callback cancel(std::move(token), [&handle] { handle.cancel(); });
        visit_buckets(handle, visit);
    }

    /// As the other, but cancelled by a stop token. Since C++20.
    [[nodiscard]] std::vector<bucket> buckets(std::stop_token token) const
    {
        std::vector<bucket> found;
        buckets(std::move(token), [&found](const bucket &bucket) { found.push_back(bucket); });
        return found;
    }
#endif

#if defined(__cpp_lib_expected)
    /// Aborts one upload; an outcome whose code is not errc::ok is the error. Since C++23.
    [[nodiscard]] std::expected<outcome, outcome> abort_expected(std::string_view bucket, std::string_view key,
                                                                 std::string_view upload_id,
                                                                 const call *call = nullptr) const
    {
        outcome result = try_abort(bucket, key, upload_id, call);
        if (!result)
            return std::unexpected(std::move(result));
        return result;
    }
#endif

private:
    // The callable of the log outlives the library's client, which calls it.
    /// \cond
    struct state {
        std::shared_ptr<const detail::log_function> log;
        detail::owned<obs_abort_client, obs_abort_client_free> handle;
    };
    /// \endcond

    // NULL after a move; the library refuses it.
    obs_abort_client *handle() const noexcept { return state_ ? state_->handle.get() : nullptr; }

    static std::shared_ptr<detail::call_state> state_of(const call *call)
    {
        return call != nullptr ? call->state_ : nullptr;
    }

    static void throw_unless_ok(outcome result)
    {
        if (!result)
            throw failure(std::move(result));
    }

    template <class Rep, class Period>
    static std::optional<std::uint64_t> age(std::chrono::duration<Rep, Period> older_than)
    {
        return detail::count_of<std::chrono::seconds>(older_than, (std::numeric_limits<std::int64_t>::max)());
    }

    static outcome refused(std::string_view key, std::string_view upload_id, std::string message)
    {
        outcome to;
        to.code = errc::invalid_argument;
        to.message = std::move(message);
        to.key = key;
        to.upload_id = upload_id;
        return to;
    }

    outcome abort_one(const obs_abort_call *call, std::string_view bucket, std::string_view key,
                      std::string_view upload_id) const
    {
        const detail::c_text bucket_text(bucket), key_text(key), id_text(upload_id);
        for (const auto &[text, what] :
             {std::pair(&bucket_text, "bucket"), {&key_text, "key"}, {&id_text, "upload id"}})
            if (text->has_nul())
                return refused(key, upload_id, detail::refusal(what));
        const std::shared_ptr<state> in_use = state_;
        if (!in_use)
            return refused(key, upload_id, moved_from);
        obs_abort_outcome *outcome = nullptr;
        obs_abort_multipart_outcome(in_use->handle.get(), call, bucket_text.get(), key_text.get(), id_text.get(),
                                    &outcome);
        const detail::owned<obs_abort_outcome, obs_abort_outcome_free> owner(outcome);
        return detail::outcome_from(outcome);
    }

    template <class Callable>
    report many(const detail::call_handle &handle, std::string_view bucket, const detail::upload_list &uploads,
                Callable &progress) const
    {
        const std::vector<obs_abort_upload> entries = uploads.entries();
        return run(handle, bucket, &uploads, progress, [&](auto *in_use, const char *bucket_text, auto... rest) {
            return obs_abort_many(in_use, handle.get(), bucket_text, entries.data(), entries.size(), rest...);
        });
    }

    template <class Callable>
    report stale(const detail::call_handle &handle, std::string_view bucket, std::optional<std::uint64_t> age,
                 const stale_options &options, Callable &progress) const
    {
        const detail::c_text prefix(options.prefix);
        if (prefix.has_nul())
            return detail::refused(detail::refusal("prefix"));
        if (!age)
            return detail::refused("invalid_argument: the age is negative");
        return run(handle, bucket, nullptr, progress, [&](auto *in_use, const char *bucket_text, auto... rest) {
            return obs_abort_stale(in_use, handle.get(), bucket_text, prefix.get(), *age, flags(options), rest...);
        });
    }

    template <class Options>
    static std::uint32_t flags(const Options &options) noexcept
    {
        return (options.dry_run ? OBS_ABORT_DRY_RUN : 0) | (options.include_live ? OBS_ABORT_INCLUDE_LIVE : 0);
    }

    template <class Callable>
    report selected(const detail::call_handle &handle, std::string_view bucket, const selection &wanted,
                    const sweep_options &options, Callable &progress) const
    {
        const detail::owned<obs_abort_selection, obs_abort_selection_free> selection(obs_abort_selection_new());
        obs_abort_selection *const to = selection.get();
        // It remembers what it refuses, and obs_abort_sweep() says what that was.
        obs_abort_selection_set_prefix(to, wanted.prefix_.c_str());
        obs_abort_selection_set_older_than_seconds(to, wanted.older_than_);
        if (wanted.initiated_before_)
            obs_abort_selection_set_initiated_before(to, *wanted.initiated_before_);
        obs_abort_selection_set_idle_seconds(to, wanted.idle_);
        obs_abort_selection_set_measure(to, wanted.measure_);
        const auto verb = [&](auto *in_use, const char *bucket_text, auto function, void *observer, auto... rest) {
            if (wanted.keep_)
                obs_abort_selection_set_filter(to, &detail::observer<Callable>::filtered, observer);
            return obs_abort_sweep(in_use, handle.get(), bucket_text, to, flags(options), function, observer, rest...);
        };
        return run(handle, bucket, nullptr, progress, verb, wanted.keep_ ? &*wanted.keep_ : nullptr);
    }

    template <class Callable>
    void visit_buckets(const detail::call_handle &handle, Callable &visit) const
    {
        const std::shared_ptr<state> in_use = state_;
        if (!in_use)
            throw failure(errc::invalid_argument, moved_from);
        detail::bucket_visitor<Callable> visitor(visit, handle);
        char *error = nullptr;
        const std::int32_t code = obs_abort_buckets(in_use->handle.get(), handle.get(),
                                                    &detail::bucket_visitor<Callable>::called, &visitor, &error);
        const detail::owned<char, obs_abort_string_free> message(error);
        visitor.rethrow();
        if (code != OBS_ABORT_OK && !visitor.stopped())
            throw failure(static_cast<errc>(code), detail::text_or_empty(error));
    }

    template <class Callable, class Verb>
    report run(const detail::call_handle &handle, std::string_view bucket, const detail::upload_list *uploads,
               Callable &progress, const Verb &verb, const detail::keep_function *keep = nullptr) const
    {
        const detail::c_text bucket_text(bucket);
        if (bucket_text.has_nul())
            return detail::refused(detail::refusal("bucket"));
        const std::shared_ptr<state> in_use = state_;
        if (!in_use)
            return detail::refused(moved_from);
        detail::observer<Callable> observer(progress, handle, uploads, keep);
        obs_abort_report *report = nullptr;
        char *error = nullptr;
        const std::int32_t code = verb(in_use->handle.get(), bucket_text.get(), observer.function(),
                                       static_cast<void *>(&observer), &report, &error);
        const detail::owned<obs_abort_report, obs_abort_report_free> report_owner(report);
        const detail::owned<char, obs_abort_string_free> error_owner(error);
        observer.rethrow();
        return detail::report_from(code, report, error, uploads);
    }

    static constexpr const char *moved_from = "invalid_argument: the client was moved from";
    std::shared_ptr<state> state_;
};

} // namespace obsabort

#undef OBSABORT_VISIBLE

#endif // OBSABORT_HPP
