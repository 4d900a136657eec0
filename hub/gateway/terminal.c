/* terminal.c: the list of terminals. Must never take half of a list, nor log or print a secret. */
#include "hub/gateway/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/hash.h"
#include "hub/base/log.h"
#include "hub/base/member.h"

enum { FILE_MAX = 16 * 1024 * 1024, BUCKETS = 16384, VERSION_MAX = 64 };

struct terminals {
    char version[VERSION_MAX];
    struct terminal *list;
    size_t count; /* of the list, and of them those whose right has ended */
    size_t ended;
    struct terminal *buckets[BUCKETS];
};

static size_t bucket_of(const char *protocol, const char *identity) {
    uint32_t hash = hash_bytes(HASH_FIRST, protocol, strlen(protocol));
    return hash_bytes(hash, identity, strlen(identity)) % BUCKETS;
}

static void list_free(struct terminal *list, size_t count) {
    for (size_t i = 0; list != NULL && i < count; i++) {
        secret_wipe(list[i].sm4_key, sizeof list[i].sm4_key);
        secret_wipe(list[i].sm4_next, sizeof list[i].sm4_next);
        char *const texts[] = {list[i].protocol, list[i].identity, list[i].subsystem, list[i].vendor,
                               list[i].device,   list[i].dialect,  list[i].crc};
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
            free(texts[t]);
        }
    }
    free(list);
}

struct terminals *terminals_new(void) {
    return calloc(1, sizeof(struct terminals));
}

void terminals_free(struct terminals *terminals) {
    if (terminals != NULL) {
        list_free(terminals->list, terminals->count);
        free(terminals);
    }
}

/* Hexadecimal digits of so many bytes; `given` = there are any. False: they are others. */
static bool read_hex(const cJSON *entry, const char *member, unsigned char *bytes, size_t count, bool *given) {
    const char *hex = member_text(entry, member);
    size_t length = 0;
    *given = hex[0] != '\0';
    return !*given || (sodium_hex2bin(bytes, count, hex, strlen(hex), NULL, &length, NULL) == 0 && length == count);
}

/* False: memory is out, or it is none. */
static bool terminal_read(struct terminal *terminal, const cJSON *entry) {
    terminal->protocol = strdup(member_text(entry, "protocol"));
    terminal->identity = strdup(member_text(entry, "identity"));
    terminal->subsystem = strdup(member_text(entry, "subsystem"));
    terminal->vendor = strdup(member_text(entry, "vendor"));
    terminal->device = strdup(member_text(entry, "device"));
    terminal->dialect = strdup(member_text(entry, "dialect"));
    terminal->crc = strdup(member_text(entry, "crc"));
    terminal->offset_minutes = (int)member_number(entry, "offset_minutes", 480);
    terminal->sm4_next_ms = (int64_t)member_number(entry, "sm4_next_ms", 0);
    return read_hex(entry, "secret", terminal->secret, sizeof terminal->secret, &terminal->has_secret) &&
           read_hex(entry, "sm4_key", terminal->sm4_key, sizeof terminal->sm4_key, &terminal->has_key) &&
           read_hex(entry, "sm4_next", terminal->sm4_next, sizeof terminal->sm4_next, &terminal->has_next) &&
           terminal->protocol != NULL && terminal->identity != NULL && terminal->subsystem != NULL &&
           terminal->vendor != NULL && terminal->device != NULL && terminal->dialect != NULL && terminal->crc != NULL &&
           terminal->protocol[0] != '\0' && terminal->identity[0] != '\0' && terminal->subsystem[0] != '\0' &&
           terminal->vendor[0] != '\0' && terminal->device[0] != '\0' &&
           strlen(terminal->identity) < TERMINAL_IDENTITY_MAX;
}

int terminals_take(struct terminals *terminals, const cJSON *document) {
    const cJSON *entries = member_get(document, "terminals"), *ended = member_get(document, "ended"), *entry;
    const char *version = member_text(document, "version");
    size_t count = 0;
    if (!cJSON_IsArray(entries) || version[0] == '\0' || strlen(version) >= VERSION_MAX) {
        return CH_EINVAL;
    }
    struct terminal *list =
        calloc((size_t)cJSON_GetArraySize(entries) + (size_t)cJSON_GetArraySize(ended) + 1, sizeof *list);
    if (list == NULL) {
        return CH_EMEMORY;
    }
    bool whole = true;
    cJSON_ArrayForEach(entry, entries) {
        whole &= terminal_read(&list[count++], entry);
    }
    cJSON_ArrayForEach(entry, ended) {
        list[count].ended = true;
        whole &= terminal_read(&list[count++], entry);
    }
    if (!whole) {
        list_free(list, count);
        return CH_EINVAL;
    }
    list_free(terminals->list, terminals->count);
    *terminals = (struct terminals){.list = list, .count = count, .ended = (size_t)cJSON_GetArraySize(ended)};
    memcpy(terminals->version, version, strlen(version) + 1);
    for (size_t i = 0; i < count; i++) {
        struct terminal **bucket = &terminals->buckets[bucket_of(list[i].protocol, list[i].identity)];
        list[i].next_in_bucket = *bucket;
        *bucket = &list[i];
    }
    return 0;
}

const char *terminals_version(const struct terminals *terminals) {
    return terminals->version;
}

size_t terminals_count(const struct terminals *terminals) {
    return terminals->count - terminals->ended;
}

const struct terminal *terminals_find_ever(const struct terminals *terminals, const char *protocol,
                                           const char *identity) {
    const struct terminal *at = terminals->buckets[bucket_of(protocol, identity)];
    while (at != NULL && (strcmp(at->identity, identity) != 0 || strcmp(at->protocol, protocol) != 0)) {
        at = at->next_in_bucket;
    }
    return at;
}

const struct terminal *terminals_find(const struct terminals *terminals, const char *protocol, const char *identity) {
    const struct terminal *terminal = terminals_find_ever(terminals, protocol, identity);
    return terminal == NULL || terminal->ended ? NULL : terminal;
}

/* ---- the file ---- */

int terminals_read(struct terminals *terminals, const char *path) {
    char problem[FILE_PROBLEM_MAX];
    size_t length = 0;
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return CH_ENOTFOUND;
    }
    char *text = file_read(path, FILE_MAX, &length, problem);
    cJSON *list = text == NULL ? NULL : cJSON_ParseWithLength(text, length);
    int code = text == NULL ? CH_EIO : list == NULL ? CH_EINVAL : terminals_take(terminals, list);
    if (code != 0) {
        log_error("terminals", "file=%s reason=%s", log_quote(path),
                  log_quote(text == NULL ? problem : "it is no list of terminals"));
    }
    cJSON_Delete(list);
    free(text);
    return code;
}

int terminals_write(const char *path, const void *text, size_t length) {
    struct buffer name = {0};
    buffer_format(&name, "%s.new", path);
    const char *temporary = buffer_string(&name);
    int file = temporary == NULL ? -1 : open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t done = 0;
    ssize_t step = 0;
    while (file >= 0 && done < length && (step = write(file, (const char *)text + done, length - done)) > 0) {
        done += (size_t)step;
    }
    bool whole = file >= 0 && done == length && fsync(file) == 0;
    int reason = errno;
    if (file >= 0 && close(file) != 0) {
        whole = false;
    }
    if (!whole || rename(temporary, path) != 0) {
        log_error("terminals", "file=%s reason=%s advice=\"see [gateway] state_dir\"", log_quote(path),
                  log_quote(strerror(whole ? errno : reason)));
        whole = false;
    }
    buffer_free(&name);
    return whole ? 0 : CH_EIO;
}

/* ---- secrets ---- */

void terminal_secret(const char *protocol, const char *identity, const char *secret,
                     unsigned char hash[static SECRET_HASH_BYTES]) {
    struct buffer text = {0};
    buffer_format(&text, "%s:%s:%s", protocol, identity, secret);
    memset(hash, 0, SECRET_HASH_BYTES); /* without memory no secret fits */
    if (!text.failed) {
        secret_hash(text.data, text.length, hash);
        secret_wipe(text.data, text.length);
    }
    buffer_free(&text);
}

bool terminal_secret_fits(const struct terminal *terminal, const char *secret) {
    unsigned char hash[SECRET_HASH_BYTES];
    if (!terminal->has_secret) {
        return true;
    }
    terminal_secret(terminal->protocol, terminal->identity, secret, hash);
    return sodium_memcmp(hash, terminal->secret, sizeof hash) == 0;
}
