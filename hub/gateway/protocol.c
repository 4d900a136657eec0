/* protocol.c: which protocols of field devices there are. Knows nothing else of them. */
#include "hub/gateway/protocol.h"

#include <string.h>

#include "hub/gateway/hj212.h"
#include "hub/gateway/jt808_decode.h"

const struct protocol protocols[] = {
    {.name = "hj212", .title = "HJ 212-2005, -2017, -2025", .decode_line = hj212_decode_line},
    {.name = "jt808", .title = "JT/T 808-2011, -2013, -2019", .decode_line = jt808_decode_line},
    {0},
};

const struct protocol *protocol_find(const char *name) {
    for (const struct protocol *protocol = protocols; protocol->name != NULL; protocol++) {
        if (strcmp(protocol->name, name) == 0) {
            return protocol;
        }
    }
    return NULL;
}
