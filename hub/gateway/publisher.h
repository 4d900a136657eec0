/* publisher.h: one session at the broker by which messages go to the hub and the hub's receipt of each comes back: what
 * has a receipt is committed. Belongs to the loop's thread. */
#ifndef CITYHUB_PUBLISHER_H
#define CITYHUB_PUBLISHER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "hub/base/config.h"

struct publisher;

enum { PUBLISHER_NAME_MAX = 129 }; /* of a message: 128 bytes, which is what the hub takes, and its end */

enum publisher_end {
    PUBLISHER_RECEIPT, /* the hub has committed it, or keeps it in quarantine: the receipt says */
    PUBLISHER_REFUSED, /* by the broker: `reason` of PUBACK, such as 135, not authorized */
    PUBLISHER_LATE,    /* no receipt in time: it may be stored, or come to be */
    PUBLISHER_LOST,    /* the broker's connection was lost meanwhile: likewise */
};

/* How a message ended. `receipt` is the hub's, borrowed, and NULL but for PUBLISHER_RECEIPT. */
typedef void publisher_ended(void *user, enum publisher_end end, const cJSON *receipt, int reason);

struct publisher_settings {
    uv_loop_t *loop;
    const struct config *config;
    const char *client_id;           /* copied */
    const char *username, *password; /* NULL = [mqtt] username; the password may be wiped after publisher_open */
    const char *vendor;              /* whose receipts: one, or "+" for all. Copied */
    const char *prefix;              /* with which its messages' names begin, to tell them from others'. Copied */
    const char *also;                /* a topic that is subscribed to beside receipts; NULL = none. Copied */
    size_t window;                   /* messages that wait for a receipt at a time, at the most */
    uint64_t wait_ms;                /* for a receipt */
};

struct publisher_handlers {
    void (*ready)(void *user); /* messages can be published */
    void (*lost)(void *user);  /* they cannot; those that waited have ended. NULL = ignore */
    void (*refused)(void *user,
                    int reason); /* the broker does not let this login in; it is tried again. NULL = ignore */
    void (*also)(void *user, const void *payload, size_t length); /* a message of `also` */
    void *user;
};

/* Starts connecting. NULL after logging why. */
struct publisher *publisher_open(const struct publisher_settings *settings, const struct publisher_handlers *handlers);

/* Ends what waits as lost, then closes and frees; `closed` (may be NULL) is called from the loop at the end. May be
 * called from its handlers. */
void publisher_close(struct publisher *publisher, void (*closed)(void *user), void *user);

bool publisher_ready(const struct publisher *publisher);
/* Whether a message more may be published now. */
bool publisher_has_room(const struct publisher *publisher);

struct publisher_message {
    const char *subsystem, *vendor, *kind;
    const char *name; /* shorter than PUBLISHER_NAME_MAX */
    const void *payload;
    size_t length;
    publisher_ended *ended; /* called once, unless publisher_forget was */
    void *user;
};

/* Publishes with QoS 1; all is copied. 0, or CH_EBROKER (not ready), CH_EFULL (no room) or CH_EMEMORY: then `ended` is
 * not called. */
int publisher_publish(struct publisher *publisher, const struct publisher_message *message);

/* Whoever waits with this `user` waits no more; what was published stays so. */
void publisher_forget(struct publisher *publisher, const void *user);

/* Publishes without waiting for an answer, QoS 1. 0 or CH_E*. */
int publisher_tell(struct publisher *publisher, const char *topic, const void *payload, size_t length);

#endif
