/* letters.h: what goes to the hub in a gateway's own messages and not as a vendor's: each waits, by its name, until the
 * hub says whether it is kept. Belongs to the loop's thread. */
#ifndef CITYHUB_LETTERS_H
#define CITYHUB_LETTERS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "hub/gateway/bundle.h"

enum {
    LETTERS_MAX = 16,                   /* that wait at a time: a hub takes so many from a gateway */
    LETTER_BYTES_MAX = 2 * 1024 * 1024, /* of one as it is sent: a hub takes no larger one */
    LETTER_NAME_MAX = 129,              /* with its end */
};

struct letters;

/* Empty; NULL = out of memory. */
struct letters *letters_new(void);
void letters_free(struct letters *letters);

bool letters_full(const struct letters *letters);

/* One was sent: what becomes of it is a part of the parcel's end. `late_at`, ms of any clock. 0, or CH_EFULL: it
 * is none. */
int letters_add(struct letters *letters, const char *name, struct parcel *parcel, uint64_t late_at);

/* The hub's answer, [{"letter": name, "kept": whether}]; names that nobody waits for are passed over. */
void letters_take(struct letters *letters, const cJSON *answers);

/* Those that were not answered until `now` are unsure; all of them with UINT64_MAX. */
void letters_late(struct letters *letters, uint64_t now);

#endif
