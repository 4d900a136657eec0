/* guard_refused.h: who was refused at the broker, by login: how often, when, from where, why; as the hub is told of it.
 * Pure: knows neither broker nor clock. */
#ifndef CITYHUB_GUARD_REFUSED_H
#define CITYHUB_GUARD_REFUSED_H

#include <stdint.h>

enum guard_why { GUARD_PASSWORD, GUARD_CLIENT_ID };

/* By login; NULL = nobody was. */
struct guard_refused;

/* Notes one; times are ms since 1970. `id`, `address`: as the client has them, NULL = none. What cannot be a vendor's
 * login is counted together, and not by its name: a secret may stand there. Of some hundred names the counts begin
 * anew. */
void guard_refused_note(struct guard_refused **set, const char *login, const char *id, const char *address,
                        enum guard_why why, int64_t now_ms);

/* {"refused": [{login, count, first_ms, last_ms, address, client_id, reason}]}, since the counts began or the last day
 * without any, but those of whom nothing came for a day; login "": all others. The caller frees. NULL: no memory. */
char *guard_refused_text(const struct guard_refused *set, int64_t now_ms);

void guard_refused_free(struct guard_refused **set);

#endif
