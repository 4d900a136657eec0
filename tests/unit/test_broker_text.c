/* test_broker_text.c: what the broker's files say of vendors, from what the database says and what is in them now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "hub/command/broker_text.h"

#define MARK                                                                                                           \
    "# Written by `cityhub vendor` from the rights in its database: what vendors may do. Changes here are lost.\n"
#define HASH "$7$101$c2FsdHNhbHRzYWx0$aGFzaA=="

/* A result of that many columns; NULL is SQL's NULL. */
static PGresult *rows_of(int columns, int count, const char *const *values) {
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc names[3] = {{.name = (char *)"a"}, {.name = (char *)"b"}, {.name = (char *)"c"}};
    assert_true(PQsetResultAttrs(rows, columns, names));
    for (int i = 0; i < count * columns; i++) {
        char *value = values[i] == NULL ? NULL : strdup(values[i]);
        assert_true(PQsetvalue(rows, i / columns, i % columns, value, value == NULL ? -1 : (int)strlen(value)));
        free(value);
    }
    return rows;
}

static const char *const logins[] = {"acme", HASH, "beta", NULL, "gamma", "QUJDRA=="};
static const char *const rights[] = {"acme", "dust", "t", "acme",  "gas",  "t", "acme",  "water", "f",
                                     "beta", "dust", "f", "delta", "dust", "t", "gamma", "gas",   "t"};

static const char *const tokens[] = {"tb-1", "00ff", "tb-2", "0aff"};

static struct broker_facts facts_make(void) {
    return (struct broker_facts){rows_of(2, 3, logins), rows_of(3, 6, rights), rows_of(2, 2, tokens)};
}

static void facts_free(struct broker_facts *facts) {
    PQclear((PGresult *)facts->logins);
    PQclear((PGresult *)facts->rights);
    PQclear((PGresult *)facts->tokens);
}

static char *text_of(broker_text *text, const struct broker_facts *facts, const char *old) {
    char *made = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&made, &length);
    assert_int_equal(text(facts, old, to), 0);
    fclose(to);
    return made;
}

/* What is made of `old`, and that the same is made of that. */
static void expect_text(broker_text *text, const char *old, const char *expected) {
    struct broker_facts facts = facts_make();
    char *made = text_of(text, &facts, old);
    char *again = text_of(text, &facts, made);
    assert_string_equal(made, expected);
    assert_string_equal(again, expected);
    free(made);
    free(again);
    facts_free(&facts);
}

static void test_passwords(void **state) {
    (void)state;
    expect_text(broker_text_passwords, "", "acme:" HASH "\n");
    expect_text(broker_text_passwords, "hub:$7$1$a$b\nacme:old\nbeta:old\nacme2:x\n# beta\nlast:y",
                "hub:$7$1$a$b\nacme2:x\n# beta\nlast:y\nacme:" HASH "\n");
    expect_text(broker_text_passwords, "acme\r\nacme:1\r\nbeta\n", "acme:" HASH "\n");
}

#define OURS                                                                                                           \
    "\n" MARK "user acme\ntopic read cityhub/v1/+/acme/receipt\n"                                                      \
    "topic write cityhub/v1/dust/acme/telemetry\ntopic write cityhub/v1/dust/acme/inventory\n"                         \
    "topic write cityhub/v1/dust/acme/staff\ntopic write cityhub/v1/dust/acme/work\n"                                  \
    "topic write cityhub/v1/dust/acme/case\n"                                                                          \
    "topic write cityhub/v1/dust/acme/interval\n"                                                                      \
    "topic write cityhub/v1/gas/acme/telemetry\ntopic write cityhub/v1/gas/acme/inventory\n"                           \
    "topic write cityhub/v1/gas/acme/staff\ntopic write cityhub/v1/gas/acme/work\n"                                    \
    "topic write cityhub/v1/gas/acme/case\n"                                                                           \
    "topic write cityhub/v1/gas/acme/interval\n"                                                                       \
    "user delta\ntopic read cityhub/v1/+/delta/receipt\n"                                                              \
    "topic write cityhub/v1/dust/delta/telemetry\ntopic write cityhub/v1/dust/delta/inventory\n"                       \
    "topic write cityhub/v1/dust/delta/staff\ntopic write cityhub/v1/dust/delta/work\n"                                \
    "topic write cityhub/v1/dust/delta/case\n"                                                                         \
    "topic write cityhub/v1/dust/delta/interval\n"                                                                     \
    "user gamma\ntopic read cityhub/v1/+/gamma/receipt\n"                                                              \
    "topic write cityhub/v1/gas/gamma/telemetry\ntopic write cityhub/v1/gas/gamma/inventory\n"                         \
    "topic write cityhub/v1/gas/gamma/staff\ntopic write cityhub/v1/gas/gamma/work\n"                                  \
    "topic write cityhub/v1/gas/gamma/case\n"                                                                          \
    "topic write cityhub/v1/gas/gamma/interval\n"

static void test_access(void **state) {
    (void)state;
    expect_text(broker_text_access, "", OURS);
    expect_text(broker_text_access, "# ours\nuser hub\ntopic readwrite cityhub/#\n\n\n",
                "# ours\nuser hub\ntopic readwrite cityhub/#\n" OURS);
    /* What vendors had before goes, whether they have a right now or not; other users' lines stay. */
    expect_text(
        broker_text_access,
        "user beta\ntopic readwrite #\n\nuser monitor\ntopic read $SYS/#\ntopic read cityhub/#\n \nuser  acme \n"
        " topic write cityhub/v1/gas/acme/#\n# acme's\nuser acme2\ntopic a",
        "\nuser monitor\ntopic read $SYS/#\ntopic read cityhub/#\n\n# acme's\nuser acme2\ntopic a\n" OURS);
    /* Patterns are for everybody. */
    expect_text(broker_text_access,
                "pattern write cityhub/v1/gas/%u/telemetry\npattern read cityhub\npattern #\npattern readwrite +/x\n"
                "pattern write %u/a\npattern readwrite\npattern write %c\npattern deny home/%u\npattern cityhub2/%u\n",
                "pattern read cityhub\npattern deny home/%u\npattern cityhub2/%u\n" OURS);
}

static const char *text_in(const cJSON *root, const char *list, int at, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, list), at), name));
}

static void test_definitions(void **state) {
    (void)state;
    struct broker_facts facts = facts_make();
    char *made = text_of(broker_text_definitions, &facts, "whatever was there");
    cJSON *root = cJSON_Parse(made);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "users")), 3);
    assert_string_equal(text_in(root, "users", 0, "password_hash"), ""); /* mosquitto's */
    assert_string_equal(text_in(root, "users", 1, "password_hash"), ""); /* ended */
    assert_string_equal(text_in(root, "users", 2, "password_hash"), "QUJDRA==");
    assert_string_equal(text_in(root, "users", 2, "name"), "gamma");
    assert_string_equal(text_in(root, "topic_permissions", 0, "write"),
                        "^cityhub\\.v1\\.(dust|gas)\\.acme\\.(telemetry|inventory|staff|work|case|interval)$");
    assert_string_equal(text_in(root, "topic_permissions", 0, "read"), "^cityhub\\.v1\\.[a-z_*]+\\.acme\\.receipt$");
    assert_string_equal(text_in(root, "permissions", 0, "configure"),
                        "^mqtt-subscription-acme([.-][A-Za-z0-9_.-]{1,64})?qos[01]$");
    assert_string_equal(text_in(root, "permissions", 0, "write"),
                        "^(amq\\.topic|mqtt-subscription-acme([.-][A-Za-z0-9_.-]{1,64})?qos[01])$");
    static const char *const closed[] = {"configure", "write", "read"};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(text_in(root, "permissions", 1, closed[i]), "^$");
    }
    assert_string_equal(text_in(root, "topic_permissions", 1, "write"), "^$");
    assert_string_equal(text_in(root, "topic_permissions", 1, "read"), "^$");
    cJSON_Delete(root);
    free(made);
    facts_free(&facts);
}

static void test_hashes(void **state) {
    (void)state;
    assert_true(broker_hash_is_mosquitto(HASH));
    assert_false(broker_hash_is_mosquitto("QUJDRA=="));
    assert_false(broker_hash_is_mosquitto(""));
}

static void test_tokens(void **state) {
    (void)state;
    expect_text(broker_text_tokens, "tb-0:0bff\nnobody's line\n", "tb-1:00ff\ntb-2:0aff\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_passwords),
                                       cmocka_unit_test(test_access), cmocka_unit_test(test_definitions),
                                       cmocka_unit_test(test_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
