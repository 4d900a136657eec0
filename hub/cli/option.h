/* option.h: what a command takes, as a table: from one row come getopt's option, the check of its value, its line of
 * the usage, its paragraph of the manual, its word in the shell's completion, and its member of the request that an SQL
 * function is given. Nothing else says what an option is. */
#ifndef CITYHUB_OPTION_H
#define CITYHUB_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,   /* takes no value */
    OPTION_TEXT,   /* any text, or one of the form `pattern`; `words` are suggestions, others are for others to judge */
    OPTION_NUMBER, /* a whole number from `minimum` to `maximum` */
    OPTION_DECIMAL,   /* a decimal number from `low` to `high`; it stays as it is typed */
    OPTION_WORD,      /* one of `words` */
    OPTION_SUBSYSTEM, /* the key of a subsystem of this build */
    OPTION_FILE,      /* a file's name */
    OPTION_FOLDER,    /* a folder's name */
    OPTION_PAIR,      /* KEY=VALUE, any number of times: the member KEY of the request; `words` are suggested keys */
    OPTION_REFUSED,   /* is there to be refused, because of `help`; shown nowhere */
};

struct command_option {
    const char *name;     /* "limit" is the option --limit; in capitals, "CODE", an operand. NULL ends the table */
    const char *argument; /* what its value is called in texts, as in --limit N; NULL for flags and operands */
    enum option_kind kind;
    bool required;      /* of alternatives: the first row says it for all */
    bool repeated;      /* an operand that may come several times; the last row of operands */
    bool either;        /* an alternative to the row above: not both may be given */
    const char *needs;  /* only together with this option, or with one of these, parted by blanks */
    const char *member; /* the member of the request that holds the value; NULL = the request has none */
    const char *value;  /* a flag's member, as JSON; NULL = true */
    const char *words;  /* parted by blanks */
    int64_t minimum, maximum;
    double low, high;
    const char *unit;    /* of the number, such as "seconds" */
    const char *initial; /* what holds if it is not given; NULL = nothing */
    const char *pattern; /* extended regular expression */
    const char *shape;   /* what fits `pattern`, in words after "must be": "a month such as 2026-10" */
    const char *help;    /* what it means, without what this table says elsewhere: range, words, default */
};

enum { OPTIONS_MAX = 32, OPTION_FORM_MAX = 64, OPTION_NOTE_MAX = 640 };

bool option_is_operand(const struct command_option *option);

/* Whether texts and completion show it. */
bool option_is_shown(const struct command_option *option);

/* The words that its value may be, or is suggested to be, parted by blanks; "" if there are none. In a static buffer
 * for subsystems. */
const char *option_words(const struct command_option *option);

/* True if `value` is one of the blank-separated words. */
bool option_has_word(const char *words, const char *value);

/* "--limit N", "--json" or "CODE"; returns `form`. */
const char *option_form(const struct command_option *option, char form[static OPTION_FORM_MAX]);

/* What the table says beside `help`: "1 to 1000, default 50"; "" if nothing. Returns `note`. */
const char *option_note(const struct command_option *option, char note[static OPTION_NOTE_MAX]);

/* The options it needs: "--item or --award"; "" if none. Returns `text`. */
const char *option_needs(const struct command_option *option, char text[static OPTION_NOTE_MAX]);

/* NULL if the value is one that the option takes, else how it must be: "must be a whole number from 1 to 1000"; in
 * `problem`. */
const char *option_problem(const struct command_option *option, const char *value,
                           char problem[static OPTION_NOTE_MAX]);

/* Reads a whole number within [minimum, maximum]. Returns 0 or CH_EINVAL, and prints nothing. */
int option_number(const char *text, int64_t minimum, int64_t maximum, int64_t *number);

/* Common rows. */
#define OPTION_MONTH(...)                                                                                              \
    {                                                                                                                  \
        .kind = OPTION_TEXT, .argument = "MONTH", .pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$",                             \
        .shape = "a month such as 2026-10", __VA_ARGS__                                                                \
    }
#define OPTION_DAY(...)                                                                                                \
    {                                                                                                                  \
        .kind = OPTION_TEXT, .argument = "DAY", .pattern = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",      \
        .shape = "a day such as 2026-10-01", __VA_ARGS__                                                               \
    }

#endif
