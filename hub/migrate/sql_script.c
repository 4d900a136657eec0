/* sql_script.c: a lexer for just as much SQL as it takes to find where statements end (PostgreSQL's manual, 4.1). */
#include "hub/migrate/sql_script.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "hub/base/count.h"

static bool name_start(char byte) {
    return isalpha((unsigned char)byte) || byte == '_' || (unsigned char)byte >= 0x80;
}

static bool name_part(char byte) {
    return name_start(byte) || isdigit((unsigned char)byte) || byte == '$';
}

/* Each skip_ function takes `at` on the first byte of its token and returns the first byte after it. */
static const char *skip_line_comment(const char *at) {
    return at + strcspn(at, "\n");
}

static const char *skip_block_comment(const char *at) {
    int depth = 0;
    do {
        if (at[0] == '/' && at[1] == '*') {
            depth++;
            at += 2;
        } else if (at[0] == '*' && at[1] == '/') {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0 && *at != '\0');
    return at;
}

/* A doubled quote reads as the end of one string and the start of the next, which comes to the same. */
static const char *skip_quoted(const char *at, bool escapes) {
    char quote = *at++;
    while (*at != '\0' && *at != quote) {
        at += escapes && at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    }
    return *at == quote ? at + 1 : at;
}

/* NULL if there is no dollar quote at `at`. */
static const char *skip_dollar_quoted(const char *at) {
    const char *tag_end = at + 1;
    if (name_start(*tag_end)) {
        while (name_part(*tag_end) && *tag_end != '$') {
            tag_end++;
        }
    }
    if (*tag_end != '$') {
        return NULL;
    }
    size_t tag_length = (size_t)(tag_end - at) + 1;
    for (const char *end = tag_end + 1; (end = strchr(end, '$')) != NULL; end++) {
        if (strncmp(end, at, tag_length) == 0) {
            return end + tag_length;
        }
    }
    return tag_end + strlen(tag_end);
}

static bool word_is(const char *word, size_t length, const char *expected) {
    return strlen(expected) == length && strncasecmp(word, expected, length) == 0;
}

/* What the words of a statement tell: a semicolon within BEGIN ATOMIC ... END of CREATE FUNCTION does not end it. */
struct body {
    int words;
    bool is_create, is_routine;
    int depth;
};

static void body_word(struct body *body, const char *word, size_t length) {
    body->words++;
    if (body->words == 1) {
        body->is_create = word_is(word, length, "create");
    } else if (body->words <= 4 && (word_is(word, length, "function") || word_is(word, length, "procedure"))) {
        body->is_routine = body->is_create;
    }
    if (!body->is_routine) {
        return;
    }
    if (word_is(word, length, "begin") || (body->depth > 0 && word_is(word, length, "case"))) {
        body->depth++;
    } else if (body->depth > 0 && word_is(word, length, "end")) {
        body->depth--;
    }
}

static bool at_comment(const char *at) {
    return (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

static const char *skip_comment(const char *at) {
    return at[0] == '-' ? skip_line_comment(at) : skip_block_comment(at);
}

/* Takes one token of a statement. */
static const char *skip_token(const char *at, struct body *body, int *parentheses) {
    if (at_comment(at)) {
        return skip_comment(at);
    }
    if ((at[0] == 'E' || at[0] == 'e') && at[1] == '\'') {
        return skip_quoted(at + 1, true);
    }
    if (*at == '\'' || *at == '"') {
        return skip_quoted(at, false);
    }
    if (*at == '$') {
        const char *end = skip_dollar_quoted(at);
        return end == NULL ? at + 1 : end;
    }
    if (name_start(*at)) {
        const char *word = at;
        while (name_part(*at)) {
            at++;
        }
        body_word(body, word, (size_t)(at - word));
        return at;
    }
    if (*at == '(') {
        ++*parentheses;
    } else if (*at == ')' && *parentheses > 0) {
        --*parentheses;
    }
    return at + 1;
}

static int count_lines(const char *from, const char *to) {
    int lines = 0;
    for (; from < to; from++) {
        lines += *from == '\n';
    }
    return lines;
}

bool sql_script_next(struct sql_script *script, struct sql_statement *statement) {
    const char *from = script->text + script->at;
    const char *at = from;
    while (*at != '\0' && (isspace((unsigned char)*at) || *at == ';' || at_comment(at))) {
        at = at_comment(at) ? skip_comment(at) : at + 1;
    }
    int line = script->line + count_lines(from, at);
    *statement = (struct sql_statement){.text = at, .line = line};
    struct body body = {0};
    int parentheses = 0;
    const char *end = at;
    while (*at != '\0' && !(*at == ';' && parentheses == 0 && body.depth == 0)) {
        bool space = isspace((unsigned char)*at) || at_comment(at);
        at = skip_token(at, &body, &parentheses);
        end = space ? end : at;
    }
    statement->length = (size_t)(end - statement->text);
    if (*at == ';') {
        at++;
    }
    script->at = (size_t)(at - script->text);
    script->line = line + count_lines(statement->text, at);
    return statement->length > 0;
}

bool sql_statement_is_transaction_control(const struct sql_statement *statement) {
    static const char *const words[] = {"begin", "start", "commit", "end", "rollback", "abort"};
    const char *word = statement->text;
    size_t length = 0;
    while (length < statement->length && name_part(word[length])) {
        length++;
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (word_is(word, length, words[i])) {
            return true;
        }
    }
    if (!word_is(word, length, "prepare")) {
        return false;
    }
    const char *next = word + length;
    next += strspn(next, " \t\r\n");
    return strncasecmp(next, "transaction", strlen("transaction")) == 0;
}

int sql_statement_line(const struct sql_statement *statement, long position) {
    int line = statement->line;
    const char *at = statement->text;
    /* Characters, not bytes: UTF-8 continuation bytes do not count. */
    for (long character = 1; character < position && at < statement->text + statement->length; at++) {
        line += *at == '\n';
        character += ((unsigned char)at[1] & 0xc0) != 0x80;
    }
    return line;
}
