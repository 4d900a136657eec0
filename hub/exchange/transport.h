/* transport.h: one message to a target: by HTTP, or as a file in a folder for a one-way gate (单向网闸). Blocks, until
 * it is there, its time is over, or the caller wants to stop. */
#ifndef CITYHUB_EXCHANGE_TRANSPORT_H
#define CITYHUB_EXCHANGE_TRANSPORT_H

#include <curl/curl.h>
#include <stdbool.h>
#include <time.h>

#include "hub/base/outside.h"
#include "hub/exchange/platform.h"

enum { TRANSPORT_PROBLEM_MAX = 256, TRANSPORT_ANSWER_MAX = 4 << 20, TRANSPORT_NAME_MAX = 96 };

struct transport {
    const struct platform *target;
    bool (*stop)(void); /* asked while a message is under way */
    CURL *curl;
    struct outside outside; /* of the message under way */
    char *token;            /* OAuth2's, until token_until */
    time_t token_until;
};

struct reply {
    long status; /* of HTTP; 0 = none came, `problem` says why */
    struct buffer body;
    double retry_after_s; /* < 0 = not said */
    bool arrived;         /* all of the message went out: that no answer is one may be because of what it says */
    char problem[TRANSPORT_PROBLEM_MAX];
    char receipt[TRANSPORT_NAME_MAX]; /* of a folder: the file's name */
};

/* Returns 0 or CH_EMEMORY. Close with transport_close in either case. */
int transport_open(struct transport *transport, const struct platform *target, bool (*stop)(void));
void transport_close(struct transport *transport);

/* Sends the body to the target's path. `key` is the same whenever the same is sent: it goes as Idempotency-Key, and
 * names the file. `reply` is empty before; release it with reply_free. A folder answers 200 when the file and its name
 * are on the disk. */
void transport_send(struct transport *transport, const char *path, const char *key, const char *body,
                    struct reply *reply);

/* Asks the target, not a folder, by a GET of its path with what is behind it. `reply` as above. */
void transport_get(struct transport *transport, const char *path, struct reply *reply);

void reply_free(struct reply *reply);

#endif
