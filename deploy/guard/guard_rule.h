/* guard_rule.h: what a vendor's login may do at the broker that mosquitto's own settings cannot say: under which client
 * ids it connects, what it subscribes to, how much it publishes. Pure: knows neither broker nor clock. */
#ifndef CITYHUB_GUARD_RULE_H
#define CITYHUB_GUARD_RULE_H

#include <stdbool.h>
#include <stddef.h>

enum { GUARD_ID_MAX = 128 }; /* bytes of a client id */

/* Whether a login may be client `id`: "<login>", that and "-" or "." and more, or one of the broker's making, which it
 * gives to whoever asks for none and nobody can guess ("auto-" and a UUID). No name of a login goes on another's by a
 * "-" (onemap.vendor_add) or has a dot, so no login's ids are another's. */
bool guard_id_fits(const char *id, const char *login);

/* Whether a login may subscribe to `filter`: "cityhub/v1/<subsystem or +>/<login>/receipt". */
bool guard_filter_fits(const char *filter, const char *login);

/* Whether `login` is one of the words of `list`, which blanks part. */
bool guard_listed(const char *list, const char *login);

/* What a login may still publish, as seconds of its rates. One that was never used is full. */
struct guard_budget {
    double spent_s; /* from 0; above GUARD_BURST_S after a message that is larger than all of it */
    double at_s;    /* when that was true; any clock that never goes back */
};

enum { GUARD_BURST_S = 10 }; /* so many seconds of its rates at once */

struct guard_rates {
    double messages_per_s, bytes_per_s; /* more than 0 */
};

/* Takes a message of that many bytes from the budget. False: it is used up, and nothing is taken. */
bool guard_budget_take(struct guard_budget *budget, const struct guard_rates *rates, size_t bytes, double now_s);

#endif
