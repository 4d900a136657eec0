/* protocol.c: which protocols of field devices there are. Knows nothing else of them. */
#include "hub/gateway/protocol.h"

#include <string.h>

#include "hub/gateway/hj212.h"

const struct protocol protocols[] = {
    {.name = "hj212", .title = "HJ 212-2005, -2017, -2025", .decode_line = hj212_decode_line},
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
