/* The progress bar on standard error. */
#include "obs-abort.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_AFTER_MS 300 /* what is done sooner needs no bar */
#define REDRAW_MS 100
#define SAMPLE_MS 500
#define WIDEST 160
#define WIDEST_BAR 40
#define SHORTEST_BAR 8 /* in a shorter one nobody sees it move */
#define THROTTLED_MS 3000 /* so long it is shown */

/* One bar, as there is one terminal. */
static struct {
    bool wanted, on_screen, finding;
    const char *what;
    uint64_t expected;
    int64_t started, drawn, sampled;
    int64_t throttled; /* when the service last asked to slow down; 0: it did not */
    uint64_t sampled_done;
    double rate; /* uploads a second, the recent ones weighing more */
} bar;

bool colours_wanted(FILE *stream)
{
    const char *refused = getenv("NO_COLOR"); /* no-color.org: present and not empty */

    return terminal_is_capable(stream) && (refused == NULL || *refused == '\0');
}

static size_t bar_width(void)
{
    size_t width = terminal_width();

    return width == 0 ? 80 : width < WIDEST ? width : WIDEST;
}

void progress_clear(void)
{
    if (bar.on_screen)
        fputs("\r\033[K", stderr);
    bar.on_screen = false;
}

void progress_start(const char *what, bool finding, uint64_t expected)
{
    progress_clear(); /* of the bar before */
    memset(&bar, 0, sizeof bar);
    bar.wanted = true;
    bar.what = what;
    bar.finding = finding;
    bar.expected = expected;
    bar.started = bar.sampled = monotonic_ms();
}

void progress_expect(uint64_t expected)
{
    bar.expected = expected;
}

void progress_stop(void)
{
    progress_clear();
    fflush(stderr);
    bar.wanted = false;
}

static void sample_rate(uint64_t done, int64_t now)
{
    double seconds = (double)(now - bar.sampled) / 1000, recent;

    if (now - bar.sampled < SAMPLE_MS && bar.rate > 0)
        return;
    if (seconds <= 0)
        return;
    recent = (double)(done - bar.sampled_done) / seconds;
    bar.rate = bar.rate > 0 ? 0.7 * bar.rate + 0.3 * recent : recent;
    bar.sampled = now;
    bar.sampled_done = done;
}

/* While more are still being found, it is "7 of 30+", without a part of the whole and without an end: the total grows
   page by page, and what either would say is false. */
static bool is_exact(uint64_t total)
{
    return !bar.finding && total > 0 && bar.expected >= total;
}

struct numbers {
    uint64_t done, total, failed;
    int64_t now;
};

/* What a narrow terminal does without, one after the other. */
enum detail { WITHOUT_TIME, WITHOUT_RATE, WITH_ALL };

static void describe(char *text, size_t size, const struct numbers *numbers, enum detail detail)
{
    uint64_t done = numbers->done, total = numbers->total;
    size_t used;

    if (bar.finding)
        used = (size_t)snprintf(text, size, "%llu looked at", (unsigned long long)(total > done ? total : done));
    else
        used = (size_t)snprintf(text, size, "%llu of %llu%s", (unsigned long long)done, (unsigned long long)total,
                                is_exact(total) ? "" : "+");
    if (numbers->failed > 0)
        used += (size_t)snprintf(text + used, size - used, ", %llu failed", (unsigned long long)numbers->failed);
    if (bar.rate >= 0.05 && !bar.finding && detail == WITH_ALL)
        used += (size_t)snprintf(text + used, size - used, ", %.*f/s", bar.rate < 10 ? 1 : 0, bar.rate);
    if (bar.rate >= 0.05 && total > done && is_exact(total) && detail != WITHOUT_TIME) {
        char left[32];

        format_age(left, sizeof left, (int64_t)((double)(total - done) / bar.rate + 0.5));
        used += (size_t)snprintf(text + used, size - used, ", %s left", left);
    }
    if (bar.throttled > 0 && numbers->now - bar.throttled < THROTTLED_MS)
        snprintf(text + used, size - used, ", throttled");
}

/* Returns the length of the line, which may be more than fits. `cells`: of the bar; 0: none. */
static int compose(char *line, size_t size, const struct numbers *numbers, enum detail detail, size_t cells)
{
    char text[160], drawn[WIDEST_BAR + 1];

    describe(text, sizeof text, numbers, detail);
    if (!is_exact(numbers->total))
        return snprintf(line, size, "%s: %s", bar.what, text);
    memset(drawn, '-', cells);
    memset(drawn, '#', (size_t)((double)cells * (double)numbers->done / (double)numbers->total));
    drawn[cells] = '\0';
    return snprintf(line, size, cells > 0 ? "%s [%s] %3d%%  %s" : "%s%s %3d%%  %s", bar.what, drawn,
                    (int)(numbers->done * 100 / numbers->total), text);
}

static void draw(const struct numbers *numbers)
{
    char line[WIDEST + 1];
    size_t width = bar_width(), cells;
    enum detail detail = WITH_ALL;
    int used = compose(line, sizeof line, numbers, detail, SHORTEST_BAR);

    if (used < (int)width) {
        cells = SHORTEST_BAR + width - 1 - (size_t)used;
        used = compose(line, sizeof line, numbers, detail, cells < WIDEST_BAR ? cells : WIDEST_BAR);
    } else { /* the bar goes first */
        used = compose(line, sizeof line, numbers, detail, 0);
    }
    while (used >= (int)width && detail > WITHOUT_TIME)
        used = compose(line, sizeof line, numbers, --detail, 0);
    if (used >= (int)width)
        line[width - 1] = '\0'; /* a wrapped line can't be taken back */
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    bar.on_screen = true;
}

void progress_throttled(void)
{
    bar.throttled = monotonic_ms();
}

void progress_update(uint64_t done, uint64_t total_so_far, uint64_t failed)
{
    int64_t now;

    if (!bar.wanted)
        return;
    now = monotonic_ms();
    sample_rate(done, now);
    if (now - bar.started >= FIRST_AFTER_MS && (now - bar.drawn >= REDRAW_MS || !bar.on_screen)) {
        struct numbers numbers = {done, total_so_far > bar.expected ? total_so_far : bar.expected, failed, now};

        draw(&numbers);
        bar.drawn = now;
    }
}
