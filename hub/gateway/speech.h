/* speech.h: what a protocol is to the machine of connections: one row. A new protocol is a row and its functions. */
#ifndef CITYHUB_SPEECH_H
#define CITYHUB_SPEECH_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/base/config.h"
#include "hub/gateway/protocol.h"

struct connection;

struct speech {
    const char *name;                             /* as terminals' `protocol` */
    int64_t (*port)(const struct config *config); /* 0 = nobody listens */
    size_t frame_max;                             /* bytes of a frame at the most */
    /* What the first of the buffered bytes are; never asks for more than frame_max. */
    enum reading (*read)(const char *bytes, size_t length, struct reading_result *result);
    /* One frame: answers, and puts what is to be stored. */
    void (*take)(struct connection *connection, const char *bytes, size_t length);
    /* What the hub says to a terminal that has claimed the connection, see upstream.h, but for offers. */
    void (*told)(struct connection *connection, const cJSON *what);
    /* Whether it may be told a command now. */
    bool (*may_tell)(struct connection *connection);
    /* Releases what connection_state points to; NULL = nothing is ever there. */
    void (*release)(void *state);
};

extern const struct speech speech_hj212, speech_jt808;

#endif
