/* fuzz_sql_script.c: the divider of SQL files: statements come in order, lose nothing but blanks, comments and
 * semicolons, and know their lines. */
#include <ctype.h>

#include "fuzz.h"
#include "hub/migrate/sql_script.h"

static int line_of(const char *text, const char *at) {
    int line = 1;
    for (; text < at; text++) {
        line += *text == '\n';
    }
    return line;
}

/* Between statements stand blanks, semicolons and comments; a gap without comments has nothing else. */
static void check_gap(const char *from, const char *to) {
    for (const char *at = from; at < to; at++) {
        if (at + 1 < to && ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*'))) {
            return;
        }
        REQUIRE(isspace((unsigned char)*at) || *at == ';');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    struct sql_script script = {.text = text, .line = 1};
    struct sql_statement statement;
    const char *end = text;
    size_t length = strlen(text);
    while (sql_script_next(&script, &statement)) {
        REQUIRE(statement.length > 0 && statement.text >= end && script.at <= length);
        REQUIRE(statement.text + statement.length <= text + script.at);
        REQUIRE(!isspace((unsigned char)statement.text[0]) && statement.text[0] != ';');
        REQUIRE(statement.line == line_of(text, statement.text));
        REQUIRE(script.line == line_of(text, text + script.at));
        check_gap(end, statement.text);
        (void)sql_statement_is_transaction_control(&statement);
        REQUIRE(sql_statement_line(&statement, 0) == statement.line);
        int last = sql_statement_line(&statement, (long)statement.length + 10);
        REQUIRE(last >= statement.line && last <= line_of(text, statement.text + statement.length));
        end = statement.text + statement.length;
    }
    check_gap(end, text + length);
    REQUIRE(script.at == length);
    REQUIRE(!sql_script_next(&script, &statement));
    free(text);
    return 0;
}
