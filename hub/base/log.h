/* log.h: structured log lines on standard error: `level=... event=... key=value ...`.
 * Where that is journald's stream, each line carries its priority prefix. Values are quoted when they need it.
 * Secrets never come here: callers pass names of files, not what they hold. */
#ifndef CITYHUB_LOG_H
#define CITYHUB_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* One call site's share: at most `LOG_BURST` lines in `LOG_WINDOW_S` seconds; what was left out is counted and said. */
struct log_site {
    int64_t window_start_s;
    unsigned lines, suppressed;
};

/* Looks whether standard error goes to journald: JOURNAL_STREAM names its device and inode. Until this is called no
 * line has a priority. */
void log_begin(void);
void log_level_set(enum log_level level);
/* The level that is called error, warning, info or debug; false if none is called `name`. */
bool log_level_named(const char *name, enum log_level *level);
/* Writes one line. `format` gives the rest of the line after level and event, as key=value pairs; strings from
 * outside go through log_quote. */
void log_write(struct log_site *site, enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Returns `text` quoted for a log line (at most 200 bytes of it, control characters escaped), in one of eight
 * rotating static buffers: good for the arguments of one log call. NULL gives "-". */
const char *log_quote(const char *text);

/* The last error or warning that was written, and when (UTC epoch seconds, 0 = none): for /api/v1/status. */
const char *log_last_problem(int64_t *at_s);

#define log_at(level, event, ...)                                                                                      \
    do {                                                                                                               \
        static struct log_site log_site_here;                                                                          \
        log_write(&log_site_here, (level), (event), __VA_ARGS__);                                                      \
    } while (0)
#define log_error(event, ...) log_at(LOG_LEVEL_ERROR, (event), __VA_ARGS__)
#define log_warning(event, ...) log_at(LOG_LEVEL_WARNING, (event), __VA_ARGS__)
#define log_info(event, ...) log_at(LOG_LEVEL_INFO, (event), __VA_ARGS__)
#define log_debug(event, ...) log_at(LOG_LEVEL_DEBUG, (event), __VA_ARGS__)

#endif
