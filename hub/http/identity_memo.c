/* identity_memo.c: identities by what they came with. Must never hand out one that is older than its time. */
#include "hub/http/identity_memo.h"

#include <stdlib.h>
#include <string.h>

/* An entry for which memory is out is not added, and its hh.tbl is NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct known {
    struct identity_memo_entry entry; /* first: what callers see */
    struct identity_memo_key key;
    uint64_t answered_ms;
    unsigned uses;
    bool renewing; /* somebody was sent to ask for it anew */
    struct tile_scope *scope;
    UT_hash_handle hh;
    char text[]; /* rights, then JSON */
};

enum { NOTED = 256 };

/* At the place that its hash says; another's that falls on the same place is forgotten, and noted once more. */
struct noted {
    unsigned char hash[SECRET_HASH_BYTES];
    char kind[sizeof((struct identity_memo_key *)0)->kind];
    uint64_t at_ms;
};

struct identity_memo {
    struct known *known;
    struct noted noted[NOTED];
};

struct identity_memo *identity_memo_new(void) {
    return calloc(1, sizeof(struct identity_memo));
}

void identity_memo_release(const struct identity_memo_entry *entry) {
    struct known *known = (struct known *)(uintptr_t)entry;
    if (--known->uses == 0) {
        free(known->scope);
        free(known);
    }
}

static void drop(struct identity_memo *memo, struct known *known) {
    HASH_DEL(memo->known, known);
    identity_memo_release(&known->entry);
}

void identity_memo_clear(struct identity_memo *memo) {
    while (memo->known != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_DEL has moved the head on before its entry is freed */
        drop(memo, memo->known);
    }
}

void identity_memo_free(struct identity_memo *memo) {
    if (memo != NULL) {
        identity_memo_clear(memo);
        free(memo);
    }
}

const struct identity_memo_entry *identity_memo_take(struct identity_memo *memo, const struct identity_memo_key *key,
                                                     uint64_t now_ms, bool away) {
    struct known *known;
    HASH_FIND(hh, memo->known, key, sizeof *key, known);
    if (known == NULL || now_ms - known->answered_ms >= (away ? IDENTITY_MEMO_AWAY_MS : IDENTITY_MEMO_MS)) {
        return NULL;
    }
    if (!away && !known->renewing && now_ms - known->answered_ms >= IDENTITY_MEMO_RENEW_MS) {
        known->renewing = true;
        return NULL;
    }
    known->uses++;
    return &known->entry;
}

const struct identity_memo_entry *identity_memo_put(struct identity_memo *memo, const struct identity_memo_key *key,
                                                    uint64_t now_ms, const char *json, const char *rights) {
    size_t rights_size = strlen(rights) + 1, json_size = strlen(json) + 1;
    struct known *old, *known = calloc(1, sizeof *known + rights_size + json_size);
    struct tile_scope *scope = known == NULL ? NULL : tile_scope_new(json);
    HASH_FIND(hh, memo->known, key, sizeof *key, old);
    if (old != NULL) {
        drop(memo, old);
    }
    if (scope == NULL) {
        free(known);
        return NULL;
    }
    memcpy(known->text, rights, rights_size);
    memcpy(known->text + rights_size, json, json_size);
    known->entry =
        (struct identity_memo_entry){.rights = known->text, .json = known->text + rights_size, .scope = scope};
    known->scope = scope;
    known->key = *key;
    known->answered_ms = now_ms;
    known->uses = 2;
    HASH_ADD(hh, memo->known, key, sizeof known->key, known);
    if (known->hh.tbl == NULL) {
        known->uses = 1;
    }
    while (HASH_COUNT(memo->known) > IDENTITY_MEMO_MAX) {
        drop(memo, memo->known);
    }
    return &known->entry;
}

bool identity_memo_note(struct identity_memo *memo, const struct identity_memo_key *key, uint64_t now_ms) {
    struct noted *noted = &memo->noted[key->hash[0] % NOTED];
    if (memcmp(noted->hash, key->hash, sizeof noted->hash) == 0 &&
        memcmp(noted->kind, key->kind, sizeof noted->kind) == 0 && now_ms - noted->at_ms < IDENTITY_NOTED_MS) {
        return false;
    }
    memcpy(noted->hash, key->hash, sizeof noted->hash);
    memcpy(noted->kind, key->kind, sizeof noted->kind);
    noted->at_ms = now_ms;
    return true;
}
