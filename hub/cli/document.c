/* document.c: reads a JSON file. Must never take half of what it says: see document.h. */
#include "hub/cli/document.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/file.h"
#include "hub/base/text.h"
#include "hub/cli/command.h"

/* The name of a member that an object in it has twice, or NULL. cJSON nests at most 1000 levels. */
static const char *member_twice(const cJSON *value) {
    for (const cJSON *one = value->child; one != NULL; one = one->next) {
        for (const cJSON *other = cJSON_IsObject(value) ? one->next : NULL; other != NULL; other = other->next) {
            if (strcmp(one->string, other->string) == 0) {
                return one->string;
            }
        }
        const char *below = member_twice(one);
        if (below != NULL) {
            return below;
        }
    }
    return NULL;
}

static size_t line_of(const char *bytes, const char *place) {
    size_t line = 1;
    for (const char *at = bytes; at < place; at++) {
        line += *at == '\n';
    }
    return line;
}

cJSON *document_read(const char *path, size_t most) {
    char problem[FILE_PROBLEM_MAX];
    size_t length = 0;
    char *bytes = file_read(path, most, &length, problem);
    if (bytes == NULL) {
        command_fail("%s: %s", path, problem);
        return NULL;
    }
    const char *end = NULL;
    const char *flaw = text_flaw(bytes, length, true);
    cJSON *document = flaw == NULL ? cJSON_ParseWithOpts(bytes, &end, true) : NULL;
    const char *twice = document == NULL ? NULL : member_twice(document);
    if (flaw != NULL) {
        command_fail("%s: %s: save it as UTF-8, e.g. by `iconv -f GB18030 -t UTF-8 FILE > NEW`", path, flaw);
    } else if (document == NULL) {
        command_fail("%s:%zu: is no JSON", path, line_of(bytes, end));
    } else if (twice != NULL) {
        command_fail("%s: an object has the member \"%s\" twice: which one is meant?", path, twice);
        cJSON_Delete(document);
        document = NULL;
    }
    free(bytes);
    return document;
}
