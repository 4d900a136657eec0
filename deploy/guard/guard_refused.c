/* guard_refused.c: see guard_refused.h. Must never grow by what strangers send, nor keep what may be a secret. */
#define HASH_NONFATAL_OOM 1 /* or it would end the broker */
#include "deploy/guard/guard_refused.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    LOGIN_BYTES = 64, /* of a vendor's, with its NUL (onemap.vendor_add) */
    WORD_BYTES = 64,
    LOGINS_MAX = 256,
    KEPT_MS = 24 * 3600 * 1000,
};

struct guard_refused {
    char login[LOGIN_BYTES], address[WORD_BYTES], id[WORD_BYTES];
    uint64_t count;
    int64_t first_ms, last_ms;
    enum guard_why why;
    UT_hash_handle hh;
};

static bool is_vendor_like(const char *login) {
    size_t length = login == NULL ? 0 : strlen(login);
    return length > 0 && length < LOGIN_BYTES && login[0] != '-' && login[0] != '_' &&
           strspn(login, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

/* What a client says, as it may stand in a JSON text. */
static void keep_word(char kept[static WORD_BYTES], const char *said) {
    snprintf(kept, WORD_BYTES, "%s", said == NULL ? "" : said);
    for (char *c = kept; *c != '\0'; c++) {
        *c = *c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\' ? '?' : *c;
    }
}

void guard_refused_free(struct guard_refused **set) {
    struct guard_refused *one = *set;
    HASH_CLEAR(hh, *set);
    while (one != NULL) {
        struct guard_refused *next = one->hh.next;
        free(one);
        one = next;
    }
}

void guard_refused_note(struct guard_refused **set, const char *login, const char *id, const char *address,
                        enum guard_why why, int64_t now_ms) {
    struct guard_refused *one = NULL;
    const char *name = is_vendor_like(login) ? login : "";
    HASH_FIND_STR(*set, name, one);
    if (one == NULL && HASH_COUNT(*set) >= LOGINS_MAX) { /* names that somebody made up: who is refused comes again */
        guard_refused_free(set);
    }
    if (one != NULL && now_ms - one->last_ms > KEPT_MS) { /* that was another time */
        one->count = 0;
        one->first_ms = now_ms;
    }
    if (one == NULL) {
        one = calloc(1, sizeof *one);
        if (one == NULL) {
            return;
        }
        snprintf(one->login, sizeof one->login, "%s", name);
        one->first_ms = now_ms;
        HASH_ADD_STR(*set, login, one);
    }
    one->count++;
    one->last_ms = now_ms;
    one->why = why;
    keep_word(one->address, address);
    keep_word(one->id, id);
}

char *guard_refused_text(const struct guard_refused *set, int64_t now_ms) {
    static const char *const reasons[] = {[GUARD_PASSWORD] = "password", [GUARD_CLIENT_ID] = "client_id"};
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) {
        return NULL;
    }
    fputs("{\"refused\":[", to);
    bool first = true;
    for (const struct guard_refused *one = set; one != NULL; one = one->hh.next) {
        if (now_ms - one->last_ms > KEPT_MS) {
            continue;
        }
        fprintf(to,
                "%s{\"login\":\"%s\",\"count\":%" PRIu64 ",\"first_ms\":%" PRId64 ",\"last_ms\":%" PRId64
                ",\"address\":\"%s\",\"client_id\":\"%s\",\"reason\":\"%s\"}",
                first ? "" : ",", one->login, one->count, one->first_ms, one->last_ms, one->address, one->id,
                reasons[one->why]);
        first = false;
    }
    fputs("]}", to);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
