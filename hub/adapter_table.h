/* adapter_table.h: the words that an adapter's tables are written in, so that a row says only what it has and can be
 * read aloud. An adapter does no I/O and includes this header and its generated one; no other file of hub/
 * includes it: the words are short. */
#ifndef CITYHUB_ADAPTER_TABLE_H
#define CITYHUB_ADAPTER_TABLE_H

#include "hub/adapter.h"

/* Metrics: ordinal, key and Chinese name, then what the kind of metric has beside them. */

/* Unit, lowest and highest value of the instrument or the quantity. */
#define GAUGE(ordinal_, key_, name_zh_, unit_, min_, max_)                                                             \
    {                                                                                                                  \
        .ordinal = (ordinal_), .key = (key_), .name_zh = (name_zh_), .unit = (unit_), .kind = METRIC_GAUGE,            \
        .min = (min_), .max = (max_)                                                                                   \
    }

/* Unit, and where it starts again from 0. One that never does is written out, with its .max. */
#define COUNTER(ordinal_, key_, name_zh_, unit_, rollover_)                                                            \
    {                                                                                                                  \
        .ordinal = (ordinal_), .key = (key_), .name_zh = (name_zh_), .unit = (unit_), .kind = METRIC_COUNTER,          \
        .max = (rollover_), .rollover = (rollover_)                                                                    \
    }

/* A bool of the .proto. */
#define STATE(ordinal_, key_, name_zh_)                                                                                \
    { .ordinal = (ordinal_), .key = (key_), .name_zh = (name_zh_), .unit = "0/1", .kind = METRIC_STATE, .max = 1 }

/* An enum of the .proto, with numbers from 0 to `last_`. */
#define CHOICE(ordinal_, key_, name_zh_, last_)                                                                        \
    {                                                                                                                  \
        .ordinal = (ordinal_), .key = (key_), .name_zh = (name_zh_), .unit = "enum", .kind = METRIC_STATE,             \
        .max = (last_)                                                                                                 \
    }

#define TEXT(ordinal_, key_, name_zh_)                                                                                 \
    { .ordinal = (ordinal_), .key = (key_), .name_zh = (name_zh_), .unit = "", .kind = METRIC_TEXT }

/* The metrics of a kind of device: their keys. */
#define SENDS(...)                                                                                                     \
    (const char *const[]) {                                                                                            \
        __VA_ARGS__, NULL                                                                                              \
    }

#endif
