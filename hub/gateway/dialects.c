/* dialects.c: dialects from their files. Must never take one with a fault, nor for another subsystem. */
#include "hub/gateway/dialects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/log.h"

enum { FILE_MAX = 256 * 1024, AGAIN_MS = 60000 };

/* One file; of the two that its protocol's is. */
struct entry {
    struct entry *next;
    struct hj212_dialect *hj212;
    struct jt808_dialect *jt808;
    int64_t failed_ms; /* of clock_steady_ms: 0 = it did not fail */
    char name[];       /* protocol/name */
};

struct dialects {
    const char *folder;
    struct entry *first;
};

struct dialects *dialects_new(const char *folder) {
    struct dialects *dialects = calloc(1, sizeof *dialects);
    if (dialects != NULL) {
        dialects->folder = folder;
    }
    return dialects;
}

static void entry_clear(struct entry *entry) {
    hj212_dialect_free(entry->hj212);
    jt808_dialect_free(entry->jt808);
    entry->hj212 = NULL;
    entry->jt808 = NULL;
}

void dialects_free(struct dialects *dialects) {
    while (dialects != NULL && dialects->first != NULL) {
        struct entry *entry = dialects->first;
        dialects->first = entry->next;
        entry_clear(entry);
        free(entry);
    }
    free(dialects);
}

static int read_file(const char *protocol, const char *path, struct entry *entry,
                     char problem[static DIALECTS_PROBLEM_MAX]) {
    char reason[DIALECT_PROBLEM_MAX] = "";
    size_t length = 0;
    char *text = file_read(path, FILE_MAX, &length, reason);
    if (text != NULL && strcmp(protocol, "hj212") == 0) {
        entry->hj212 = hj212_dialect_parse(text, length, reason);
    } else if (text != NULL) {
        entry->jt808 = jt808_dialect_parse(text, length, reason);
    }
    free(text);
    if (entry->hj212 == NULL && entry->jt808 == NULL) {
        snprintf(problem, DIALECTS_PROBLEM_MAX, "%s", reason);
        return text == NULL ? CH_EIO : CH_EINVAL;
    }
    return 0;
}

_Static_assert((int)DIALECT_PROBLEM_MAX >= (int)FILE_PROBLEM_MAX, "a reason has room");

static const char *subsystem_of(const struct entry *entry) {
    return entry->hj212 != NULL ? entry->hj212->adapter->key : jt808_dialect_subsystem(entry->jt808);
}

static struct entry *entry_of(struct dialects *dialects, const char *name) {
    struct entry *entry = dialects->first;
    while (entry != NULL && strcmp(entry->name, name) != 0) {
        entry = entry->next;
    }
    if (entry == NULL && (entry = calloc(1, sizeof *entry + strlen(name) + 1)) != NULL) {
        memcpy(entry->name, name, strlen(name) + 1);
        entry->next = dialects->first;
        dialects->first = entry;
    }
    return entry;
}

/* The terminal's entry, read; NULL after logging why not. */
static const struct entry *entry_read(struct dialects *dialects, const struct terminal *terminal) {
    struct buffer path = {0};
    char problem[DIALECTS_PROBLEM_MAX] = "out of memory", name[96];
    const char *file = terminal->dialect[0] == '\0' ? terminal->subsystem : terminal->dialect;
    snprintf(name, sizeof name, "%s/%s", terminal->protocol, file);
    struct entry *entry = entry_of(dialects, name);
    int64_t now = clock_steady_ms();
    if (entry == NULL || (entry->failed_ms != 0 && now - entry->failed_ms < AGAIN_MS)) {
        return NULL;
    }
    if (entry->hj212 == NULL && entry->jt808 == NULL) {
        buffer_format(&path, "%s/config/gateway/%s.json", dialects->folder, name);
        int code = buffer_string(&path) == NULL ? CH_EMEMORY : read_file(terminal->protocol, path.data, entry, problem);
        entry->failed_ms = code == 0 ? 0 : now;
    }
    if (entry->failed_ms == 0 && strcmp(subsystem_of(entry), terminal->subsystem) != 0) {
        snprintf(problem, sizeof problem, "it is of subsystem %s, the terminal of %s", subsystem_of(entry),
                 terminal->subsystem);
        log_error("dialect", "dialect=%s terminal=%s reason=%s", log_quote(name), log_quote(terminal->identity),
                  log_quote(problem));
        buffer_free(&path);
        return NULL;
    }
    if (entry->failed_ms != 0) {
        log_error("dialect",
                  "file=%s terminal=%s reason=%s advice=\"its data is not acknowledged; see `cityhub gateway check`\"",
                  log_quote(path.data), log_quote(terminal->identity), log_quote(problem));
        entry_clear(entry);
    }
    buffer_free(&path);
    return entry->failed_ms == 0 ? entry : NULL;
}

const struct hj212_dialect *dialects_hj212(struct dialects *dialects, const struct terminal *terminal) {
    const struct entry *entry = entry_read(dialects, terminal);
    return entry == NULL ? NULL : entry->hj212;
}

const struct jt808_dialect *dialects_jt808(struct dialects *dialects, const struct terminal *terminal) {
    const struct entry *entry = entry_read(dialects, terminal);
    return entry == NULL ? NULL : entry->jt808;
}

int dialects_check(const char *protocol, const char *path, char problem[static DIALECTS_PROBLEM_MAX]) {
    struct entry entry = {0};
    int code = read_file(protocol, path, &entry, problem);
    entry_clear(&entry);
    return code;
}
