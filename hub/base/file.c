/* file.c: a whole file at once. Must never take the beginning of a file for all of it. */
#include "hub/base/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 64 * 1024 };

/* Reads to the end of the file, or one byte more than `most`. NULL = memory is out. */
static char *stream_read(FILE *stream, size_t most, size_t *length) {
    size_t size = most < FIRST_BYTES ? most + 2 : FIRST_BYTES;
    char *bytes = malloc(size);
    *length = 0;
    while (bytes != NULL) {
        *length += fread(bytes + *length, 1, size - 1 - *length, stream);
        if (*length < size - 1 || *length > most) {
            bytes[*length] = '\0';
            break;
        }
        size = size > (most + 2) / 2 ? most + 2 : size * 2;
        char *more = realloc(bytes, size);
        if (more == NULL) {
            free(bytes);
        }
        bytes = more;
    }
    return bytes;
}

char *file_read(const char *path, size_t most, size_t *length, char problem[static FILE_PROBLEM_MAX]) {
    bool standard_input = strcmp(path, "-") == 0;
    FILE *stream = standard_input ? stdin : fopen(path, "re");
    char *bytes = NULL;
    if (stream == NULL) {
        snprintf(problem, FILE_PROBLEM_MAX, "%s", strerror(errno));
        return NULL;
    }
    errno = 0;
    bytes = stream_read(stream, most, length);
    if (bytes == NULL) {
        snprintf(problem, FILE_PROBLEM_MAX, "out of memory");
    } else if (ferror(stream) != 0 || *length > most) {
        if (ferror(stream) != 0) {
            snprintf(problem, FILE_PROBLEM_MAX, "%s", strerror(errno));
        } else {
            snprintf(problem, FILE_PROBLEM_MAX, "is larger than %zu bytes", most);
        }
        free(bytes);
        bytes = NULL;
    }
    if (!standard_input) {
        fclose(stream);
    }
    return bytes;
}
