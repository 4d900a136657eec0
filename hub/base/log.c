/* log.c: structured, rate-limited log lines on standard error. Must never block long, allocate, or print secrets. */
#include "hub/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hub/base/count.h"

enum { LOG_BURST = 20, LOG_WINDOW_S = 10, LOG_LINE_MAX = 2048, LOG_QUOTE_MAX = 200, LOG_QUOTE_SLOTS = 8 };

static enum log_level current_level = LOG_LEVEL_INFO;
static bool to_journald;
static char last_problem[LOG_LINE_MAX];
static int64_t last_problem_at_s;

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const journald_prefixes[] = {"<3>", "<4>", "<6>", "<7>"};

/* The variable alone says little: whoever is started by a service inherits it and may write elsewhere. */
void log_begin(void) {
    struct stat stream;
    char here[64] = "";
    const char *journal = getenv("JOURNAL_STREAM");
    if (fstat(STDERR_FILENO, &stream) == 0) {
        snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)stream.st_dev, (uintmax_t)stream.st_ino);
    }
    to_journald = journal != NULL && strcmp(journal, here) == 0;
}

void log_level_set(enum log_level level) {
    current_level = level;
}

bool log_level_named(const char *name, enum log_level *level) {
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (strcmp(level_names[i], name) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_quote(const char *text) {
    static char slots[LOG_QUOTE_SLOTS][LOG_QUOTE_MAX * 4 + 8];
    static unsigned next;
    char *out = slots[next++ % LOG_QUOTE_SLOTS];
    if (text == NULL) {
        return "-";
    }
    size_t used = 0;
    out[used++] = '"';
    size_t length = strnlen(text, LOG_QUOTE_MAX + 1);
    if (length > LOG_QUOTE_MAX) { /* cut, but not inside a character */
        for (length = LOG_QUOTE_MAX; length > LOG_QUOTE_MAX - 3 && ((unsigned char)text[length] & 0xc0) == 0x80;) {
            length--;
        }
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\') {
            out[used++] = '\\';
            out[used++] = (char)byte;
        } else if (byte == '\n') {
            out[used++] = ' ';
        } else if (byte < 0x20 || byte == 0x7f) {
            used += (size_t)snprintf(out + used, 5, "\\x%02x", byte);
        } else {
            out[used++] = (char)byte;
        }
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

static bool site_allows(struct log_site *site, int64_t now_s, unsigned *suppressed) {
    *suppressed = 0;
    if (now_s - site->window_start_s >= LOG_WINDOW_S || now_s < site->window_start_s) {
        *suppressed = site->suppressed;
        *site = (struct log_site){.window_start_s = now_s};
    }
    if (site->lines >= LOG_BURST) {
        site->suppressed++;
        return false;
    }
    site->lines++;
    return true;
}

void log_write(struct log_site *site, enum log_level level, const char *event, const char *format, ...) {
    unsigned suppressed;
    int64_t now_s = (int64_t)time(NULL);
    if (level > current_level || !site_allows(site, now_s, &suppressed)) {
        return;
    }
    char line[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const char *prefix = to_journald ? journald_prefixes[level] : "";
    char extra[40] = "";
    if (suppressed > 0) {
        snprintf(extra, sizeof extra, " suppressed=%u", suppressed);
    }
    char stamp[32];
    struct tm utc;
    time_t seconds = (time_t)now_s;
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    fprintf(stderr, "%stime=%s level=%s event=%s %s%s\n", prefix, stamp, level_names[level], event, line, extra);
    if (level <= LOG_LEVEL_WARNING) {
        snprintf(last_problem, sizeof last_problem, "%s: %.2000s", event, line);
        last_problem_at_s = now_s;
    }
}

const char *log_last_problem(int64_t *at_s) {
    *at_s = last_problem_at_s;
    return last_problem;
}
