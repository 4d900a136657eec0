/* option.c: rows of option tables, see option.h. Must never print: who asks says what is wrong, once. */
#include "hub/cli/option.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/adapter.h"
#include "hub/base/error.h"
#include "hub/base/text.h"

enum { WORDS_BYTES = 512 };

bool option_is_operand(const struct command_option *option) {
    return isupper((unsigned char)option->name[0]) != 0;
}

bool option_is_shown(const struct command_option *option) {
    return option->kind != OPTION_REFUSED;
}

static const char *subsystem_words(void) {
    static char words[WORDS_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < adapter_count && used < sizeof words; i++) {
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%s", i == 0 ? "" : " ", adapters[i]->key);
    }
    return words;
}

const char *option_words(const struct command_option *option) {
    if (option->kind == OPTION_SUBSYSTEM) {
        return subsystem_words();
    }
    return option->words == NULL ? "" : option->words;
}

const char *option_form(const struct command_option *option, char form[static OPTION_FORM_MAX]) {
    const char *argument = option->argument == NULL ? "" : option->argument;
    if (option_is_operand(option)) {
        snprintf(form, OPTION_FORM_MAX, "%s", option->name);
    } else {
        snprintf(form, OPTION_FORM_MAX, "--%s%s%s", option->name, *argument == '\0' ? "" : " ", argument);
    }
    return form;
}

/* Text that never runs over its end. */
struct note {
    char *text;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void note_add(struct note *note, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(note->text + note->used, OPTION_NOTE_MAX - note->used, format, arguments);
    va_end(arguments);
    note->used += length < 0 ? 0 : (size_t)length;
    if (note->used >= OPTION_NOTE_MAX) {
        note->used = OPTION_NOTE_MAX - 1;
    }
}

/* "a, b, c" */
static void note_words(struct note *note, const char *words) {
    for (const char *word = words; *word != '\0';) {
        size_t length = strcspn(word, " ");
        note_add(note, "%s%.*s", word == words ? "" : ", ", (int)length, word);
        word += length + strspn(word + length, " ");
    }
}

static void note_range(struct note *note, const struct command_option *option) {
    if (option->kind == OPTION_DECIMAL) {
        note_add(note, "%.10g to %.10g", option->low, option->high);
    } else if (option->maximum == INT64_MAX) {
        note_add(note, "%lld or more", (long long)option->minimum);
    } else {
        note_add(note, "%lld to %lld", (long long)option->minimum, (long long)option->maximum);
    }
    if (option->unit != NULL) {
        note_add(note, " %s", option->unit);
    }
}

const char *option_note(const struct command_option *option, char text[static OPTION_NOTE_MAX]) {
    struct note note = {.text = text};
    const char *words = option_words(option);
    text[0] = '\0';
    if (option->kind == OPTION_NUMBER || option->kind == OPTION_DECIMAL) {
        note_range(&note, option);
    } else if (option->shape != NULL) {
        note_add(&note, "%s", option->shape);
    } else if (*words != '\0') {
        note_words(&note, words);
    }
    if (option->initial != NULL) {
        note_add(&note, "%sdefault %s", note.used == 0 ? "" : "; ", option->initial);
    }
    return text;
}

const char *option_needs(const struct command_option *option, char text[static OPTION_NOTE_MAX]) {
    struct note note = {.text = text};
    text[0] = '\0';
    for (const char *word = option->needs == NULL ? "" : option->needs; *word != '\0';) {
        size_t length = strcspn(word, " ");
        note_add(&note, "%s--%.*s", word == option->needs ? "" : " or ", (int)length, word);
        word += length + strspn(word + length, " ");
    }
    return text;
}

int option_number(const char *text, int64_t minimum, int64_t maximum, int64_t *number) {
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || isspace((unsigned char)*text) || value < minimum ||
        value > maximum) {
        return CH_EINVAL;
    }
    *number = value;
    return 0;
}

/* One that JSON has a number for: a request takes it as it is typed. */
static bool is_decimal(const char *text, double low, double high) {
    const char *digits = *text == '-' ? text + 1 : text;
    size_t whole = strspn(digits, "0123456789");
    size_t fraction = digits[whole] == '.' ? strspn(digits + whole + 1, "0123456789") : 1;
    const char *end = digits + whole + (digits[whole] == '.' ? fraction + 1 : 0);
    if (whole == 0 || whole > 15 || fraction == 0 || *end != '\0' || (whole > 1 && *digits == '0')) {
        return false;
    }
    double value = strtod(text, NULL);
    return value >= low && value <= high;
}

bool option_has_word(const char *words, const char *value) {
    size_t length = strlen(value);
    for (const char *word = words; *word != '\0';) {
        size_t found = strcspn(word, " ");
        if (found == length && strncmp(word, value, length) == 0) {
            return true;
        }
        word += found + strspn(word + found, " ");
    }
    return false;
}

static bool fits(const char *pattern, const char *value) {
    regex_t expression;
    if (regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        return false;
    }
    bool found = regexec(&expression, value, 0, NULL, 0) == 0;
    regfree(&expression);
    return found;
}

const char *option_problem(const struct command_option *option, const char *value,
                           char problem[static OPTION_NOTE_MAX]) {
    struct note note = {.text = problem};
    const char *equals = strchr(value, '=');
    int64_t number;
    problem[0] = '\0';
    bool named_file = option->kind == OPTION_FILE || option->kind == OPTION_FOLDER;
    const char *flaw = named_file ? NULL : text_flaw(value, strlen(value), true);
    if (flaw != NULL) {
        note_add(&note, "%s", flaw);
        return problem;
    }
    switch (option->kind) {
    case OPTION_NUMBER:
        if (option_number(value, option->minimum, option->maximum, &number) != 0) {
            note_add(&note, "must be a whole number%s", option->maximum == INT64_MAX ? ", " : " from ");
            note_range(&note, option);
        }
        break;
    case OPTION_DECIMAL:
        if (!is_decimal(value, option->low, option->high)) {
            note_add(&note, "must be a number from ");
            note_range(&note, option);
        }
        break;
    case OPTION_WORD:
    case OPTION_SUBSYSTEM:
        if (!option_has_word(option_words(option), value)) {
            note_add(&note, "must be one of ");
            note_words(&note, option_words(option));
        }
        break;
    case OPTION_PAIR:
        if (equals == NULL || equals == value || (size_t)(equals - value) >= OPTION_FORM_MAX) {
            note_add(&note, "must be KEY=VALUE");
        }
        break;
    case OPTION_REFUSED:
        note_add(&note, "%s", option->help);
        break;
    default:
        if (named_file ? *value == '\0' : option->pattern != NULL && !fits(option->pattern, value)) {
            note_add(&note, "must be %s", named_file ? "a name" : option->shape);
        }
    }
    return problem[0] == '\0' ? NULL : problem;
}
