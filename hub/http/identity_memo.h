/* identity_memo.h: who asked a moment ago. For rows that are answered from memory and asked for thousands of times a
 * minute (route.remembers): they take an identity that the database has answered for within IDENTITY_MEMO_MS, and while
 * the database is away within IDENTITY_MEMO_AWAY_MS. Bounded. Belongs to the loop's thread. */
#ifndef CITYHUB_IDENTITY_MEMO_H
#define CITYHUB_IDENTITY_MEMO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/base/secret.h"
#include "hub/live/tile_scope.h"

enum {
    IDENTITY_MEMO_MS = 2000,
    IDENTITY_MEMO_RENEW_MS = 1000,
    IDENTITY_MEMO_AWAY_MS = 600000,
    IDENTITY_MEMO_MAX = 1024, /* identities; those asked for first go first */
    IDENTITY_NOTED_MS = 10000,
};

/* All bytes of it count. */
struct identity_memo_key {
    unsigned char hash[SECRET_HASH_BYTES];
    char kind[8]; /* "session" or "token" */
    char address[INET6_ADDRSTRLEN];
};

struct identity_memo_entry {
    const char *json, *rights;      /* as onemap.identity_find gave them */
    const struct tile_scope *scope; /* whose rows it may see */
};

struct identity_memo;
struct identity_memo *identity_memo_new(void); /* NULL = out of memory */
void identity_memo_free(struct identity_memo *memo);

/* NULL = it is not known, or not any more; or it is IDENTITY_MEMO_RENEW_MS old, and this is the first to come: who asks
 * for it now spares all others, who would come together when it is over. It stays until identity_memo_release. */
const struct identity_memo_entry *identity_memo_take(struct identity_memo *memo, const struct identity_memo_key *key,
                                                     uint64_t now_ms, bool away);
/* What the database has answered, taken as above. NULL = out of memory, or an identity that cannot be read. */
const struct identity_memo_entry *identity_memo_put(struct identity_memo *memo, const struct identity_memo_key *key,
                                                    uint64_t now_ms, const char *json, const char *rights);
void identity_memo_release(const struct identity_memo_entry *entry);

/* Whether the use of this session or token, from whichever address, is to be noted in the database: not if that was
 * begun less than IDENTITY_NOTED_MS ago. Many requests at once are told that it is due, and one statement is enough. */
bool identity_memo_note(struct identity_memo *memo, const struct identity_memo_key *key, uint64_t now_ms);

/* Everybody is asked for anew: somebody has logged out, or written something. */
void identity_memo_clear(struct identity_memo *memo);

#endif
