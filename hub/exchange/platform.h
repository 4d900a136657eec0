/* platform.h: a platform above as its file says it is: where, how to prove who sends, what goes there under which
 * names, how its answers are read. A file is checked whole before anything is sent by it. */
#ifndef CITYHUB_EXCHANGE_PLATFORM_H
#define CITYHUB_EXCHANGE_PLATFORM_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "hub/base/buffer.h"

enum { PLATFORM_BATCH_MAX = 500, PLATFORM_SECRET_MAX = 8192 };

enum platform_authentication { PLATFORM_NO_LOGIN, PLATFORM_BASIC, PLATFORM_BEARER, PLATFORM_OAUTH2 };
enum platform_signature { PLATFORM_UNSIGNED, PLATFORM_HMAC_SHA256, PLATFORM_HMAC_SM3, PLATFORM_SM2 };

/* Texts belong to `document`. */
struct platform {
    cJSON *document;
    const char *name, *name_zh;
    const char *url;     /* NULL = it is a folder */
    const char *folder;  /* NULL = it is reached by HTTP */
    const char *records; /* member of a message that holds a batch's records; "" = a message is one record */
    int batch;           /* records a message, 1 to PLATFORM_BATCH_MAX */
    long timeout_s;
    enum platform_authentication authentication;
    enum platform_signature signature;
    const cJSON *to, *authenticate, *sign, *answer, *ask, *maps, *resources; /* ask: NULL = it cannot be asked */
    char *secret;                                                            /* of authenticate, NULL = none */
    char *sign_secret; /* of sign: the HMAC's key, or SM2's private key as PEM */
    bool subscribed;   /* it is a subscription's webhook, which the database has already */
};

/* Reads and checks the file; every fault goes to `faults` as a line. Returns 0 or CH_EINVAL. Secrets' files are read
 * with `secrets`. Release with platform_free in either case. */
int platform_load(struct platform *target, const char *path, bool secrets, struct buffer *faults);

/* The same of a webhook: `document`, which becomes the target's in either case, is such a file's without secrets, and
 * `key` signs. */
int platform_of_webhook(struct platform *target, cJSON *document, const char *key, struct buffer *faults);

/* Checks the templates against what the views have: `columns` is {resource: {column: type}}. */
int platform_check_columns(const struct platform *target, const cJSON *columns, struct buffer *faults);

/* What the database is told of it: {target, name_zh, resources, since, oldest_s, required, asks}. NULL = out of memory.
 */
cJSON *platform_request(const struct platform *target);

/* The template of a resource; NULL = it does not go there. */
const cJSON *platform_resource(const struct platform *target, const char *resource);

void platform_free(struct platform *target);

#endif
