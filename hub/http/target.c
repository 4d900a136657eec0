/* target.c: takes a request's target apart. Must never let an escaped / divide a segment, an escaped NUL end a text, or
 * bytes through that are no UTF-8. */
#include "hub/http/target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/base/error.h"
#include "hub/base/text.h"

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Decodes `text` in place; `plus`: + is a blank. */
static int decode(char *text, bool plus, enum target_flaw *flaw) {
    char *out = text;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '%') {
            int high = hex_digit(at[1]);
            int low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0) {
                *flaw = TARGET_ESCAPE;
                return CH_EINVAL;
            }
            *out++ = (char)(high * 16 + low);
            at += 2;
        } else {
            *out++ = plus && *at == '+' ? ' ' : *at;
        }
    }
    *out = '\0';
    if (text_flaw(text, (size_t)(out - text), false) != NULL) {
        *flaw = TARGET_TEXT;
        return CH_EINVAL;
    }
    return 0;
}

/* The path of a target in absolute form, which a server must take (RFC 9112, section 3.2.2). */
static char *skip_authority(char *text) {
    size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    return scheme == 0 ? text : text + scheme + strcspn(text + scheme, "/?");
}

int target_parse(struct target *target, const char *text, enum target_flaw *flaw) {
    *target = (struct target){.memory = strdup(text)};
    if (target->memory == NULL) {
        return CH_EMEMORY;
    }
    if (strcmp(text, "*") == 0) {
        target->asterisk = true;
        return 0;
    }
    char *path = skip_authority(target->memory);
    char *query = strchr(path, '?');
    if (query != NULL) {
        *query = '\0';
        target->query = query + 1;
    }
    if (*path != '/') {
        /* http://host alone is the root. */
        bool root = path != target->memory && *path == '\0';
        *flaw = TARGET_FORM;
        target->segment_count = root;
        target->segments[0] = "";
        return root ? 0 : CH_EINVAL;
    }
    char *rest = path + 1;
    while (rest != NULL) {
        char *segment = strsep(&rest, "/");
        if (decode(segment, false, flaw) != 0) {
            return CH_EINVAL;
        }
        if (target->segment_count < TARGET_SEGMENTS_MAX) {
            target->segments[target->segment_count++] = segment;
        } else {
            target->segment_count = TARGET_SEGMENTS_MAX + 1;
        }
    }
    return 0;
}

int target_query(struct target *target, enum target_flaw *flaw) {
    char *rest = target->query;
    for (char *name; (name = strsep(&rest, "&")) != NULL;) {
        if (*name == '\0') {
            continue;
        }
        if (target->pair_count == TARGET_PAIRS_MAX) {
            *flaw = TARGET_TOO_MANY;
            return CH_EINVAL;
        }
        char *value = name + strcspn(name, "=");
        if (*value == '=') {
            *value++ = '\0';
        }
        if (decode(name, true, flaw) != 0 || decode(value, true, flaw) != 0) {
            return CH_EINVAL;
        }
        target->pairs[target->pair_count++] = (struct target_pair){.name = name, .value = value};
    }
    return 0;
}

void target_free(struct target *target) {
    free(target->memory);
    target->memory = NULL;
}
