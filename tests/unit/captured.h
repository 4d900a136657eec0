/* captured.h: what a function writes to standard error or output, for tests. */
#ifndef CITYHUB_TEST_CAPTURED_H
#define CITYHUB_TEST_CAPTURED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct captured {
    FILE *stream; /* stderr or stdout */
    int kept;
    FILE *file;
    char text[256 * 1024];
};

static inline void captured_begin(struct captured *captured, FILE *stream) {
    fflush(stream);
    captured->stream = stream;
    captured->kept = dup(fileno(stream));
    captured->file = tmpfile();
    assert_true(captured->kept >= 0 && captured->file != NULL);
    assert_true(dup2(fileno(captured->file), fileno(stream)) >= 0);
}

/* What was written since captured_begin; the stream is as it was before. */
static inline const char *captured_end(struct captured *captured) {
    fflush(captured->stream);
    dup2(captured->kept, fileno(captured->stream));
    close(captured->kept);
    rewind(captured->file);
    size_t length = fread(captured->text, 1, sizeof captured->text - 1, captured->file);
    captured->text[length] = '\0';
    fclose(captured->file);
    return captured->text;
}

/* `text` has `word` in it. */
static inline void captured_expect(const char *text, const char *word) {
    if (strstr(text, word) == NULL) {
        fail_msg("there is no \"%s\" in:\n%s", word, text);
    }
}

#endif
