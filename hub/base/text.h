/* text.h: is this text fit to be stored, and how to show one that is not. Pure functions over bounded bytes. */
#ifndef CITYHUB_TEXT_H
#define CITYHUB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { DECODE_SHOWN_MAX = 96 }; /* bytes of a shown text, with quotes and end */

/* A sentence in both languages; "" = there is none. */
struct words {
    char en[512], zh[512];
};

/* Bytes of the character that `text` begins with, 1 to 4, or 0 if its first `left` bytes begin with no valid UTF-8.
 * Every look at UTF-8 from outside rests on this one. */
size_t text_character(const char *text, size_t left);

/* NULL, or what is wrong: "is not valid UTF-8" or "has a control character". Valid means: shortest forms only, no
 * surrogates, nothing above U+10FFFF. Control characters are U+0000 to U+001F and U+007F to U+009F; with `lines` set,
 * tab, line feed and carriage return pass. */
const char *text_flaw(const char *text, size_t length, bool lines);

/* A shortened form in quotes, of valid UTF-8 without control characters whatever the bytes are, for reasons and logs:
 * up to 32 characters, what cannot be shown as \xNN, "..." if something was left out. Returns `shown`. */
const char *text_show(char shown[static DECODE_SHOWN_MAX], const char *text, size_t length);

/* Whether a spreadsheet would calculate a cell of this text: it begins with one of `signs` ("=+-@"), in wide form as
 * well, or with a tab or line end, and is no number. Whoever writes CSV puts a ' before it, which makes it text (OWASP,
 * "CSV injection"); hub/base/csv.c takes it off again. */
bool text_is_formula(const char *text, size_t length, const char *signs);

/* The next of words with blanks between them, not NUL-terminated, of `length` bytes; NULL = there is none left. `words`
 * is where to go on. */
const char *text_word(const char **words, size_t *length);

/* Cuts a NUL-terminated text that snprintf may have cut inside a character back to whole characters. */
void text_trim(char *text);

/* Whether a sentence is the Chinese one of two: it begins with a character beyond ASCII. */
bool text_is_chinese(const char *text);

/* Says a sentence in both languages, with the same arguments; what is too long is cut between two characters. */
void words_set(struct words *words, const char *zh, const char *en, ...)
    __attribute__((format(printf, 2, 4), format(printf, 3, 4)));

/* Takes out of a NUL-terminated text what XML cannot hold: U+FFFE and U+FFFF. A workbook with one is opened by nobody.
 */
void text_xml(char *text);

/* Bytes from outside as text of less than `room` bytes that a database takes: UTF-8 without control characters, a blank
 * or ? for what is neither, cut between two characters. */
void text_clean(const char *bytes, size_t length, char *text, size_t room);

#endif
