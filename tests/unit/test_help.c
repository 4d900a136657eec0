/* test_help.c: what follows from a table: synopsis, help, manual page, completion, JSON. */
#include "captured.h"

#include <cjson/cJSON.h>

#include "hub/cli/completion.h"
#include "hub/cli/help.h"
#include "hub/cli/manual.h"

static const struct command_option options[] = {
    {.name = "FILE", .kind = OPTION_FILE, .required = true, .help = "the file"},
    {.name = "ID", .kind = OPTION_NUMBER, .minimum = 1, .maximum = 9, .repeated = true, .help = "ids"},
    {.name = "month", .argument = "MONTH", .kind = OPTION_TEXT, .required = true, .help = "the month (月份)"},
    {.name = "from", .argument = "DAY", .kind = OPTION_TEXT, .either = true, .needs = "to", .help = "from that day on"},
    {.name = "to", .argument = "DAY", .kind = OPTION_TEXT, .help = "to that day"},
    {.name = "by",
     .argument = "WORD",
     .kind = OPTION_WORD,
     .words = "street person",
     .initial = "street",
     .help = ".begins like a request"},
    {.name = "set", .argument = "KEY=VALUE", .kind = OPTION_PAIR, .words = "title at", .help = "a field, back\\slash"},
    {.name = "json", .kind = OPTION_FLAG, .help = "as JSON"},
    {.name = "csv", .kind = OPTION_FLAG, .either = true, .help = "as CSV"},
    {.name = "out", .argument = "FOLDER", .kind = OPTION_FOLDER, .help = "where to"},
    {.name = "password", .kind = OPTION_REFUSED, .help = "never"},
    {0},
};
static const struct command add = {
    .name = "add",
    .summary = "add a thing",
    .text = "'Adds' a thing.\n\n-It is there then.",
    .options = options,
    .examples = "cityhub thing add a.csv --month 2026-10 \\\n    --json\n",
};
static const struct command plain = {.name = "plain", .summary = "be plain"};
static const struct command *const actions[] = {&add, &plain, NULL};
static const struct command thing = {
    .name = "thing", .summary = "do things", .actions = actions, .more = "docs/thing.md"};
static const struct command serve = {.name = "serve", .summary = "run"};
static const struct command *const commands[] = {&thing, &serve, NULL};
static const struct command program = {
    .name = "cityhub", .summary = "a program", .text = "What it is.", .actions = commands};

static const struct command_path program_path = {.steps = {&program}, .depth = 1};
static const struct command_path thing_path = {.steps = {&program, &thing}, .depth = 2};
static const struct command_path add_path = {.steps = {&program, &thing, &add}, .depth = 3};

static char *text;
static size_t size;

static FILE *begin(void) {
    free(text);
    return open_memstream(&text, &size);
}

static void test_synopsis(void **state) {
    (void)state;
    char parts[HELP_SYNOPSIS_MAX];
    assert_string_equal(help_synopsis(&add, parts),
                        "FILE\n[ID ...]\n(--month MONTH | --from DAY)\n[--to DAY]\n[--by WORD]\n"
                        "[--set KEY=VALUE ...]\n[--json | --csv]\n[--out FOLDER]\n");
    assert_string_equal(help_synopsis(&plain, parts), "");
    assert_string_equal(help_synopsis(&thing, parts), "ACTION\n[ARGUMENT ...]\n");
}

static void test_wrap(void **state) {
    (void)state;
    FILE *out = begin();
    help_wrap(out, "one two three\nfour  a_word_that_is_longer_than_the_line five", 4, 2, 12);
    fclose(out);
    assert_string_equal(text, "one two\n  three four\n  a_word_that_is_longer_than_the_line\n  five");
    out = begin();
    help_wrap(out, "中文 中文 中文", 0, 0, 10); /* two places each */
    fclose(out);
    assert_string_equal(text, "中文 中文\n中文");
    out = begin();
    help_wrap(out, "", 0, 0, 10);
    fclose(out);
    assert_string_equal(text, "");
}

static void test_print(void **state) {
    (void)state;
    FILE *out = begin();
    help_print(out, &add_path);
    fclose(out);
    assert_string_equal(text,
                        "usage: cityhub thing add FILE [ID ...] (--month MONTH | --from DAY) [--to DAY] [--by WORD]\n"
                        "                         [--set KEY=VALUE ...] [--json | --csv] [--out FOLDER]\n"
                        "\n"
                        "'Adds' a thing.\n"
                        "\n"
                        "-It is there then.\n"
                        "\n"
                        "Options:\n"
                        "  FILE                      the file\n"
                        "  ID                        ids (1 to 9)\n"
                        "  --month MONTH             the month (月份)\n"
                        "  --from DAY                from that day on (needs --to)\n"
                        "  --to DAY                  to that day\n"
                        "  --by WORD                 .begins like a request (street, person; default street)\n"
                        "  --set KEY=VALUE           a field, back\\slash (title, at)\n"
                        "  --json                    as JSON\n"
                        "  --csv                     as CSV\n"
                        "  --out FOLDER              where to\n"
                        "\n"
                        "Examples:\n"
                        "  cityhub thing add a.csv --month 2026-10 \\\n"
                        "      --json\n"
                        "\n"
                        "Anywhere: --config FILE, --help, --version (see `cityhub --help`).\n"
                        "More: man cityhub-thing, docs/thing.md\n");
    out = begin();
    help_print(out, &thing_path);
    fclose(out);
    assert_string_equal(text, "usage: cityhub thing ACTION [ARGUMENT ...]\n\nDo things.\n\nActions:\n"
                              "  add           add a thing\n  plain         be plain\n\n"
                              "`cityhub thing ACTION --help` tells how to use one.\n"
                              "Anywhere: --config FILE, --help, --version (see `cityhub --help`).\n"
                              "More: man cityhub-thing, docs/thing.md\n");
    out = begin();
    help_print(out, &program_path);
    fclose(out);
    captured_expect(text,
                    "usage: cityhub COMMAND [ARGUMENT ...]\n\nWhat it is.\n\nCommands:\n  thing         do things\n");
}

static void test_json(void **state) {
    (void)state;
    cJSON *table = help_json(&program_path);
    char *json = cJSON_PrintUnformatted(table);
    captured_expect(
        json,
        "{\"name\":\"cityhub\",\"summary\":\"a program\",\"text\":\"What it is.\",\"actions\":[{\"name\":\"thing\"");
    captured_expect(
        json,
        "{\"name\":\"by\",\"kind\":\"word\",\"operand\":false,\"required\":false,\"repeated\":false,\"either\":false,"
        "\"argument\":\"WORD\",\"words\":\"street person\",\"default\":\"street\",\"note\":\"street, person; default "
        "street\",\"help\":\".begins like a request\"}");
    captured_expect(json, "{\"name\":\"plain\",\"summary\":\"be plain\",\"more\":\"docs/thing.md\",\"options\":[]}");
    assert_null(strstr(json, "password"));
    cJSON_free(json);
    cJSON_Delete(table);
}

static void test_manual(void **state) {
    (void)state;
    setenv("SOURCE_DATE_EPOCH", "1761955200", 1); /* 2025-11-01 */
    FILE *out = begin();
    manual_print(out, &thing_path);
    fclose(out);
    captured_expect(
        text, ".TH CITYHUB\\-THING 1 2025-11-01 \"cityhub " CITYHUB_VERSION "\" \"cityhub\"\n"
              ".SH NAME\ncityhub\\-thing \\- do things\n.SH SYNOPSIS\n.HP\n.B cityhub thing add\nFILE\n[ID\\~...]\n");
    captured_expect(text, ".SS thing add\n\\&'Adds' a thing.\n.PP\n\\-It is there then.\n"); /* no requests of roff */
    captured_expect(text, ".B \\-\\-by \\fIWORD\\fP\n\\&.begins like a request (street, person; default street)\n");
    captured_expect(text, "a field, back\\eslash (title, at)\n");
    captured_expect(text, ".nf\ncityhub thing add a.csv \\-\\-month 2026\\-10 \\e\n    \\-\\-json\n.fi\n");
    captured_expect(text, ".SS thing plain\nBe plain.\n");
    captured_expect(text, ".SH SEE ALSO\n.BR cityhub (1),\ndocs/thing.md\n");
    assert_null(strstr(text, "password"));
    out = begin();
    manual_print(out, &program_path);
    fclose(out);
    captured_expect(text, ".TP\n.BR cityhub\\-thing (1)\ndo things\n");
    captured_expect(text, ".SH FILES\n");
}

static void test_completion(void **state) {
    (void)state;
    FILE *out = begin();
    completion_print_bash(out, &program);
    fclose(out);
    captured_expect(
        text,
        "    'cityhub') kind=actions words='thing serve' ;;\n    'cityhub thing') kind=actions words='add plain' ;;\n");
    captured_expect(text, "    'cityhub thing add') takes=' --month --from --to --by --set --out' ;;\n");
    captured_expect(text, "    'cityhub thing add -') words=' --month --from --to --by --set --json --csv --out' ;;\n");
    captured_expect(
        text, "    'cityhub thing add 0') kind=file words='' ;;\n    'cityhub thing add '[0-9]*) kind=words words='' ;;\n");
    captured_expect(text, "    'cityhub thing add --by') kind=words words='street person' ;;\n");
    captured_expect(text, "    'cityhub thing add --set') kind=words words='title= at=' ;;\n");
    captured_expect(text, "    'cityhub thing add --out') kind=folder words='' ;;\n");
    captured_expect(text, "complete -F _cityhub cityhub cityhubd\n");
    assert_null(strstr(text, "password"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synopsis), cmocka_unit_test(test_wrap),   cmocka_unit_test(test_print),
        cmocka_unit_test(test_json),     cmocka_unit_test(test_manual), cmocka_unit_test(test_completion),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(text);
    return failed;
}
