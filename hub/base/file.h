/* file.h: a whole file at once, with a limit. */
#ifndef CITYHUB_FILE_H
#define CITYHUB_FILE_H

#include <stddef.h>

enum { FILE_PROBLEM_MAX = 160 };

/* The bytes of the file `path`, "-" = standard input, followed by a NUL that `length` does not count. Returns NULL with
 * the reason in `problem` if it cannot be read or has more than `most` bytes. The caller frees. */
char *file_read(const char *path, size_t most, size_t *length, char problem[static FILE_PROBLEM_MAX]);

#endif
